import { assertIncludes, messageOf } from "../../tests/assertions.ts";
import { checkRunnable } from "./build_platform.ts";

const AMD64 = { os: "linux", architecture: "amd64" };
const ARM64 = { os: "linux", architecture: "arm64", variant: "v8" };

Deno.test("programs of this machine, and of its older sibling, run", () => {
  checkRunnable(AMD64, AMD64, "/nowhere");
  checkRunnable({ os: "linux", architecture: "386" }, AMD64, "/nowhere");
  checkRunnable({ os: "linux", architecture: "arm", variant: "v7" }, ARM64, "/nowhere");
});

Deno.test("others need a handler of the kernel, and are refused without", async () => {
  const message = await messageOf(() => checkRunnable(ARM64, AMD64, "/nowhere"));
  assertIncludes(message, "run a step for linux/arm64/v8: this machine is linux/amd64");
});
