import { mknodat } from "../../ffi/file.ts";
import { AT_FDCWD } from "../../ffi/constants/fcntl.ts";
import { S_IFIFO } from "../../ffi/constants/stat.ts";
import type { RootSource } from "../container/config.ts";
import type { Digest } from "../spec/digest.ts";
import { layerPath } from "../storage/layers.ts";
import { assertEquals } from "../../tests/assertions.ts";
import { autoSize } from "./auto_size.ts";
import type { Engine } from "./engine.ts";

Deno.test("an automatic map has an id for each account of the image, and for who is asked for by number", () => {
  const layers = Deno.makeTempDirSync();
  try {
    const engine = { folders: { layers }, namespaces: { isRootless: false } } as unknown as Engine;
    const diffIds = [1, 2, 3].map((digit) => `sha256:${String(digit).repeat(64)}` as Digest);
    const [bottom, middle, top] = diffIds.map((id) => {
      const etc = `${layerPath(engine.folders, id, "root")}/etc`;
      Deno.mkdirSync(etc, { recursive: true });
      return etc;
    });
    const root = { kind: "layers", diffIds } as unknown as RootSource;
    assertEquals(autoSize(engine, root), 1024);
    Deno.writeTextFileSync(`${bottom}/passwd`, "old:x:9000:9000::/:/bin/sh\n");
    Deno.writeTextFileSync(
      `${middle}/passwd`,
      "one:x:2000:30::/:/bin/sh\nnobody:x:65534:65534::/:\n:x:7000:1:\n",
    );
    Deno.writeTextFileSync(`${bottom}/group`, "staff:x:3000:one\n");
    assertEquals(autoSize(engine, root), 3001);
    assertEquals(autoSize(engine, root, "5000:4000"), 5001);
    assertEquals(autoSize(engine, root, "one:4000"), 4001);
    assertEquals(autoSize(engine, root, "4000000000"), 65536);
    // neither a link nor what is no file is followed or waited for
    Deno.symlinkSync("/etc/passwd", `${top}/passwd`);
    mknodat(AT_FDCWD, `${top}/group`, S_IFIFO | 0o600);
    assertEquals(autoSize(engine, root), 3001);
    // as many accounts as fit into the file
    Deno.writeTextFileSync(`${middle}/passwd`, "a:x:8:9:\n".repeat(400_000));
    assertEquals(autoSize(engine, root), 3001);
  } finally {
    Deno.removeSync(layers, { recursive: true });
  }
});
