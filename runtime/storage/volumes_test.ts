import { deepStrictEqual as assertEquals, throws } from "node:assert";
import { InvalidArgumentError } from "../errors.ts";
import { openFolders } from "../state/folders.ts";
import {
  checkVolumeName,
  createAnonymousVolume,
  createVolume,
  hasVolume,
  listVolumeFolders,
  volumePath,
} from "./volumes.ts";

function scratch() {
  const data = Deno.makeTempDirSync();
  Deno.chmodSync(data, 0o700);
  const folders = openFolders({ data, run: data });
  return { folders, [Symbol.dispose]: () => Deno.removeSync(data, { recursive: true }) };
}

Deno.test("a volume is made at its first use, and once", () => {
  using dir = scratch();
  assertEquals(hasVolume(dir.folders, "db"), false);
  assertEquals([createVolume(dir.folders, "db"), createVolume(dir.folders, "db")], [true, false]);
  assertEquals(hasVolume(dir.folders, "db"), true);
  const path = volumePath(dir.folders, "db");
  assertEquals([path, Deno.statSync(path).mode! & 0o7777], [`${dir.folders.volumes}/db/_data`, 0o755]);
});

Deno.test("an anonymous volume has 64 hex digits for a name", () => {
  using dir = scratch();
  const name = createAnonymousVolume(dir.folders);
  assertEquals([/^[0-9a-f]{64}$/.test(name), listVolumeFolders(dir.folders)], [true, [name]]);
});

Deno.test("names that lead elsewhere are refused before a path is built", () => {
  for (const name of ["", ".", "..", "../x", "a/b", "-v", ".hidden", "a\0", "a b"]) {
    throws(() => checkVolumeName(name), InvalidArgumentError);
    throws(() => volumePath({ volumes: "/v" } as never, name), InvalidArgumentError);
  }
  throws(() => checkVolumeName("a".repeat(256)), InvalidArgumentError);
  assertEquals(checkVolumeName("a_b.c-1"), "a_b.c-1");
});
