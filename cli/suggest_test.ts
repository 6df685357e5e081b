import { deepStrictEqual as assertEquals } from "node:assert";
import { editDistance } from "../runtime/spec/edit_distance.ts";
import { suggest } from "./suggest.ts";

const VERBS = ["ps", "push", "run", "images", "inspect", "image"];

const CASES: [typed: string, meant: string[]][] = [
  ["pss", ["ps"]],
  ["imges", ["images", "image"]],
  ["ins", ["inspect"]],
  ["rnu", ["run"]],
  ["RUN", ["run"]],
  ["foo", []],
  ["something", []],
];
for (const [typed, meant] of CASES) {
  Deno.test(`"${typed}" may mean ${meant.join(", ") || "nothing"}`, () =>
    assertEquals(suggest(typed, VERBS), meant));
}

Deno.test("an edit is a letter more, less or other, or two that have changed places", () => {
  assertEquals(editDistance("kitten", "sitting"), 3);
  assertEquals(editDistance("rnu", "run"), 1);
  assertEquals(editDistance("", "abc"), 3);
  assertEquals(editDistance("abc", "abc"), 0);
});
