import { deepStrictEqual as assertEquals } from "node:assert";
import fc from "fast-check";
import { escapeControl, escapeLines, jsonText } from "./escape.ts";

Deno.test("terminal escapes, C1 controls and direction overrides are shown, text stays", () => {
  assertEquals(escapeControl("a\x1b]0;title\x07b"), "a\\x1b]0;title\\x07b");
  assertEquals(escapeControl("\u009b31mred\x7f"), "\\x9b31mred\\x7f");
  assertEquals(escapeControl("exe\u202egnp.txt"), "exe\\u202egnp.txt");
  assertEquals(escapeControl("héllo 容器 🚢"), "héllo 容器 🚢");
});

Deno.test("a line break cannot forge another row of a table, but stays in an error", () => {
  assertEquals(escapeControl("one\ntwo\tthree\r"), "one\\ntwo\\tthree\\r");
  assertEquals(escapeLines("one\ntwo\tthree\r\x1b"), "one\ntwo\tthree\\r\\x1b");
});

Deno.test("nothing that a terminal obeys gets through", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
    // deno-lint-ignore no-control-regex
    assertEquals(/[\x00-\x1f\x7f-\x9f]/.test(escapeControl(text)), false);
  }));
});

Deno.test("JSON is the same to a parser, and harmless to a terminal", () => {
  const document = { a: "\u009b31m\u202e\x1b[2J\x7f", "\u0085": ["ä", 1, null] };
  const text = jsonText(document, 2);
  assertEquals(JSON.parse(text), document);
  // deno-lint-ignore no-control-regex
  assertEquals(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/.test(text), false);
});
