import { deepStrictEqual as assertEquals } from "node:assert";
import { withoutCredentials } from "./url_credentials.ts";

Deno.test("an address is shown without its user and password", () => {
  assertEquals(withoutCredentials("https://me:s3cret@host/a@b"), "https://host/a@b");
  assertEquals(withoutCredentials("HTTPS://token@host:1/x?y=a@b"), "HTTPS://host:1/x?y=a@b");
  assertEquals(withoutCredentials("https://me:p@ss@host"), "https://host");
  assertEquals(withoutCredentials("https://host/x"), "https://host/x");
  assertEquals(withoutCredentials("git@host:o/r.git"), "git@host:o/r.git");
});
