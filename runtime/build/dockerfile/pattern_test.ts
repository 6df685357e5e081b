import fc from "fast-check";
import { assertEquals, messageOf } from "../../../tests/assertions.ts";
import { replace, trimPrefix, trimSuffix } from "./pattern.ts";

const PATTERN = fc.array(fc.constantFrom("a", "b", "*", "?", "\\*", "\\?", "\\\\", "\n", "."), {
  maxLength: 7,
})
  .map((parts) => parts.join(""));
const VALUE = fc.array(fc.constantFrom("a", "b", "*", "?", "\\", "\n", "é"), { maxLength: 10 })
  .map((parts) => parts.join(""));

/** The regular expression that BuildKit makes of a pattern. */
function expressionOf(pattern: string, isLazy: boolean, flags: string): RegExp {
  const source = pattern.replace(/\\[^]|[^]/g, (one) => {
    if (one === "*") return isLazy ? "[^\\n]*?" : "[^\\n]*";
    if (one === "?") return "[^\\n]";
    return one.at(-1)!.replace(/[\\*?.[\](){}+|^$]/, "\\$&");
  });
  return new RegExp(source, flags);
}

const reversed = (text: string) => [...text].reverse().join("");
const reversedPattern = (pattern: string) => (pattern.match(/\\[^]|[^]/gu) ?? []).reverse().join("");

Deno.test("patterns match what their regular expressions do", () => {
  fc.assert(
    fc.property(PATTERN, VALUE, fc.boolean(), fc.boolean(), (pattern, value, longest, all) => {
      const prefix = expressionOf(pattern, !longest, "uy").exec(value)?.[0] ?? "";
      assertEquals(trimPrefix(pattern, value, longest), value.slice(prefix.length));
      const turned = reversed(value);
      const suffix = expressionOf(reversedPattern(pattern), !longest, "uy").exec(turned)?.[0] ?? "";
      assertEquals(trimSuffix(pattern, value, longest), reversed(turned.slice(suffix.length)));
      // JavaScript takes an empty match directly behind another one, Go does not.
      const matches = [...value.matchAll(expressionOf(pattern, false, "gu"))];
      const kept = matches.filter((match, index) => {
        const before = matches[index - 1];
        return match[0] !== "" || !before || before[0] === "" ||
          before.index + before[0].length !== match.index;
      }).slice(0, all ? undefined : 1);
      let [expected, at] = ["", 0];
      for (const match of kept) {
        expected += value.slice(at, match.index) + "R";
        at = match.index + match[0].length;
      }
      assertEquals(replace(pattern, value, "R", all), expected + value.slice(at));
    }),
    { numRuns: 3000 },
  );
});

Deno.test("a pattern that would be compared for minutes is refused", async () => {
  const value = "a".repeat(1_000_000);
  const pattern = `${"a".repeat(500_000)}b`;
  const said = "a pattern of 500001 characters is too long for a value of 1000000 characters";
  for (const trim of [trimPrefix, trimSuffix]) {
    assertEquals(await messageOf(() => trim(pattern, value, true)), said);
  }
  assertEquals(await messageOf(() => replace(pattern, value, "", true)), said);
  assertEquals(replace("a", value, "", true), "");
});
