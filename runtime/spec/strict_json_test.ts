import { deepStrictEqual as assertEquals, throws } from "node:assert";
import fc from "fast-check";
import { exactFields, parseStrictJson } from "./strict_json.ts";

Deno.test("a key that is there twice is an error, however it is written", () => {
  const cases: [string, string | RegExp][] = [
    ['{"a":1,"a":2}', 'Duplicate key "a"'],
    ['{"a":1,"\\u0061":2}', 'Duplicate key "a"'],
    ['{"x":[{"b" : 1, "b"\n:2}]}', 'Duplicate key "b"'],
    ['{"__proto__":1,"__proto__":2}', 'Duplicate key "__proto__"'],
    ['{"\\"":1,"\\"":2}', 'Duplicate key "\\""'],
    ['{"a":1,}', /./],
  ];
  for (const [text, message] of cases) {
    throws(() => parseStrictJson(text), { name: "SyntaxError", message });
  }
});

Deno.test("everything else is as JSON.parse reads it", () => {
  const same = '{"a":{"a":[{"a":"a"},{"a":"\\"a\\":"}]},"b":"{\\"c\\":1","c":"]"}';
  assertEquals(parseStrictJson(same), JSON.parse(same));
  fc.assert(fc.property(fc.json(), (text) => {
    // fast-check writes no key twice
    assertEquals(parseStrictJson(text), JSON.parse(text));
  }));
});

Deno.test("fields are exactly those that are expected", () => {
  assertEquals(exactFields({ a: 1 }, ["a"]), { a: 1 });
  throws(() => exactFields({ a: 1, b: 2 }, ["a"]), { message: 'Unknown key "b"' });
  throws(() => exactFields({}, ["toString"]), { message: 'Key "toString" missing' });
  for (const value of [null, [], "a", 1]) {
    throws(() => exactFields(value, []), { message: "it is no JSON object" });
  }
});
