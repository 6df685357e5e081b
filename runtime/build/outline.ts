/**
 * `--call targets` and `--call outline`: the stages of a Dockerfile, and what one of them is given. Pure; nothing is
 * pulled, so what an image would set is not known.
 *
 * @see BuildKit frontend/subrequests/outline, frontend/subrequests/targets
 */

import { BuildError } from "../errors.ts";
import { printable } from "../spec/printable.ts";
import type { ArgInstruction, Dockerfile, InstructionBase, RunInstruction, Stage } from "./dockerfile/ast.ts";
import { expandWord } from "./dockerfile/expand.ts";
import { mountSource } from "./plan/mount.ts";

export interface BuildTarget {
  /** "" where FROM gives none. */
  name: string;
  isDefault: boolean;
  description: string;
  /** As FROM names it, with its variables' values. */
  base: string;
  platform?: string;
  line: number;
}

export interface BuildOutline {
  name: string;
  description: string;
  args: { name: string; value: string; description: string; line: number }[];
  secrets: { name: string; required: boolean; line: number }[];
  ssh: { name: string; required: boolean; line: number }[];
  cache: { id: string; line: number }[];
}

/** In the order of the file; the default is the last, or the one that is asked for. */
export function targetsOf(dockerfile: Dockerfile, target?: string): BuildTarget[] {
  const lookup = globalLookup(dockerfile, {});
  const chosen = chosenStage(dockerfile, target);
  return dockerfile.stages.map((stage) => ({
    name: stage.name ?? "",
    isDefault: stage === chosen,
    description: descriptionOf(stage, stage.name ?? ""),
    base: expandWord(stage.base, lookup, dockerfile.directives.escape).text,
    ...(stage.platform === undefined ? {} : { platform: stage.platform }),
    line: stage.location.startLine,
  }));
}

/** Of the target and all stages that it needs. @throws {BuildError} where there is no such stage */
export function outlineOf(
  dockerfile: Dockerfile,
  target: string | undefined,
  given: Readonly<Record<string, string>>,
): BuildOutline {
  // names are the Dockerfile's, `constructor` among them
  const buildArgs = Object.assign(Object.create(null) as Record<string, string>, given);
  const stage = chosenStage(dockerfile, target);
  const lookup = globalLookup(dockerfile, buildArgs);
  const outline: BuildOutline = {
    name: stage.name ?? "",
    description: descriptionOf(stage, stage.name ?? ""),
    args: [],
    secrets: [],
    ssh: [],
    cache: [],
  };
  const { escape } = dockerfile.directives;
  for (const global of dockerfile.globalArgs) addArgs(outline, global, buildArgs, lookup, escape);
  for (const one of neededStages(dockerfile, stage, lookup)) {
    const values = new Map<string, string>();
    const known = (name: string) => values.get(name);
    for (const instruction of one.instructions) {
      if (instruction.keyword === "ENV") {
        for (const { key, value } of instruction.pairs) {
          values.set(key, expandWord(value, known, escape).text);
        }
      } else if (instruction.keyword === "ARG") {
        for (const { name, value } of instruction.args) {
          const given = buildArgs[name] ??
            (value === undefined ? lookup(name) : expandWord(value, known, escape).text);
          if (given !== undefined) values.set(name, given);
        }
        addArgs(outline, instruction, buildArgs, (name) => values.get(name), escape);
      } else if (instruction.keyword === "RUN") addMounts(outline, instruction);
    }
  }
  return outline;
}

function chosenStage({ stages }: Dockerfile, target: string | undefined): Stage {
  const found = target === undefined
    ? stages.at(-1)
    : stages.findLast(({ name }) => name === target.toLowerCase()) ??
      (/^\d+$/.test(target) ? stages[Number(target)] : undefined);
  if (found === undefined) {
    throw new BuildError(`target stage "${printable(target ?? "")}" could not be found`);
  }
  return found;
}

/** What FROM knows: arguments before the first one. */
function globalLookup(
  { globalArgs, directives }: Dockerfile,
  buildArgs: Readonly<Record<string, string>>,
): (name: string) => string | undefined {
  const values = new Map<string, string>();
  for (const { name, value } of globalArgs.flatMap(({ args }) => args)) {
    const chosen = buildArgs[name] ??
      (value === undefined ? undefined : expandWord(value, (one) => values.get(one), directives.escape).text);
    if (chosen !== undefined) values.set(name, chosen);
  }
  return (name) => values.get(name);
}

/** The stage, what it stands on and copies from, in the order of the file. */
function neededStages(
  dockerfile: Dockerfile,
  target: Stage,
  lookup: (name: string) => string | undefined,
): Stage[] {
  const { stages, directives } = dockerfile;
  const needed = new Set([target]);
  for (const stage of needed) {
    const before = stages.slice(0, stages.indexOf(stage));
    const add = (name: string | undefined) => {
      if (name === undefined) return;
      const found = before.findLast((one) => one.name === name.toLowerCase()) ??
        (/^\d+$/.test(name) ? before[Number(name)] : undefined);
      if (found !== undefined) needed.add(found);
    };
    add(expandWord(stage.base, lookup, directives.escape).text);
    for (const instruction of stage.instructions) {
      if (instruction.keyword === "COPY") add(instruction.flags.from);
      else if (instruction.keyword === "RUN") {
        for (const { fields } of instruction.mounts) add(mountSource(fields));
      }
    }
  }
  return stages.filter((stage) => needed.has(stage));
}

function addArgs(
  outline: BuildOutline,
  instruction: ArgInstruction,
  buildArgs: Readonly<Record<string, string>>,
  lookup: (name: string) => string | undefined,
  escape: string,
): void {
  for (const { name, value } of instruction.args) {
    if (outline.args.some((known) => known.name === name)) continue;
    outline.args.push({
      name,
      value: buildArgs[name] ??
        (value === undefined ? lookup(name) ?? "" : expandWord(value, lookup, escape).text),
      description: descriptionOf(instruction, name),
      line: instruction.location.startLine,
    });
  }
}

function addMounts(outline: BuildOutline, { mounts, location: { startLine: line } }: RunInstruction): void {
  for (const { fields } of mounts) {
    const field = (...keys: string[]) =>
      fields.findLast(({ key }) => keys.includes(key.toLowerCase()))?.value;
    const target = field("target", "dst", "destination");
    const required = /^(1|t|true)$/i.test(field("required") ?? "");
    switch (field("type")) {
      case "secret":
        addOnce(outline.secrets, {
          name: field("id", "source", "src") ?? target?.split("/").at(-1) ?? "",
          required,
          line,
        });
        break;
      case "ssh":
        addOnce(outline.ssh, { name: field("id", "source", "src") ?? "default", required, line });
        break;
      case "cache": {
        const id = field("id") ?? target ?? "";
        if (!outline.cache.some((known) => known.id === id)) outline.cache.push({ id, line });
      }
    }
  }
}

function addOnce(list: BuildOutline["secrets"], one: BuildOutline["secrets"][number]): void {
  const known = list.find(({ name }) => name === one.name);
  if (known === undefined) list.push(one);
  else known.required ||= one.required;
}

/** Of the comment directly above, which begins with the name: `# VERSION is what is built`. */
function descriptionOf({ comments = [] }: InstructionBase, name: string): string {
  const text = comments.at(-1)?.trim() ?? "";
  return name !== "" && text.toLowerCase().startsWith(`${name.toLowerCase()} `)
    ? text.slice(name.length).trim()
    : "";
}
