import { assertEquals } from "../../tests/assertions.ts";
import { withHome } from "./stdio.ts";

Deno.test("HOME is added where the environment has none", () => {
  assertEquals(withHome(["A=b"], "/root"), ["A=b", "HOME=/root"]);
  assertEquals(withHome(["HOMEX=b"], "/root"), ["HOMEX=b", "HOME=/root"]);
  assertEquals(withHome(["HOME="], "/root"), ["HOME="]);
  assertEquals(withHome(["A=b"], undefined), ["A=b"]);
});
