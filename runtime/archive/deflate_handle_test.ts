import { deepStrictEqual as assertEquals } from "node:assert";
import { zstdDecompressSync } from "node:zlib";
import { ZstdHandle } from "./deflate_handle.ts";
import { contents, numbered } from "./packed_contents.ts";

function pack(content: Uint8Array, piece: number, level?: number): Uint8Array<ArrayBuffer> {
  const handle = new ZstdHandle(level);
  const out: Uint8Array[] = [];
  const sink = (bytes: Uint8Array) => void out.push(bytes.slice());
  for (let at = 0; at < content.length; at += piece) handle.write(content.subarray(at, at + piece), sink);
  handle.finish(sink);
  return Uint8Array.from(out.flatMap((bytes) => [...bytes]));
}

Deno.test("zstd packs what is empty, small, larger than its output and all the same", () => {
  for (const content of contents()) {
    assertEquals(Uint8Array.from(zstdDecompressSync(pack(content, 1 << 18))), content);
    // the same in other pieces is the same content
    assertEquals(Uint8Array.from(zstdDecompressSync(pack(content, 99_991))), content);
  }
});

Deno.test("zstd takes a level", () => {
  const [fast, small] = [1, 9].map((level) => pack(numbered(30_000), 1 << 18, level).length);
  assertEquals(fast! > small!, true, `${fast} ${small}`);
});
