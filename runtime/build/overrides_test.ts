import { assertEquals, messageOf } from "../../tests/assertions.ts";
import { overrideDockerfile, stripConfig } from "./overrides.ts";
import type { Dockerfile } from "./dockerfile/ast.ts";

const location = { startLine: 1, endLine: 1 };
const stage = (base: string, name?: string) => ({ base, name, original: "", location, instructions: [] });
const FILE: Dockerfile = {
  fileName: "Dockerfile",
  lines: [],
  directives: { escape: "\\", check: { skip: [], skipAll: false, error: false, experimental: [] } },
  globalArgs: [],
  emptyContinuations: [],
  stages: [stage("debian", "one"), stage("one"), stage("alpine")],
};

Deno.test("--from replaces the first image only", () => {
  const { stages } = overrideDockerfile(FILE, { from: "busybox", env: [] });
  assertEquals(stages.map(({ base }) => base), ["busybox", "one", "alpine"]);
});

Deno.test("--env is set where a stage begins with an image, and nothing in it is expanded", async () => {
  const { stages } = overrideDockerfile(FILE, { env: ["A=$B it's"] });
  const pairs = [{ key: "A", value: `'$B it'"'"'s'` }];
  assertEquals(
    stages.map(({ instructions }) => instructions.map((one) => one.keyword === "ENV" && one.pairs)),
    [[pairs], [], [pairs]],
  );
  // as for run, which would not start the image
  const message = await messageOf(() => overrideDockerfile(FILE, { env: ["=x"] }));
  assertEquals(message, 'set environment: invalid variable "=x"');
});

Deno.test("variables, labels and the history can be left out", () => {
  const image = {
    architecture: "amd64",
    os: "linux",
    config: { Env: ["A=1", "AB=2"], Labels: { x: "1", y: "2" } },
    rootfs: { type: "layers" as const, diff_ids: [] },
    history: [{ created_by: "x" }],
  };
  assertEquals(stripConfig(image, { unsetEnv: ["A"], unsetLabel: ["y"], omitHistory: true }), {
    architecture: "amd64",
    os: "linux",
    config: { Env: ["AB=2"], Labels: { x: "1" } },
    rootfs: { type: "layers", diff_ids: [] },
  });
  assertEquals(stripConfig(image, { unsetEnv: [], unsetLabel: [], omitHistory: false }), image);
});
