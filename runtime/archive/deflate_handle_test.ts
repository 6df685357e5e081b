import { deepStrictEqual as assertEquals } from "node:assert";
import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { DeflateHandle } from "./deflate_handle.ts";
import type { Packing } from "./packing.ts";

const UNPACK = { gzip: gunzipSync, zstd: zstdDecompressSync };

function pack(packing: Packing, content: Uint8Array, piece: number): Uint8Array<ArrayBuffer> {
  const handle = new DeflateHandle(packing);
  const out: number[] = [];
  const sink = (bytes: Uint8Array) => {
    for (const byte of bytes) out.push(byte);
  };
  for (let at = 0; at < content.length; at += piece) handle.write(content.subarray(at, at + piece), sink);
  handle.finish(sink);
  return Uint8Array.from(out);
}

for (const format of ["gzip", "zstd"] as const) {
  Deno.test(`${format} packs what is empty, small, larger than its output and all the same`, () => {
    const noise = new Uint8Array(700_000);
    for (let at = 0; at < noise.length; at += 50_000) {
      crypto.getRandomValues(noise.subarray(at, at + 50_000));
    }
    for (const content of [new Uint8Array(0), Uint8Array.of(1), noise, new Uint8Array(3 << 20)]) {
      const packed = pack({ format }, content, 1 << 18);
      assertEquals(Uint8Array.from(UNPACK[format](packed)), content);
      // the same in other pieces is the same content
      assertEquals(Uint8Array.from(UNPACK[format](pack({ format }, content, 99_991))), content);
    }
  });

  Deno.test(`${format} takes a level`, () => {
    const text = new TextEncoder().encode(
      Array.from({ length: 30_000 }, (_, n) => `${(n * 7919) % 1000} line ${n}`).join("\n"),
    );
    const [fast, small] = [1, 9].map((level) => pack({ format, level }, text, 1 << 18).length);
    assertEquals(fast! > small!, true, `${fast} ${small}`);
  });
}
