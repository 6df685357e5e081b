import { compilePart, hasWildcards, splitWildcards } from "./go_match.ts";
import { assertEquals, assertIncludes, messageOf } from "../../../tests/assertions.ts";

// The cases of Go's own path/filepath/match_test.go that have no slash, and a few more.
const CASES: [pattern: string, name: string, matches: boolean][] = [
  ["abc", "abc", true],
  ["*", "abc", true],
  ["*c", "abc", true],
  ["a*", "a", true],
  ["a*", "abc", true],
  ["a*b?c*x", "abxbbxdbxebxczzx", true],
  ["a*b?c*x", "abxbbxdbxebxczzy", false],
  ["ab[c]", "abc", true],
  ["ab[b-d]", "abc", true],
  ["ab[e-g]", "abc", false],
  ["ab[^c]", "abc", false],
  ["ab[^b-d]", "abc", false],
  ["ab[^e-g]", "abc", true],
  ["a\\*b", "a*b", true],
  ["a\\*b", "ab", false],
  ["a?b", "a☺b", true],
  ["a[^a]b", "a☺b", true],
  ["a???b", "a☺b", false],
  ["[a-ζ]*", "α", true],
  ["*[a-ζ]", "A", false],
  ["[\\]a]", "]", true],
  ["[\\-]", "-", true],
  ["[x\\-]", "x", true],
  ["[x\\-]", "-", true],
  ["[x\\-]", "z", false],
  ["[\\-x]", "a", false],
  ["*x", "xxx", true],
  ["arr[[]0].txt", "arr[0].txt", true],
  ["{a,b}", "a", false],
  ["{a,b}", "{a,b}", true],
  ["a.c", "abc", false],
  ["a**b", "axxb", true],
  ["**b", "ab", true],
  ["\\**", "*x", true],
  ["\\**", "x", false],
  ["**", "a", true],
];

Deno.test("names are matched as Go's filepath.Match does", () => {
  for (const [pattern, name, matches] of CASES) {
    assertEquals({ pattern, name, matches: compilePart(pattern)(name) }, { pattern, name, matches });
  }
});

Deno.test("a pattern with a fault in it is refused", async () => {
  for (const pattern of ["[]a]", "[-]", "[x-]", "[-x]", "[a-b-c]", "[", "[^", "[^bc", "a[", "\\"]) {
    assertIncludes(await messageOf(() => compilePart(pattern)), "syntax error in pattern");
  }
});

Deno.test("a path is split where its first wildcard stands", () => {
  assertEquals(hasWildcards("a\\*b"), false);
  assertEquals(hasWildcards("a\\\\*b"), true);
  assertEquals(splitWildcards("/a/b/c"), { folder: "/a/b/c", parts: [] });
  assertEquals(splitWildcards("/a/b*/c"), { folder: "/a", parts: ["b*", "c"] });
  assertEquals(splitWildcards("/*"), { folder: "/", parts: ["*"] });
});
