import { deepStrictEqual as assertEquals } from "node:assert";
import { FIRST_WINDOW_BYTES, MAX_WINDOW_BYTES, ReadAhead } from "./read_ahead.ts";

Deno.test("who reads in the archive's order gets twice as much each time, up to a limit", () => {
  const ahead = new ReadAhead();
  let start = 0, bytes = ahead.sizeAt(0);
  const sizes = [bytes];
  for (let round = 0; round < 5; round++) {
    ahead.begin({ start, end: start + bytes });
    assertEquals(ahead.reached(start + bytes / 2), undefined);
    const next = ahead.reached(start + bytes / 2 + 1)!;
    assertEquals(next.start, start + bytes);
    // once
    assertEquals(ahead.reached(start + bytes / 2 + 2), undefined);
    ({ start, bytes } = next);
    sizes.push(bytes);
  }
  const first = FIRST_WINDOW_BYTES;
  assertEquals(sizes, [first, first * 2, first * 4, first * 8, MAX_WINDOW_BYTES, MAX_WINDOW_BYTES]);
});

Deno.test("who waits for what comes right behind a window reads in order as well", () => {
  const ahead = new ReadAhead();
  ahead.begin({ start: 0, end: 4 << 20 });
  assertEquals(ahead.sizeAt(1 << 20), FIRST_WINDOW_BYTES);
  assertEquals(ahead.sizeAt(4 << 20), MAX_WINDOW_BYTES);
  assertEquals(ahead.sizeAt(4 << 20), FIRST_WINDOW_BYTES);
});

Deno.test("who reads here and there gets no more than a first window each time", () => {
  const ahead = new ReadAhead();
  for (let at = 1; at < 100; at++) {
    const start = at * (10 << 20);
    assertEquals(ahead.sizeAt(start), FIRST_WINDOW_BYTES);
    ahead.begin({ start, end: start + FIRST_WINDOW_BYTES });
    assertEquals(ahead.reached(start + 4096), undefined);
  }
});

Deno.test("several readers do not disturb each other", () => {
  const ahead = new ReadAhead();
  for (const start of [0, 100 << 20]) ahead.begin({ start, end: start + (1 << 20) });
  assertEquals(ahead.reached(1 << 20)?.start, 1 << 20);
  assertEquals(ahead.reached(101 << 20)?.start, 101 << 20);
});
