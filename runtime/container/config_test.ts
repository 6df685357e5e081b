import { deepStrictEqual as assertEquals, throws } from "node:assert";
import type { CreateOptions } from "./options.ts";
import { argvOf } from "./argv.ts";
import { type ConfigFacts, networkContainerOf, resolveConfig } from "./config.ts";

const facts = (change: Partial<ConfigFacts> = {}): ConfigFacts => ({
  id: "ab".repeat(32),
  name: "brave_hopper",
  createdAt: "2026-01-01T00:00:00Z",
  root: { kind: "image", id: "cd".repeat(32), digest: "sha256:x", diffIds: [] },
  imageName: "docker.io/library/x:latest",
  image: {
    architecture: "amd64",
    os: "linux",
    rootfs: { type: "layers", diff_ids: [] },
    config: {
      Entrypoint: ["/entry"],
      Cmd: ["serve"],
      Env: ["A=image"],
      WorkingDir: "/srv/",
      User: "www",
      Labels: { a: "image", b: "image" },
      Volumes: { "/data": {} },
      StopSignal: "SIGQUIT",
    },
  },
  containerDir: "/c",
  storageDriver: "overlay",
  fileEnv: [],
  caller: {
    uid: 1000,
    gid: 100,
    hostname: "machine",
    workingFolder: "/here",
    hardLimit: () => 4096,
    readFile: () => "{}",
  },
  ...change,
});
const resolve = (options: Partial<CreateOptions> = {}, change: Partial<ConfigFacts> = {}) =>
  resolveConfig({ image: "x", command: [], ...options }, facts(change));

Deno.test("without options the image decides", () => {
  const config = resolve();
  assertEquals(argvOf(config), ["/entry", "serve"]);
  assertEquals(config.workdir, "/srv");
  assertEquals(config.user, "www");
  assertEquals(config.stopSignal, 3);
  assertEquals(config.labels, { a: "image", b: "image" });
  assertEquals(config.hostname, "abababababab");
  assertEquals(config.network, { mode: "slirp" });
  assertEquals(config.shmBytes, 67108864);
  assertEquals(config.mounts.map((mount) => mount.destination), ["/data"]);
});

Deno.test("words after the image replace its command and keep its entrypoint", () => {
  assertEquals(argvOf(resolve({ command: ["x", "y"] })), ["/entry", "x", "y"]);
});

Deno.test("an entrypoint of the caller drops the image's command", () => {
  assertEquals(argvOf(resolve({ entrypoint: ["/bin/sh", "-c"], command: ["true"] })), [
    "/bin/sh",
    "-c",
    "true",
  ]);
  assertEquals(argvOf(resolve({ entrypoint: ["/bin/sh"] })), ["/bin/sh"]);
});

Deno.test("nothing to run is refused", () => {
  throws(() => resolve({ entrypoint: [] }), {
    message:
      `create container from "x": no command or entrypoint provided, and no CMD or ENTRYPOINT from image`,
  });
});

Deno.test("labels of the caller win over the image's", () => {
  assertEquals(resolve({ labels: { b: "user", c: "user" } }).labels, { a: "image", b: "user", c: "user" });
});

Deno.test("keep-id runs as the caller unless a user is named", () => {
  assertEquals(resolve({ userns: "keep-id" }).user, "1000:100");
  assertEquals(resolve({ userns: "keep-id", user: "0" }).user, "0");
});

Deno.test("the host name follows the network", () => {
  assertEquals(resolve({ network: "host" }).hostname, "machine");
  const other = { id: "ef".repeat(32), hostname: "other" };
  const joined = { networkContainer: other, network: { mode: "container", id: other.id } } as const;
  const config = resolve({ network: "container:o" }, joined);
  assertEquals([config.hostname, config.network], ["other", { mode: "container", id: other.id }]);
  assertEquals(resolve({ network: "container:o", hostname: "h" }, joined).hostname, "h");
});

Deno.test("what does not work yet is refused, never swallowed", () => {
  const cases: [Partial<CreateOptions>, string][] = [
    [{ userns: "auto" }, `use user namespace "auto": only host, keep-id and nomap are supported`],
    [
      { logDriver: "gelf" },
      `use log driver "gelf": only k8s-file, json-file, journald, none, passthrough, passthrough-tty are supported`,
    ],
    [{ logOpt: ["tag=x"] }, `set log option "tag=x": only path and max-size are supported`],
    [{ logOpt: ["max-size=x"] }, `set log option "max-size=x": invalid value`],
    [{ workdir: "foo" }, `set working directory "foo": it needs to be an absolute path`],
    [{ shmSize: "x" }, `set --shm-size: invalid size: "x"`],
    [{ hostname: "a b" }, `set hostname "a b": invalid host name`],
    [{ securityOpt: ["foo"] }, `set security option "foo": invalid --security-opt`],
    [
      { securityOpt: ["label=type:x"] },
      `set security option "label=type:x": SELinux labels are not supported`,
    ],
  ];
  for (const [options, message] of cases) throws(() => resolve(options), { message }, message);
});

Deno.test("security options become data", () => {
  const words = ["no-new-privileges", "seccomp=/p.json", "unmask=/proc/kcore:/sys/firmware", "label=disable"];
  assertEquals(resolve({ securityOpt: words }).security, {
    seccomp: { kind: "profile", path: "/p.json", json: "{}" },
    noNewPrivileges: true,
    mask: [],
    unmask: ["/proc/kcore", "/sys/firmware"],
  });
});

Deno.test("a log may be limited and elsewhere", () => {
  assertEquals(resolve({ logDriver: "json-file", logOpt: ["max-size=10m", "path=/l/../log"] }).log, {
    driver: "json-file",
    path: "/log",
    maxSize: 10485760,
  });
});

Deno.test("the container of a network choice is found", () => {
  assertEquals(networkContainerOf("container:x"), "x");
  assertEquals(networkContainerOf("host"), undefined);
});
