import { deepStrictEqual as assertEquals } from "node:assert";
import { gunzipSync } from "node:zlib";
import { sourceOf } from "./chunks.ts";
import { BLOCK_BYTES, blocksOf, gzipBlocks, type GzipOptions } from "./gzip_blocks.ts";
import { contents, numbered } from "./packed_contents.ts";
import { join } from "./tar/testing.ts";
import { openFamilies } from "../../ffi/libc.ts";
import { prepareFork } from "../../ffi/fork.ts";

openFamilies("file", "process", "memory", "fork");
prepareFork();

function pack(content: Uint8Array, options: GzipOptions): Uint8Array<ArrayBuffer> {
  const out: Uint8Array[] = [];
  gzipBlocks(blocksOf(sourceOf(content)), (bytes) => void out.push(bytes.slice()), options);
  return join(out);
}

function longText(): Uint8Array<ArrayBuffer> {
  const lines = numbered(90_000);
  return join([lines, lines, lines]);
}

Deno.test("gzip is one member with the same bytes, however many processes make it", () => {
  const text = longText();
  assertEquals(text.length > 3 * BLOCK_BYTES, true);
  const whole = new Uint8Array(2 * BLOCK_BYTES);
  for (const content of [...contents(), text, text.subarray(0, BLOCK_BYTES), whole]) {
    const alone = pack(content, { children: 1 });
    assertEquals(Uint8Array.from(gunzipSync(alone)), Uint8Array.from(content));
    for (const children of [2, 3]) assertEquals(pack(content, { children }), alone);
  }
});

Deno.test("gzip takes a level", () => {
  const [fast, usual, small] = [1, undefined, 9].map((level) => pack(longText(), { level }).length);
  assertEquals(fast! > usual! && usual! > small!, true, `${fast} ${usual} ${small}`);
});

// that it returns says that they are gone: it waits for each
Deno.test("a source that fails ends the processes", () => {
  let blocks = 0;
  const failing = {
    next() {
      if (blocks++ === 5) throw new Error("the disk is gone");
      return new Uint8Array(BLOCK_BYTES);
    },
  };
  let message = "";
  try {
    gzipBlocks(failing, () => {}, { children: 3 });
  } catch (error) {
    message = (error as Error).message;
  }
  assertEquals(message, "the disk is gone");
});
