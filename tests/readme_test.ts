/** The README's first command does what it says. */
import { assertEquals, hostTest } from "./harness.ts";

hostTest("the README's first command prints the os-release of this machine", {}, async (host) => {
  const readme = await Deno.readTextFile(new URL("../README.md", import.meta.url));
  const command = readme.match(/dist\/skiff (run --rm host cat .*)$/m)![1]!;
  const { code, stdout, stderr } = await host.skiff(command.split(" "));
  assertEquals(code, 0, stderr);
  assertEquals(stdout, await Deno.readTextFile("/etc/os-release"));
});
