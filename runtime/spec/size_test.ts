import { strictEqual as assertEquals } from "node:assert";
import { parseSize } from "./size.ts";

Deno.test("sizes count in powers of 1024, with any spelling of the unit", () => {
  const cases: [string, number | undefined][] = [
    ["1024", 1024],
    ["64m", 67108864],
    ["64M", 67108864],
    ["64mb", 67108864],
    ["64MiB", 67108864],
    ["1.5k", 1536],
    ["10b", 10],
    ["0", 0],
    ["x", undefined],
    ["", undefined],
    ["-1", undefined],
    ["1e3", undefined],
    ["99999999p", undefined],
  ];
  for (const [text, bytes] of cases) assertEquals(parseSize(text), bytes, text);
});
