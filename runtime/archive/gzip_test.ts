import fc from "fast-check";
import { deepStrictEqual as assertEquals, throws } from "node:assert";
import { gzipSync } from "node:zlib";
import { sourceOf } from "./chunks.ts";
import { GunzipSource, GzipError } from "./gzip.ts";
import { type Bytes, join, readSource, slowSource } from "./tar/testing.ts";

const gzip = (bytes: Uint8Array) => new Uint8Array(gzipSync(bytes)) as Bytes;
const gunzip = (bytes: Bytes, bite = 1 << 16) => readSource(new GunzipSource(slowSource(bytes, bite)));
const HELLO = new TextEncoder().encode("hello, hello, hello");

Deno.test("several members are one stream, however they are cut", () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 5000 }), { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 1, max: 3000 }),
      (parts, bite) => assertEquals(gunzip(join(parts.map(gzip)), bite), join(parts)),
    ),
    { numRuns: 60 },
  );
});

Deno.test("a member's name, comment, extra field and header checksum are passed over", () => {
  const plain = gzip(HELLO);
  const header = [0x1f, 0x8b, 8, 2 | 4 | 8 | 16, 0, 0, 0, 0, 0, 3, 3, 0, 1, 2, 3, 0x61, 0, 0x62, 0, 9, 9];
  assertEquals(gunzip(join([new Uint8Array(header), plain.slice(10)]), 1), HELLO);
});

Deno.test("a stream cut off anywhere is truncated", () => {
  const good = gzip(HELLO);
  for (let length = 0; length < good.length; length++) {
    throws(() => gunzip(good.slice(0, length)), new GzipError("truncated gzip stream"), `cut at ${length}`);
  }
});

Deno.test("nothing but members may follow, zeros neither", () => {
  for (const tail of [[0], [0x1f, 0], [1, 2, 3]]) {
    const error = new GzipError("data after the end of the gzip stream");
    throws(() => gunzip(join([gzip(HELLO), new Uint8Array(tail)])), error);
  }
  throws(() => gunzip(new TextEncoder().encode("plain text")), new GzipError("not a gzip stream"));
});

Deno.test("changed data, checksum or length is corrupt", () => {
  const good = gzip(HELLO);
  const change = (at: number) => good.with(at, good.at(at)! ^ 1) as Bytes;
  throws(() => gunzip(change(good.length - 8)), new GzipError("corrupt gzip stream: wrong checksum"));
  throws(() => gunzip(change(good.length - 1)), new GzipError("corrupt gzip stream: wrong length"));
  throws(() => gunzip(change(10)), GzipError);
  throws(() => gunzip(change(2)), new GzipError("unknown gzip compression method"));
});

Deno.test("junk gives a GzipError and nothing else", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), fc.boolean(), (junk, withHeader) => {
      const bytes = withHeader ? join([gzip(HELLO).slice(0, 10), junk]) : junk as Bytes;
      try {
        gunzip(bytes);
      } catch (error) {
        if (!(error instanceof GzipError)) throw error;
      }
    }),
  );
});

Deno.test("a bomb is inflated no further than it is read", () => {
  const bomb = gzip(new Uint8Array(64 << 20));
  const source = new GunzipSource(sourceOf(bomb));
  assertEquals(source.read(new Uint8Array(1000)), 1000);
});
