/** Checks that need what a stage knows while it is planned: its variables, its shell, what .dockerignore leaves out. */

import { formatPlatform, platformFits } from "../../image/platform.ts";
import type { CopyInstruction, Instruction } from "../dockerfile/ast.ts";
import { checkFile, checkStage, writtenKeyword } from "../dockerfile/checks.ts";
import type { Checker } from "../dockerfile/checker.ts";
import { expandWord, expandWords } from "../dockerfile/expand.ts";
import { nearest } from "../dockerfile/suggest.ts";
import type { BaseImage } from "../step.ts";
import type { Dispatch } from "./dispatch_state.ts";
import type { PlanContext } from "./plan.ts";
import type { PlannedStage } from "./stages.ts";
import type { Variables } from "./variables.ts";

export interface PlanChecks {
  checker: Checker;
  /** Whether .dockerignore leaves the path out of the build context. */
  isIgnored(path: string): boolean;
  /** Images that only the check knows of: what they set is unknown, so nothing is said of it. */
  unknown: ReadonlySet<BaseImage>;
  /** All stages are looked at, not only what the target needs. */
  isForAll: boolean;
}

/** Before anything is resolved. `makeDefaults` makes the arguments as no option sets them. */
export function checkGlobals({ input, globals }: PlanContext, makeDefaults: () => Variables): void {
  if (!input.checks) return;
  let defaults = globals;
  try {
    defaults = makeDefaults();
  } catch {
    // one that has no value unless an option gives it (`${name:?}`)
  }
  checkFile(input.checks.checker, {
    lookup: (name) => globals.get(name),
    names: globals.names(),
    defaults: (name) => defaults.get(name),
  });
}

/** Stages of the file that had a WORKDIR, themselves or below. */
const withWorkdir = new WeakSet<PlannedStage>();

/** When a stage begins. */
export function checkBegin({ context, stage, platform }: Dispatch): void {
  const { checks } = context.input;
  if (!checks || stage.isImplicit) return;
  checkStage(checks.checker, stage.stage);
  if (stage.base && withWorkdir.has(stage.base)) withWorkdir.add(stage);
  const { image } = stage;
  if (!image || stage.base || checks.unknown.has(image)) return;
  const { os, architecture, variant } = image.config;
  const offered = { os, architecture, ...(variant !== undefined && { variant }) };
  if (os === "" || platformFits(offered, platform)) return;
  const [expected, actual] = [formatPlatform(platform), formatPlatform(offered)];
  checks.checker.report("InvalidBaseImagePlatform", stage.stage.location, image.name, expected, actual);
}

/** Variables that an instruction asked for in vain. */
export function checkUnset(dispatch: Dispatch, unset: ReadonlySet<string>): void {
  const { context: { input }, stage, env, args, instruction } = dispatch;
  if (!input.checks || unset.size === 0 || !instruction) return;
  if (stage.image && input.checks.unknown.has(stage.image)) return;
  for (const name of unset) {
    if (args.some((declared) => declared.name === name)) continue;
    const near = nearest(name, env.names()) ?? "";
    input.checks.checker.report("UndefinedVar", instruction.location, name, near);
  }
}

/** Before an instruction has its effect. */
export function checkInstruction(dispatch: Dispatch, instruction: Instruction): void {
  const { input } = dispatch.context;
  if (!input.checks) return;
  const { checker } = input.checks;
  const { escape } = checker.file.directives;
  const { location } = instruction;
  const lookup = (name: string) => dispatch.env.get(name);
  switch (instruction.keyword) {
    case "CMD":
    case "ENTRYPOINT": {
      const hasShell = (dispatch.run.Shell?.length ?? 0) > 0 || isBaseUnknown(dispatch);
      if (instruction.command.form === "shell" && !hasShell) {
        checker.report("JSONArgsRecommended", location, writtenKeyword(instruction));
      }
      return;
    }
    case "WORKDIR": {
      const path = expandWord(instruction.words[0] ?? "", lookup, escape).text;
      if (!path.startsWith("/") && !withWorkdir.has(dispatch.stage)) {
        checker.report("WorkdirRelativePath", location, path);
      }
      withWorkdir.add(dispatch.stage);
      return;
    }
    case "EXPOSE":
      for (const port of instruction.words.flatMap((word) => expandWords(word, lookup, escape).words)) {
        const protocol = /\/([^/]*)$/.exec(port)?.[1] ?? "";
        if (protocol !== protocol.toLowerCase()) checker.report("ExposeProtoCasing", location, port);
        if (port.includes(":")) checker.report("ExposeInvalidFormat", location, port);
      }
      return;
    case "COPY":
    case "ADD":
      checkSources(dispatch, instruction);
  }
}

function checkSources(dispatch: Dispatch, { keyword, sources, flags, location }: CopyInstruction): void {
  const { checker, isIgnored } = dispatch.context.input.checks!;
  if (flags.from !== undefined || !checker.isAsked("CopyIgnoredFile")) return;
  const lookup = (name: string) => dispatch.env.get(name);
  for (const source of sources) {
    if (source.kind !== "path") continue;
    const path = expandWord(source.path, lookup, checker.file.directives.escape).text;
    const isRemote = keyword === "ADD" && /^(https?:\/\/|git@|git:\/\/|ssh:\/\/)/.test(path);
    if (isRemote || !isIgnored(path.replace(/^(\.?\/)+/, ""))) continue;
    checker.report("CopyIgnoredFile", location, keyword === "ADD" ? "Add" : "Copy", path);
  }
}

function isBaseUnknown({ context, stage }: Dispatch): boolean {
  return stage.image !== undefined && context.input.checks!.unknown.has(stage.image);
}
