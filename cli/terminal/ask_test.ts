import { assertEquals } from "../../tests/assertions.ts";
import { onHiddenKey, type Typed } from "./ask.ts";

function type(text: string): Typed {
  let typed: Typed = { bytes: [], state: "typing" };
  for (const byte of new TextEncoder().encode(text)) typed = onHiddenKey(typed, byte);
  return typed;
}

const textOf = ({ bytes }: Typed) => new TextDecoder().decode(Uint8Array.from(bytes));

Deno.test("a hidden answer is edited blindly", () => {
  const cases: [string, string, Typed["state"]][] = [
    ["abc\r", "abc", "done"],
    ["abc\n", "abc", "done"],
    ["abc\x04", "abc", "done"],
    ["abx\x7fc", "abc", "typing"],
    ["aü\x7fb", "ab", "typing"],
    ["\x7f\x08a", "a", "typing"],
    ["wrong\x15right\r", "right", "done"],
    ["secret\x03", "", "interrupted"],
  ];
  for (const [keys, text, state] of cases) {
    const typed = type(keys);
    assertEquals([textOf(typed), typed.state], [text, state], JSON.stringify(keys));
  }
});
