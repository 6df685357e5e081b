import { match, notStrictEqual, strictEqual as assertEquals, throws } from "node:assert";
import { checkName, isIdPrefix, randomId, randomName } from "./ids.ts";

Deno.test("an id is 64 hex digits and never the same", () => {
  match(randomId(), /^[0-9a-f]{64}$/);
  notStrictEqual(randomId(), randomId());
});

Deno.test("a random name is two words, with a number once plain ones are taken", () => {
  match(randomName(), /^[a-z]+_[a-z]+$/);
  match(randomName(3), /^[a-z]+_[a-z]+\d+$/);
});

Deno.test("names follow docker's rule", () => {
  assertEquals(checkName("container", "a.b_c-1"), "a.b_c-1");
  for (const name of ["", "-a", "a b", "a/b", "../x", "ä"]) {
    throws(() => checkName("container", name), {
      message: `name container "${name}": names must match [a-zA-Z0-9][a-zA-Z0-9_.-]*`,
    });
  }
});

Deno.test("only hex digits can begin an id", () => {
  assertEquals(isIdPrefix("0af"), true);
  assertEquals(isIdPrefix("0*"), false);
  assertEquals(isIdPrefix("a".repeat(65)), false);
});
