/**
 * Checks that need nothing but the file, and the arguments before its first FROM.
 *
 * @see BuildKit frontend/dockerfile/dockerfile2llb/convert.go and instructions/parse.go, `lint.Run`
 */

import { BuildError } from "../../errors.ts";
import { parsePlatform } from "../../image/platform.ts";
import { parseReference } from "../../image/reference.ts";
import type { Platform } from "../../spec/image.ts";
import type { Dockerfile, Instruction, InstructionBase, Stage } from "./ast.ts";
import type { Checker } from "./checker.ts";
import { splitBlanks } from "./characters.ts";
import { type Expanded, expandWord, type Lookup } from "./expand.ts";
import { cutFlags } from "./flags.ts";
import { nearest } from "./suggest.ts";

export interface GlobalArguments {
  /** With `--build-arg`. */
  lookup: Lookup;
  /** All that are set. */
  names: readonly string[];
  /** As if no `--build-arg` were given: automatic ones, and the file's own values. */
  defaults: Lookup;
}

const RESERVED_NAMES = ["context", "scratch"];

/** What is wrong with the file as a whole, and with its FROMs; stages that are not built included. */
export function checkFile(checker: Checker, globals: GlobalArguments): void {
  const { file } = checker;
  checkParsed(checker);
  checkCasing(checker, file);
  checkDuplicates(checker, file);
  for (const stage of file.stages) {
    try {
      checkBase(checker, stage, globals);
    } catch (error) {
      // the plan fails of it, and says where
      if (!(error instanceof BuildError)) throw error;
    }
  }
}

/** What is seen when a line is parsed: said of those above a mistake, too. */
export function checkParsed(checker: Checker): void {
  const { file } = checker;
  for (const line of file.emptyContinuations) {
    checker.report("NoEmptyContinuation", { startLine: line, endLine: line });
  }
  for (const { instructions } of file.stages) {
    for (const { keyword, location } of instructions) {
      if (keyword === "MAINTAINER") checker.report("MaintainerDeprecated", location);
    }
  }
  const all = [...file.globalArgs, ...file.stages.flatMap(({ instructions }) => instructions)];
  for (const instruction of all) {
    if (instruction.keyword !== "ARG") continue;
    checkDescription(checker, instruction, "ARG", instruction.args.map(({ name }) => name));
  }
  checkStageNames(checker, file);
}

/** What is wrong with the instructions of a stage, as far as they alone tell. */
export function checkStage(checker: Checker, { instructions }: Stage): void {
  const last = new Map<string, Instruction>();
  for (const instruction of instructions) {
    const { keyword, location } = instruction;
    if (keyword === "ENV" || keyword === "LABEL") {
      if (instruction.isLegacy) checker.report("LegacyKeyValueFormat", location, writtenKeyword(instruction));
    }
    if (keyword === "ENV" || keyword === "ARG") {
      const names = keyword === "ENV"
        ? instruction.pairs.map(({ key }) => key)
        : instruction.args.map(({ name }) => name);
      for (const name of names.filter(isSecretName)) {
        checker.report("SecretsUsedInArgOrEnv", location, keyword, name);
      }
    }
    if (keyword === "CMD" || keyword === "ENTRYPOINT" || keyword === "HEALTHCHECK") {
      // The one before is the one that goes for nothing.
      const before = last.get(keyword);
      if (before) {
        checker.report("MultipleInstructionsDisallowed", before.location, writtenKeyword(instruction));
      }
      last.set(keyword, instruction);
    }
  }
}

/** `from`, `FROM`, `From`. */
export function writtenKeyword({ original }: InstructionBase): string {
  return splitBlanks(original)[0]!;
}

/** Every keyword is to have the case that most have; upper case where they are even. */
function checkCasing(checker: Checker, { stages }: Dockerfile): void {
  const all = stages.flatMap((stage): InstructionBase[] => [stage, ...stage.instructions]);
  const words = all.map(writtenKeyword);
  const lower = words.filter((word) => word === word.toLowerCase()).length;
  const upper = words.filter((word) => word === word.toUpperCase()).length;
  const isLower = lower > upper;
  for (const [index, word] of words.entries()) {
    if (word === (isLower ? word.toLowerCase() : word.toUpperCase())) continue;
    const casing = isLower ? "lowercase" : "uppercase";
    checker.report("ConsistentInstructionCasing", all[index]!.location, word, casing);
  }
}

function checkStageNames(checker: Checker, { stages }: Dockerfile): void {
  for (const stage of stages) {
    if (stage.name === undefined) continue;
    const { location } = stage;
    const [from, as, name] = writtenFrom(stage);
    if (name !== name.toLowerCase()) checker.report("StageNameCasing", location, name);
    const isLower = from === from.toLowerCase();
    const isUpper = from === from.toUpperCase();
    if ((isLower || isUpper) && as !== (isLower ? as.toLowerCase() : as.toUpperCase())) {
      checker.report("FromAsCasing", location, from, as);
    }
    checkDescription(checker, stage, "FROM", [stage.name]);
  }
}

function checkDuplicates(checker: Checker, { stages }: Dockerfile): void {
  const seen = new Set<string>();
  for (const { name, location } of stages) {
    if (name === undefined) continue;
    if (RESERVED_NAMES.includes(name)) checker.report("ReservedStageName", location, name);
    if (seen.has(name)) checker.report("DuplicateStageName", location, name);
    seen.add(name);
  }
}

/** Of `FROM --flag image AS name`: FROM, AS and the name as they are written. */
function writtenFrom(stage: Stage): [from: string, as: string, name: string] {
  const from = writtenKeyword(stage);
  const [, rest] = cutFlags(stage.original.slice(from.length));
  const [, as, name] = splitBlanks(rest);
  return [from, as!, name!];
}

/** The comment above a definition describes it, and begins with its name. */
function checkDescription(
  checker: Checker,
  { comments = [], location }: InstructionBase,
  keyword: string,
  names: readonly string[],
): void {
  const last = comments.at(-1);
  if (last === undefined || names.length === 0 || names.includes(last.split(" ")[0]!)) return;
  const example = names.length > 1 ? "<arg_key>" : names[0]!;
  checker.report("InvalidDefinitionDescription", location, keyword, example);
}

function checkBase(checker: Checker, stage: Stage, globals: GlobalArguments): void {
  const { escape } = checker.file.directives;
  const { location, base } = stage;
  checkDeclared(checker, stage, expandWord(base, globals.lookup, escape), globals);
  const isId = /^[0-9a-f]{64}$/.test(base);
  if (!isId && !isReferenceByDefault(base, globals.defaults, escape)) {
    checker.report("InvalidDefaultArgInFrom", location, base);
  }
  if (stage.platform === undefined) return;
  const platform = expandWord(stage.platform, globals.lookup, escape);
  checkDeclared(checker, stage, platform, globals);
  const { text, used, unset } = platform;
  if (used.size === 1 && unset.size === 0 && used.has("TARGETPLATFORM")) {
    if (text === globals.lookup("TARGETPLATFORM")) {
      checker.report("RedundantTargetPlatform", location, stage.platform);
    }
  }
  if (used.size > 0 || unset.size > 0) return;
  const known = platformOf(text);
  // A stage that is called after its platform is for that one alone.
  const isNamed = known && [known.os, known.architecture].some((word) => stage.name?.includes(word));
  if (known && !isNamed) checker.report("FromPlatformFlagConstDisallowed", location, text);
}

function checkDeclared(checker: Checker, stage: Stage, { unset }: Expanded, globals: GlobalArguments): void {
  const declared = checker.file.globalArgs.flatMap(({ args }) => args.map(({ name }) => name));
  for (const name of unset) {
    if (declared.includes(name)) continue;
    const near = nearest(name, [...declared, ...globals.names]) ?? "";
    checker.report("UndefinedArgInFrom", stage.location, name, near);
  }
}

function isReferenceByDefault(base: string, defaults: Lookup, escape: string): boolean {
  let text: string;
  try {
    text = expandWord(base, defaults, escape).text;
  } catch {
    return true; // `${name:?}` says itself that it has no default
  }
  try {
    parseReference(text);
    return true;
  } catch {
    return false;
  }
}

function platformOf(text: string): Platform | undefined {
  try {
    return parsePlatform(text);
  } catch {
    return undefined;
  }
}

const SECRET_WORD =
  /(?:_|^)(?:apikey|auth|credential|credentials|key|password|pword|passwd|secret|token)(?:_|$)/i;
const PUBLIC_WORD = /(?:_|^)public(?:_|$)/i;

function isSecretName(name: string): boolean {
  return SECRET_WORD.test(name) && !PUBLIC_WORD.test(name);
}
