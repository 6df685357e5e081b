import { deepStrictEqual as assertEquals } from "node:assert";
import type { Flags } from "./command.ts";
import { CREATE_FLAGS } from "./flags/create.ts";
import { parseLine, UnknownFlagError } from "./parser.ts";
import { explainUnknownFlag, explainUnknownVerb } from "./unavailable.ts";
import { findVerb } from "./find_verb.ts";
import { ALL_GROUPS, VERBS } from "./verbs.ts";

function explain(word: string, path = "skiff run", flags: Flags = CREATE_FLAGS): [string, string] {
  try {
    parseLine([word], flags, path);
  } catch (error) {
    const { name, message } = explainUnknownFlag(error as UnknownFlagError, path, flags);
    return [name, message];
  }
  throw new Error(`${word} is known`);
}

Deno.test("an option that podman or docker has is said to be not available yet, and why", () => {
  assertEquals(explain("--memory=1g"), [
    "UnsupportedError",
    "--memory is not available yet: resource limits are not set yet",
  ]);
  assertEquals(explain("-c"), [
    "UnsupportedError",
    "-c is not available yet: resource limits are not set yet",
  ]);
  assertEquals(explain("--ulimit=nofile=10", "skiff container update", {}), [
    "UnsupportedError",
    "--ulimit is not available yet: the limits of a program are set when it is started",
  ]);
  assertEquals(explain("--build-cache", "skiff image prune", {}), [
    "UnsupportedError",
    "--build-cache is not available yet: what builds have kept is removed by builder prune",
  ]);
  assertEquals(explain("--use-api-socket"), ["UnsupportedError", "--use-api-socket is not available yet"]);
});

Deno.test("a slip of the finger is pointed out", () => {
  assertEquals(explain("--nmae"), [
    "UnknownFlagError",
    "unknown flag: --nmae\n\nDid you mean this?\n\t--name\n",
  ]);
  assertEquals(explain("--foo"), ["UnknownFlagError", "unknown flag: --foo"]);
  assertEquals(explain("-Z"), ["UnknownFlagError", "unknown shorthand flag: 'Z' in -Z"]);
});

Deno.test("no option that works is on the list of reasons", () => {
  for (const name of Object.keys(CREATE_FLAGS)) {
    const error = new UnknownFlagError(`unknown flag: --${name}`, `--${name}`, "");
    assertEquals(explainUnknownFlag(error, "skiff run", {}).message.includes("yet:"), false, name);
  }
});

Deno.test("a command of docker or podman is said to be not available yet", () => {
  const unknown = (words: string) => {
    const found = findVerb(words.split(" "));
    if (found.kind !== "unknown") throw new Error(`${words} is known`);
    const { message, hint } = explainUnknownVerb(found);
    return [message, hint];
  };
  assertEquals(unknown("farm a"), [
    "`skiff farm` is not available yet",
    "Try 'skiff --help' for what is",
  ]);
  assertEquals(unknown("image scp"), [
    "`skiff image scp` is not available yet",
    "Try 'skiff image --help' for what is",
  ]);
  assertEquals(unknown("imges"), [
    "unrecognized command `skiff imges`\n\nDid you mean this?\n\timages\n\timage\n",
    "Try 'skiff --help' for more information",
  ]);
});

Deno.test("a command is pointed to where it is", () => {
  const meant = (words: string) => {
    const found = findVerb(words.split(" "));
    if (found.kind !== "unknown") throw new Error(`${words} is known`);
    return explainUnknownVerb(found).message.split("\n\t").slice(1).map((line) => line.trim());
  };
  assertEquals(meant("volume cp"), ["skiff cp"]);
  assertEquals(meant("prune").filter((line) => line.includes(" ")), [
    "skiff container prune",
    "skiff image prune",
    "skiff network prune",
    "skiff pod prune",
    "skiff system prune",
    "skiff volume prune",
    "skiff builder prune",
    "skiff buildx prune",
  ]);
});

Deno.test("nothing that is there is said to be missing", async () => {
  for (const verb of [...VERBS, ...ALL_GROUPS.flatMap(({ verbs }) => verbs)]) {
    const { command } = await verb.load();
    for (const name of Object.keys(command.flags)) {
      const error = new UnknownFlagError("", `--${name}`, "");
      assertEquals(explainUnknownFlag(error, "skiff none", {}).message, "", `${verb.name} --${name}`);
    }
    const lookup = { kind: "unknown", path: "skiff x", typed: verb.name } as const;
    assertEquals(explainUnknownVerb(lookup).name, "SkiffError", verb.name);
  }
});
