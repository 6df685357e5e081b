import { assertEquals } from "../../tests/assertions.ts";
import { readUpTo } from "./read_up_to.ts";

Deno.test("what comes in pieces is read up to a length, or to its end", async () => {
  const piecemeal = (text: string) => {
    let rest = new TextEncoder().encode(text);
    return {
      read(into: Uint8Array) {
        const piece = rest.subarray(0, Math.min(2, into.length));
        rest = rest.subarray(piece.length);
        into.set(piece);
        return Promise.resolve(piece.length === 0 ? null : piece.length);
      },
    };
  };
  const read = async (text: string, length: number) =>
    new TextDecoder().decode(await readUpTo(piecemeal(text), length));
  assertEquals([await read("abcdefg", 5), await read("abc", 5), await read("", 5)], ["abcde", "abc", ""]);
});
