import { deepStrictEqual as assertEquals, notDeepStrictEqual as assertDiffer } from "node:assert";
import type { Digest } from "../spec/digest.ts";
import { snapshotKey, stepKey } from "./cache_key.ts";
import type { CopyStep, RunMount, RunStep } from "./step.ts";

const RUN: RunStep = {
  kind: "run",
  base: { kind: "scratch" },
  argv: ["/bin/sh", "-c", "make"],
  env: ["PATH=/bin"],
  proxyEnv: [],
  workdir: "/",
  user: "",
  mounts: [],
  network: "default",
  security: "sandbox",
  scripts: [],
  hosts: [],
  platform: { os: "linux", architecture: "amd64" },
};
const COPY: CopyStep = {
  kind: "copy",
  base: { kind: "scratch" },
  add: false,
  sources: [{ from: { kind: "context" }, pattern: "a" }],
  destination: "/a",
  link: false,
  parents: false,
  exclude: [],
};
const SECRET: RunMount = {
  type: "secret",
  id: "t",
  target: "/t",
  required: true,
  mode: 0o400,
  uid: 0,
  gid: 0,
};
const BIND: RunMount = {
  type: "bind",
  target: "/m",
  from: { kind: "context" },
  source: "/",
  readWrite: false,
};

const same: [what: string, a: string, b: string][] = [
  ["proxies", stepKey({ ...RUN, proxyEnv: ["http_proxy=x"] }, "b", []), stepKey(RUN, "b", [])],
  ["hosts", stepKey({ ...RUN, hosts: ["h:1"] }, "b", []), stepKey(RUN, "b", [])],
  [
    "which stage a file is from",
    stepKey({ ...COPY, sources: [{ from: { kind: "step", step: 3 }, pattern: "a" }] }, "b", ["x"]),
    stepKey(COPY, "b", ["x"]),
  ],
  [
    "where a mount's files are from",
    stepKey({ ...RUN, mounts: [{ ...BIND, from: { kind: "step", step: 1 } }] }, "b", ["x"]),
    stepKey({ ...RUN, mounts: [BIND] }, "b", ["x"]),
  ],
];

for (const [what, a, b] of same) {
  Deno.test(`a key does not tell ${what}`, () => assertEquals(a, b));
}

const different: [what: string, a: string, b: string][] = [
  ["the base", stepKey(RUN, "b", []), stepKey(RUN, "c", [])],
  ["the command", stepKey(RUN, "b", []), stepKey({ ...RUN, argv: ["make"] }, "b", [])],
  ["a variable", stepKey(RUN, "b", []), stepKey({ ...RUN, env: ["PATH=/usr/bin"] }, "b", [])],
  ["the user", stepKey(RUN, "b", []), stepKey({ ...RUN, user: "www" }, "b", [])],
  ["the network", stepKey(RUN, "b", []), stepKey({ ...RUN, network: "none" }, "b", [])],
  ["a secret's id", stepKey({ ...RUN, mounts: [SECRET] }, "b", [""]), stepKey(RUN, "b", [""])],
  ["what is read", stepKey(COPY, "b", ["x"]), stepKey(COPY, "b", ["y"])],
  ["the destination", stepKey(COPY, "b", ["x"]), stepKey({ ...COPY, destination: "/b" }, "b", ["x"])],
  ["owners", stepKey(COPY, "b", ["x"]), stepKey({ ...COPY, chown: "1" }, "b", ["x"])],
  ["ADD and COPY", stepKey(COPY, "b", ["x"]), stepKey({ ...COPY, add: true }, "b", ["x"])],
  ["--link", stepKey(COPY, "b", ["x"]), stepKey({ ...COPY, link: true }, undefined, ["x"])],
  ["times", stepKey(COPY, "b", ["x"]), stepKey(COPY, "b", ["x"], { seconds: 0, apply: "all" })],
];

for (const [what, a, b] of different) {
  Deno.test(`a key tells ${what}`, () => assertDiffer(a, b));
}

Deno.test("files are known by their layers", () => {
  const layer = (char: string, mediaType = "tar") => {
    const diffId = `sha256:${char.repeat(64)}` as Digest;
    return { diffId, digest: diffId, size: 1, mediaType };
  };
  assertEquals(snapshotKey({ layers: [] }), "");
  assertEquals(snapshotKey({ layers: [layer("a")] }), snapshotKey({ layers: [layer("a", "gzip")] }));
  assertDiffer(
    snapshotKey({ layers: [layer("a"), layer("b")] }),
    snapshotKey({ layers: [layer("b"), layer("a")] }),
  );
});
