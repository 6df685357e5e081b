import { assertEquals, assertIncludes, messageOf } from "../../tests/assertions.ts";
import { checkRunnable } from "./build_platform.ts";

const AMD64 = { os: "linux", architecture: "amd64" };
const ARM64 = { os: "linux", architecture: "arm64", variant: "v8" };

Deno.test("programs of this machine, and of its older sibling, run", () => {
  checkRunnable(AMD64, AMD64, () => false);
  checkRunnable({ os: "linux", architecture: "386" }, AMD64, () => false);
  checkRunnable({ os: "linux", architecture: "arm", variant: "v7" }, ARM64, () => false);
});

Deno.test("others need a handler of the kernel, and are refused without", async () => {
  const asked: string[] = [];
  checkRunnable(ARM64, AMD64, (name) => (asked.push(name), true));
  assertEquals(asked, ["aarch64"]);
  const message = await messageOf(() => checkRunnable(ARM64, AMD64, () => false));
  assertIncludes(message, "run a step for linux/arm64/v8: this machine is linux/amd64");
});
