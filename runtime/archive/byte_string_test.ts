import fc from "fast-check";
import { deepStrictEqual as assertEquals } from "node:assert";
import { bytesOf, byteString, byteStringOf, displayName } from "./byte_string.ts";

Deno.test("every byte survives the way there and back", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 9000 }),
      (bytes) => assertEquals(bytesOf(byteString(bytes)), bytes),
    ),
  );
});

Deno.test("a name is shown as text, with what a terminal would obey escaped", () => {
  assertEquals(displayName(byteStringOf("é\x1b[31m\n\u202e")), "é\\x1b[31m\\x0a\\u202e");
});
