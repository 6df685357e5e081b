import { deepStrictEqual as assertEquals, throws } from "node:assert";
import { mergeEnv } from "./env.ts";
import { parseNamespace } from "./namespace_options.ts";
import {
  parseAnnotations,
  parsePersonality,
  parseSysctls,
  parseUmask,
  proxyVariables,
  resolveEnvExtras,
} from "./process_options.ts";

Deno.test("only parameters of a namespace of the container's own can be set", () => {
  const parse = (word: string, namespaces = {}, network?: string) =>
    parseSysctls([word], namespaces, network);
  assertEquals(parse("net.ipv4.ip_forward=1"), { "net.ipv4.ip_forward": "1" });
  assertEquals(parse("net/ipv4/conf/eth0.1/forwarding=1"), { "net/ipv4/conf/eth0.1/forwarding": "1" });
  assertEquals(parse("kernel.msgmax=9=9"), { "kernel.msgmax": "9=9" });
  for (
    const name of [
      "vm.swappiness",
      "kernel.hostname",
      "kernel.core_pattern",
      "net..x",
      "fs.file-max",
      "network.x",
    ]
  ) {
    throws(() => parse(`${name}=1`), { message: `sysctl '${name}' is not allowed` });
  }
  throws(() => parse("foo"), { message: "foo is invalid, sysctl values must be in the form of KEY=VALUE" });
  throws(() => parse("net.a=1", {}, "host"), {
    message: "sysctl net.a=1 can't be set since Network Namespace set to host: invalid argument",
  });
  throws(() => parse("net.a=1", {}, "ns:/proc/7/ns/net"), /Network Namespace set to ns:/);
  throws(() => parse("kernel.sem=1", { ipc: { mode: "host" } }), /IPC Namespace set to host/);
});

Deno.test("a umask is up to four octal digits, an annotation a pair", () => {
  assertEquals(["077", "7", "0022", "1777"].map(parseUmask), [0o77, 7, 0o22, 0o777]);
  for (const bad of ["9", "01777", "", "x"]) {
    throws(() => parseUmask(bad), { message: `invalid umask string ${bad}: invalid argument` });
  }
  assertEquals(parseAnnotations(["a=b=c", "d="]), { a: "b=c", d: "" });
  throws(() => parseAnnotations(["c"]), { message: "annotations must be formatted KEY=VALUE" });
});

Deno.test("the execution domain is one of the two that the runtime specification has", () => {
  assertEquals(["", "LINUX", "LINUX32"].map(parsePersonality), [
    undefined,
    { domain: "LINUX" },
    { domain: "LINUX32" },
  ]);
  for (const bad of ["linux32", "ADDR_NO_RANDOMIZE", "8"]) {
    throws(() => parsePersonality(bad), {
      message: `unknown persona specified \`${bad}\`: it is LINUX or LINUX32`,
    });
  }
});

Deno.test("the image's variables can be removed, built upon, and lie over the caller's", () => {
  const caller = { HOME: "/home/u", A: "caller" };
  const edit = (options: Record<string, unknown>, user: string[] = []) => {
    const extras = resolveEnvExtras({ image: "x", command: [], ...options }, caller);
    const facts = { tty: false, hostname: "h" };
    return mergeEnv({ ...extras, image: ["PATH=/bin", "A=image"], files: [], user }, facts);
  };
  assertEquals(edit({}), ["PATH=/bin", "container=oci", "HOSTNAME=h", "A=image"]);
  assertEquals(edit({ envHost: true }), [
    "PATH=/bin",
    "container=oci",
    "HOSTNAME=h",
    "HOME=/home/u",
    "A=image",
  ]);
  assertEquals(edit({ unsetEnv: ["PATH", "none"] }), ["container=oci", "HOSTNAME=h", "A=image"]);
  assertEquals(edit({ unsetEnvAll: true }, ["B=1"]), ["HOSTNAME=h", "B=1"]);
  assertEquals(edit({ unsetEnv: ["A"] }, ["A=user"]).at(-1), "A=user");
  assertEquals(edit({ envMerge: ["PATH=${PATH}:/x$A$NONE"] })[0], "PATH=/bin:/ximage");
});

Deno.test("the caller's proxies are those of the known names", () => {
  assertEquals(proxyVariables({ http_proxy: "a", NO_PROXY: "b", other_proxy: "c" }), [
    "http_proxy=a",
    "NO_PROXY=b",
  ]);
});

Deno.test("a namespace is the container's own, the machine's, another's or one at a path", () => {
  assertEquals(parseNamespace("pid", "private"), undefined);
  assertEquals(parseNamespace("ipc", "private"), { mode: "private" });
  assertEquals(parseNamespace("ipc", "shareable"), undefined);
  assertEquals(parseNamespace("uts", "container:web"), { mode: "container", id: "web" });
  assertEquals(parseNamespace("pid", "ns:/proc/self/ns/pid"), { mode: "path", path: "/proc/self/ns/pid" });
  assertEquals(parseNamespace("cgroup", "host"), { mode: "host" });
  throws(() => parseNamespace("pid", "none"), { message: "unrecognized namespace mode none passed" });
  throws(() => parseNamespace("uts", "ns:/nope"), {
    message: "cannot find specified UTS namespace path: stat /nope: no such file or directory",
  });
  throws(() => parseNamespace("cgroup", "container:x"), /only private and host/);
});
