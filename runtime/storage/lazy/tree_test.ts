import { deepStrictEqual as assertEquals } from "node:assert";
import { zstdChunkedLayer } from "../../../tests/toc_layers.ts";
import { parseZstdChunkedToc, zstdChunkedPosition } from "../../archive/toc/zstd_chunked.ts";
import { buildTree, type LazyNode } from "./tree.ts";

const FORM = { overlayXattrs: "user.", isSingle: false, makeDevices: false } as const;

function shown(node: LazyNode, path = ""): string[] {
  const { mode, uid } = node.attributes;
  const own = `${path || "/"} ${mode.toString(8)} ${uid}`;
  return [own, ...[...node.children ?? []].flatMap(([name, child]) => shown(child, `${path}/${name}`))];
}

Deno.test("folders whose own entry comes after what is in them keep it", () => {
  const { blob, descriptor } = zstdChunkedLayer([
    { name: "a/b/file", type: "file", mode: 0o600, data: new Uint8Array(5) },
    { name: "a/", type: "directory", mode: 0o750, uid: 7 },
    { name: "./", type: "directory", mode: 0o711 },
    { name: "a/b/", type: "directory", mode: 0o1777 },
  ]);
  const position = zstdChunkedPosition(descriptor.annotations, blob.length)!;
  const packed = blob.subarray(position.offset, position.offset + position.packedBytes);
  const nodes = buildTree([parseZstdChunkedToc(packed, position, 1 << 20)], FORM);
  assertEquals(shown(nodes[2]!), ["/ 40711 0", "/a 40750 7", "/a/b 41777 0", "/a/b/file 100600 0"]);
  assertEquals(nodes.map(({ attributes }) => attributes.ino), nodes.map(({ id }) => id));
});
