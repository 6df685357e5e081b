import { deepStrictEqual as assertEquals, throws } from "node:assert";
import { parseLine } from "../parser.ts";
import { fillDefaults } from "../values.ts";
import { resolveEnv } from "./env.ts";
import { CREATE_FLAGS, parseEntrypoint, parseLabels, toCreateOptions } from "./create.ts";

function options(...words: string[]) {
  const parsed = parseLine(words, CREATE_FLAGS, "skiff run", true);
  const caller = { env: { HOME: "/home/u", LC_ALL: "C" }, readFile: () => "", commandLine: ["skiff"] };
  return toCreateOptions(
    fillDefaults(CREATE_FLAGS, parsed),
    new Set(parsed.values.keys()),
    parsed.args,
    caller,
  );
}

Deno.test("what follows the image is the command, options included", () => {
  const { image, command, autoRemove } = options("--rm", "-it", "debian", "ls", "--rm", "-e", "X");
  assertEquals({ image, command, autoRemove }, {
    image: "debian",
    command: ["ls", "--rm", "-e", "X"],
    autoRemove: true,
  });
});

Deno.test("a variable without value takes the caller's, or is left out", () => {
  assertEquals(options("-e", "HOME", "-e", "NONE", "-e", "A=", "-eB=1=2", "x").env, [
    "HOME=/home/u",
    "A=",
    "B=1=2",
  ]);
  assertEquals(resolveEnv(["L*"], { LANG: "a", LC_ALL: "b", HOME: "c" }), ["LANG=a", "LC_ALL=b"]);
});

Deno.test("an entrypoint is a word, a JSON list or nothing", () => {
  assertEquals(parseEntrypoint(undefined), undefined);
  assertEquals(parseEntrypoint(""), []);
  assertEquals(parseEntrypoint("sh -c"), ["sh -c"]);
  assertEquals(parseEntrypoint('["sh", "-c"]'), ["sh", "-c"]);
  assertEquals(parseEntrypoint("[oddly named"), ["[oddly named"]);
  assertEquals(parseEntrypoint("[1]"), ["[1]"]);
});

Deno.test("labels come from files first, then from the command line", () => {
  const labels = parseLabels(["b=2", "c", "d=e=f"], ["f"], () => "# comment\na=1\n\n b=0 \n");
  assertEquals(labels, { a: "1", b: "2", c: "", d: "e=f" });
  assertEquals(Object.hasOwn(parseLabels(["__proto__=x"], [], () => ""), "__proto__"), true);
  throws(() => parseLabels(["=x"], [], () => ""), { message: 'invalid label format: "=x"' });
});

Deno.test("the platform may be given in parts, but not twice", () => {
  assertEquals(options("--arch", "arm64", "--variant", "v8", "x").platform, "linux/arm64/v8");
  assertEquals(options("--platform", "linux/s390x", "x").platform, "linux/s390x");
  throws(() => options("--platform", "linux/amd64", "--arch", "arm64", "x"), {
    message: "--platform option can not be specified with --arch or --os",
  });
});

Deno.test("an empty --pod is none", () => {
  assertEquals(options("--pod", "web", "x").pod, "web");
  assertEquals(options("--pod=", "x").pod, undefined);
});

Deno.test("--pull takes a policy, a bool, or nothing", () => {
  assertEquals(options("x").pull, undefined);
  assertEquals(options("--pull", "x").pull, "always");
  assertEquals(options("--pull", "never", "x").pull, "never");
  assertEquals(options("--pull=false", "x").pull, "missing");
  throws(() => options("--pull=abc", "x"), { exitCode: 125 });
});

Deno.test("TLS is left to the registry's configuration unless it is named", () => {
  assertEquals(options("x").tlsVerify, undefined);
  assertEquals(options("--tls-verify=false", "x").tlsVerify, false);
});

Deno.test("--replace needs a name", () => {
  throws(() => options("--replace", "x"), { message: "cannot replace container without --name being set" });
});

Deno.test("a rarer option reaches the engine under its name there, and only where it is given", () => {
  const { ipc, addHosts, umask, passwd } = options(
    "--ipc=host",
    "--add-host",
    "a:::1",
    "--passwd=false",
    "x",
  );
  assertEquals({ ipc, addHosts, umask, passwd }, {
    ipc: "host",
    addHosts: ["a:::1"],
    umask: undefined,
    passwd: false,
  });
  assertEquals("passwd" in options("x"), false);
});
