import fc from "fast-check";
import { assertEquals, messageOf } from "../../tests/assertions.ts";
import { DEFAULT_DETACH_KEYS, DetachScanner, parseDetachKeys } from "./detach_keys.ts";

Deno.test("keys are letters and control characters", () => {
  const cases: [string, number[]][] = [
    [DEFAULT_DETACH_KEYS, [16, 17]],
    ["ctrl-@", [0]],
    ["ctrl-a,ctrl-Z", [1, 26]],
    ["ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_", [27, 28, 29, 30, 31]],
    ["a,B", [97, 66]],
    ["", []],
  ];
  for (const [text, bytes] of cases) assertEquals([...parseDetachKeys(text)], bytes);
});

Deno.test("an unknown key is named", async () => {
  assertEquals(
    await messageOf(() => parseDetachKeys("ctrl-p,ctrl-!")),
    'parse detach keys "ctrl-p,ctrl-!": unknown key "ctrl-!"',
  );
  assertEquals(await messageOf(() => parseDetachKeys("a,,b")), 'parse detach keys "a,,b": unknown key ""');
});

/** What passes, and whether the pieces end with a detach. */
function scan(keys: number[], pieces: number[][]): { passed: number[]; detach: boolean } {
  const scanner = new DetachScanner(Uint8Array.from(keys));
  const passed: number[] = [];
  for (const piece of pieces) {
    const { bytes, detach } = scanner.scan(Uint8Array.from(piece));
    passed.push(...bytes);
    if (detach) return { passed, detach };
  }
  return { passed, detach: false };
}

Deno.test("the sequence is dropped and ends the input", () => {
  assertEquals(scan([16, 17], [[97, 16, 17, 98]]), { passed: [97], detach: true });
  assertEquals(scan([16, 17], [[97, 16], [17]]), { passed: [97], detach: true });
});

Deno.test("a broken sequence is passed on, its own beginning held again", () => {
  assertEquals(scan([16, 17], [[16], [98]]), { passed: [16, 98], detach: false });
  assertEquals(scan([16, 17], [[16], [16], [17]]), { passed: [16], detach: true });
  assertEquals(scan([1, 1, 2], [[1, 1, 1, 2]]), { passed: [1], detach: true });
});

Deno.test("without keys everything passes", () => {
  assertEquals(scan([], [[16, 17]]), { passed: [16, 17], detach: false });
});

Deno.test("any cutting of any input finds the first occurrence, as a search in the whole does", () => {
  const byte = fc.integer({ min: 1, max: 3 });
  const keys = fc.array(byte, { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(keys, fc.array(fc.array(byte, { maxLength: 6 }), { maxLength: 8 }), (keys, pieces) => {
      const whole = pieces.flat();
      const at = whole.findIndex((_, index) => keys.every((key, offset) => whole[index + offset] === key));
      const result = scan(keys, pieces);
      assertEquals(result.detach, at !== -1);
      if (at !== -1) assertEquals(result.passed, whole.slice(0, at));
      // What is held back at the end is the beginning of the keys.
      else assertEquals([...result.passed, ...keys].slice(0, whole.length), whole);
    }),
  );
});
