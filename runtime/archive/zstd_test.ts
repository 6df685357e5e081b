import fc from "fast-check";
import { deepStrictEqual as assertEquals, throws } from "node:assert";
import { constants, zstdCompressSync } from "node:zlib";
import { sourceOf } from "./chunks.ts";
import { type Bytes, join, readSource, slowSource } from "./tar/testing.ts";
import { ZstdError, ZstdSource } from "./zstd.ts";

const zstd = (bytes: Uint8Array, checksum = false) =>
  new Uint8Array(
    zstdCompressSync(bytes, { params: { [constants.ZSTD_c_checksumFlag]: checksum ? 1 : 0 } }),
  ) as Bytes;
const unzstd = (bytes: Bytes, bite = 1 << 16) => readSource(new ZstdSource(slowSource(bytes, bite)));
const HELLO = new TextEncoder().encode("hello, hello, hello");
const SKIPPABLE = new Uint8Array([0x57, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);

Deno.test("several frames are one stream, however they are cut", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.uint8Array({ maxLength: 5000 }), fc.boolean()), { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 1, max: 3000 }),
      (parts, bite) =>
        assertEquals(
          unzstd(join(parts.map(([part, checksum]) => zstd(part, checksum))), bite),
          join(parts.map(([part]) => part)),
        ),
    ),
    { numRuns: 60 },
  );
});

Deno.test("frames of many blocks, stored and repeated ones among them, are walked", () => {
  const data = new Uint8Array(1_500_000);
  crypto.getRandomValues(data.subarray(0, 65536));
  data.set(data.subarray(0, 65536), 400_000);
  data.fill(7, 900_000);
  assertEquals(unzstd(zstd(data, true), 777), data);
});

Deno.test("skippable frames say nothing", () => {
  assertEquals(
    unzstd(join([SKIPPABLE, zstd(HELLO), SKIPPABLE, SKIPPABLE, zstd(HELLO)])),
    join([HELLO, HELLO]),
  );
});

Deno.test("what zstd(1) streams without a content size is read", async () => {
  const child = new Deno.Command("zstd", { args: ["-19", "-c"], stdin: "piped", stdout: "piped" }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(HELLO);
  await writer.close();
  assertEquals(unzstd(new Uint8Array((await child.output()).stdout)), HELLO);
});

Deno.test("a stream cut off anywhere is truncated", () => {
  const good = zstd(HELLO, true);
  for (let length = 0; length < good.length; length++) {
    throws(() => unzstd(good.slice(0, length)), new ZstdError("truncated zstd stream"), `cut at ${length}`);
  }
  throws(() => unzstd(SKIPPABLE.slice(0, 9)), new ZstdError("truncated zstd stream"));
});

Deno.test("nothing but frames may follow", () => {
  throws(
    () => unzstd(join([zstd(HELLO), new Uint8Array(4)])),
    new ZstdError("data after the end of the zstd stream"),
  );
  throws(() => unzstd(new TextEncoder().encode("plain text")), new ZstdError("not a zstd stream"));
});

Deno.test("a changed checksum is corrupt", () => {
  const good = zstd(HELLO, true);
  throws(
    () => unzstd(good.with(good.length - 1, good.at(-1)! ^ 1) as Bytes),
    new ZstdError("corrupt zstd stream: Restored data doesn't match checksum"),
  );
});

Deno.test("a window of more than 128 MiB is refused before any memory is taken", () => {
  // Window_Descriptor 0xf8: exponent 31, that is 2 TiB.
  const frame = new Uint8Array([0x28, 0xb5, 0x2f, 0xfd, 0, 0xf8, 1, 0, 0]);
  throws(
    () => unzstd(frame),
    new ZstdError("zstd window of 2199023255552 bytes is larger than 134217728"),
  );
});

Deno.test("junk gives a ZstdError and nothing else", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), fc.boolean(), (junk, withHeader) => {
      const bytes = withHeader ? join([zstd(HELLO).slice(0, 6), junk]) : junk as Bytes;
      try {
        unzstd(bytes);
      } catch (error) {
        if (!(error instanceof ZstdError)) throw error;
      }
    }),
  );
});

Deno.test("a bomb is inflated no further than it is read", () => {
  const source = new ZstdSource(sourceOf(zstd(new Uint8Array(64 << 20))));
  assertEquals(source.read(new Uint8Array(1000)), 1000);
});
