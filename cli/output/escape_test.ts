import { deepStrictEqual as assertEquals } from "node:assert";
import fc from "fast-check";
import { escapeControl, escapeLines } from "./escape.ts";

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
