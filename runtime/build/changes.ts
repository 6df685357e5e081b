/**
 * `--change` of `commit` and `import`: instructions of a Dockerfile that alter the config alone, read and applied as
 * a build does. Pure.
 *
 * @see podman-commit(1), podman-import(1), --change; docker commit
 */

import { InvalidArgumentError } from "../errors.ts";
import type { ImageRunConfig } from "../spec/image.ts";
import type { Instruction } from "./dockerfile/ast.ts";
import { expandWord, expandWords } from "./dockerfile/expand.ts";
import { parseDockerfile } from "./dockerfile/parse.ts";
import {
  applyToConfig,
  CONFIG_KEYWORDS,
  type ConfigInstruction,
  type ConfigTarget,
} from "./plan/config_effects.ts";
import { resolvePath } from "./plan/paths.ts";
import { splitVariable, Variables } from "./plan/variables.ts";

/** Applies `CMD /bin/sh`, `ENV=a=b`, … in turn. @throws {InvalidArgumentError} naming the change */
export function applyChanges(config: ImageRunConfig, changes: readonly string[]): ImageRunConfig {
  const run = { ...config };
  const variables = new Variables((run.Env ?? []).map(splitVariable));
  const lookup = (name: string) => variables.get(name);
  const target: ConfigTarget = {
    run,
    // for podman, too, a CMD that was there stays
    isCmdSet: true,
    expand: (word) => expandWord(word, lookup).text,
    expandAll: (word) => expandWords(word, lookup).words,
    setVariable: (name, value) => variables.set(name, value),
  };
  for (const change of changes) {
    try {
      const instruction = readChange(change);
      if (instruction.keyword !== "WORKDIR") applyToConfig(target, instruction as ConfigInstruction);
      else run.WorkingDir = resolvePath(run.WorkingDir || "/", target.expand(instruction.words[0] ?? ""));
    } catch (cause) {
      const reason = (cause as Error).message.replace(/^dockerfile parse error on line \d+: /, "");
      throw new InvalidArgumentError(`invalid change "${change}" - ${reason}`, { cause });
    }
  }
  return run;
}

const KEYWORDS: readonly string[] = [...CONFIG_KEYWORDS, "WORKDIR"];

/** Its text is one line of a Dockerfile, or several that belong together. */
function readChange(change: string): Instruction {
  const [, key, value] = /^\s*([A-Za-z]+)(?:=|\s+)([\s\S]*\S)\s*$/.exec(change) ?? [];
  if (key === undefined || value === undefined) throw new Error("must be formatted as KEY VALUE");
  const keyword = key.toUpperCase();
  if (!KEYWORDS.includes(keyword)) throw new Error(`invalid instruction ${keyword}`);
  const { stages } = parseDockerfile(`FROM scratch\n${key} ${value}\n`, "change");
  const [stage] = stages;
  if (stages.length !== 1 || stage?.instructions.length !== 1) throw new Error("it is not one instruction");
  return stage.instructions[0]!;
}
