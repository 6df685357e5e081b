import { deepStrictEqual as assertEquals, throws } from "node:assert";
import { reserveCidfile } from "./cidfile.ts";

const openFiles = () => [...Deno.readDirSync("/proc/self/fd")].length;

Deno.test("a cidfile is one container's, holds its id, and goes with a creation that fails", () => {
  const folder = Deno.makeTempDirSync();
  try {
    const path = `${folder}/cid`;
    const before = openFiles();
    reserveCidfile(path).discard();
    const file = reserveCidfile(path);
    throws(() => reserveCidfile(path), /container ID file found/);
    file.write("abc");
    assertEquals(Deno.readTextFileSync(path), "abc");
    file.discard();
    assertEquals([[...Deno.readDirSync(folder)].length, openFiles()], [0, before]);
    const other = reserveCidfile(path);
    Deno.removeSync(path);
    other.discard();
    throws(() => reserveCidfile(`${folder}/no/such`), /no such file or directory/);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
