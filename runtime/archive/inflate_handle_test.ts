/** What InflateHandle assumes of node:zlib's private parts; Deno is pinned, and a new one must pass this first. */

import { deepStrictEqual as assertEquals, throws } from "node:assert";
import { createInflateRaw, createZstdDecompress, deflateRawSync, zstdCompressSync } from "node:zlib";
import { InflateHandle } from "./inflate_handle.ts";

const DATA = new TextEncoder().encode("one two three ".repeat(100));
const PACKED = {
  deflate: new Uint8Array(deflateRawSync(DATA)),
  zstd: new Uint8Array(zstdCompressSync(DATA)),
} as const;

Deno.test("the streams have a handle with writeSync and a write state of two numbers", () => {
  for (const stream of [createInflateRaw(), createZstdDecompress()]) {
    const inner = stream as unknown as {
      _handle: { writeSync: unknown; reset: unknown };
      _writeState: Uint32Array;
    };
    assertEquals([typeof inner._handle.writeSync, typeof inner._handle.reset], ["function", "function"]);
    assertEquals([inner._writeState instanceof Uint32Array, inner._writeState.length], [true, 2]);
  }
});

for (const format of ["deflate", "zstd"] as const) {
  const packed = PACKED[format];

  Deno.test(`${format}: a step says what it took and gave, and goes on where it stopped`, () => {
    const handle = new InflateHandle(format);
    const out = new Uint8Array(500);
    const pieces: number[] = [];
    let at = 0;
    for (;;) {
      const step = handle.step(packed, at, packed.length - at, out);
      at += step.consumed;
      pieces.push(...out.subarray(0, step.produced));
      if (step.produced === 0) break;
    }
    assertEquals([new Uint8Array(pieces), at], [DATA, packed.length]);
  });

  Deno.test(`${format}: input behind the end is left, until a reset begins anew`, () => {
    const handle = new InflateHandle(format);
    const out = new Uint8Array(5000);
    const doubled = new Uint8Array([...packed, ...packed]);
    assertEquals({ ...handle.step(doubled, 0, packed.length, out) }, {
      consumed: packed.length,
      produced: DATA.length,
    });
    if (format === "deflate") {
      assertEquals({ ...handle.step(doubled, packed.length, packed.length, out) }, {
        consumed: 0,
        produced: 0,
      });
    }
    handle.reset();
    const again = handle.step(doubled, packed.length, packed.length, out);
    assertEquals({ ...again }, { consumed: packed.length, produced: DATA.length });
  });

  Deno.test(`${format}: corrupt input throws at once`, () => {
    const handle = new InflateHandle(format);
    throws(() => handle.step(new Uint8Array(100).fill(7), 0, 100, new Uint8Array(100)), Error);
  });
}
