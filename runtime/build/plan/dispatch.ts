/**
 * The instructions of a stage, one after the other: what each does to the image's document, and which step it makes.
 *
 * @see BuildKit frontend/dockerfile/dockerfile2llb/convert.go, dispatch…
 */

import { formatReference, parseReference } from "../../image/reference.ts";
import type { ImageConfig, ImageRunConfig, Platform } from "../../spec/image.ts";
import { expandWords } from "../dockerfile/expand.ts";
import { checkBegin, checkInstruction, checkUnset } from "./checks.ts";
import {
  applyToConfig,
  type ConfigInstruction,
  type ConfigTarget,
  type InstructionOf,
} from "./config_effects.ts";
import { planCopy } from "./copy.ts";
import { addStep, commit, type Dispatch, expand, originOf, shownAs } from "./dispatch_state.ts";
import { locate } from "./located.ts";
import { cleanPath, resolvePath } from "./paths.ts";
import type { PlanContext } from "./plan.ts";
import { planRun } from "./run.ts";
import type { PlannedCommand, PlannedStage } from "./stages.ts";
import { argumentOf, splitVariable, Variables } from "./variables.ts";

const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/** Instructions that `[2/5]` counts. */
const COUNTED = ["ADD", "COPY", "RUN", "WORKDIR"];

/** Arguments of a stage go on in those that stand on it. */
const argumentsOf = new WeakMap<PlannedStage, { env: Variables; args: Dispatch["args"] }>();

/** Plans a stage; those it needs have been planned before. */
export function dispatchStage(context: PlanContext, stage: PlannedStage): void {
  stage.isDispatched = true;
  const { base } = stage;
  if (base !== undefined) inherit(stage, base);
  const platform = stage.platform ??= context.platform;
  const { config } = stage;
  if (config.os === "") Object.assign(config, platformFields(platform));
  const counted = stage.commands.filter(({ instruction }) => COUNTED.includes(instruction.keyword)).length;
  const inherited = base && argumentsOf.get(base);
  const run: ImageRunConfig = { ...config.config };
  const hasOwnFiles = (stage.image ?? stage.source ?? base?.source) !== undefined;
  const dispatch: Dispatch = {
    context,
    stage,
    platform,
    env: inherited?.env.copy() ?? new Variables(),
    args: [...inherited?.args ?? []],
    config,
    run,
    isCmdSet: false,
    total: counted + ((base === undefined || base.isReplaced) && hasOwnFiles ? 1 : 0),
    index: 0,
  };
  if (!run.Env?.some((entry) => splitVariable(entry)[0] === "PATH")) {
    run.Env = [...run.Env ?? [], `PATH=${DEFAULT_PATH}`];
  }
  for (const entry of run.Env) dispatch.env.set(...splitVariable(entry));
  if (run.WorkingDir) run.WorkingDir = cleanPath(run.WorkingDir);
  else if (stage.image === undefined) run.WorkingDir = "/";
  beginWithFiles(dispatch);
  checkBegin(dispatch);
  const { dockerfile } = context.input;
  for (const command of stage.isReplaced ? [] : stage.commands) {
    locate(dockerfile, command.instruction.location, () => dispatchOne(dispatch, command));
  }
  config.config = withoutEmpty(run);
  argumentsOf.set(stage, { env: dispatch.env, args: dispatch.args });
}

function inherit(stage: PlannedStage, base: PlannedStage): void {
  stage.files = base.files;
  stage.platform = base.platform;
  stage.image = base.image;
  stage.config = structuredClone(base.config);
  delete stage.config.config?.OnBuild;
  stage.historySteps = [...base.historySteps];
}

/** What the stage begins with is shown as its first step, `FROM`; a `--build-context` folder is copied in. */
function beginWithFiles(dispatch: Dispatch): void {
  const { stage, context } = dispatch;
  if (stage.base !== undefined && !stage.base.isReplaced) return;
  const { image } = stage;
  if (image !== undefined) {
    const origin = originOf(
      dispatch,
      `FROM ${nameWithDigest(image.name, image.digest)}`,
      stage.stage.location,
    );
    context.images.push({ image, origin });
    return;
  }
  const name = stage.sourceName ?? stage.base?.sourceName;
  if (name === undefined) return;
  stage.files = {
    kind: "step",
    step: context.steps.push({
      kind: "copy",
      base: { kind: "scratch" },
      add: false,
      sources: [{ from: { kind: "context", name }, pattern: "/" }],
      destination: "/",
      link: false,
      parents: false,
      exclude: [],
      origin: originOf(dispatch, `FROM ${name}`, stage.stage.location),
    }) - 1,
  };
}

function nameWithDigest(name: string, digest: string): string {
  try {
    const reference = parseReference(name);
    return reference.digest === undefined ? `${formatReference(reference)}@${digest}` : name;
  } catch {
    return name;
  }
}

function dispatchOne(dispatch: Dispatch, command: PlannedCommand): void {
  const { instruction, isTrigger } = command;
  dispatch.instruction = instruction;
  checkInstruction(dispatch, instruction);
  if (instruction.keyword === "RUN") return planRun(dispatch, instruction, command.sources, isTrigger);
  if (instruction.keyword === "COPY" || instruction.keyword === "ADD") {
    return planCopy(dispatch, instruction, command.sources[0], isTrigger);
  }
  switch (instruction.keyword) {
    case "ARG":
      return dispatchArg(dispatch, instruction);
    case "MAINTAINER":
      dispatch.config.author = instruction.author;
      return commit(dispatch, `MAINTAINER ${instruction.author}`);
    case "WORKDIR":
      return dispatchWorkdir(dispatch, instruction as InstructionOf<"WORKDIR">, isTrigger);
  }
  const line = applyToConfig(targetOf(dispatch), instruction as ConfigInstruction);
  if (line !== undefined) commit(dispatch, line);
}

function targetOf(dispatch: Dispatch): ConfigTarget {
  const { env, run } = dispatch;
  return {
    run,
    get isCmdSet() {
      return dispatch.isCmdSet;
    },
    set isCmdSet(isSet) {
      dispatch.isCmdSet = isSet;
    },
    expand: (word) => expand(dispatch, word),
    expandAll(word) {
      const { escape } = dispatch.context.input.dockerfile.directives;
      const expanded = expandWords(word, (name) => env.get(name), escape);
      checkUnset(dispatch, expanded.unset);
      return expanded.words;
    },
    setVariable: (name, value) => env.set(name, value),
  };
}

function dispatchArg(dispatch: Dispatch, { args }: InstructionOf<"ARG">): void {
  const { globals, input } = dispatch.context;
  const texts = args.map(({ name, value }) => {
    const set = argumentOf(input.options.buildArgs, name) ??
      (value === undefined ? globals.get(name) : expand(dispatch, value));
    if (set !== undefined) dispatch.env.set(name, set);
    dispatch.args.push({ name, ...(set !== undefined && { value: set }) });
    return set === undefined ? name : `${name}=${set}`;
  });
  commit(dispatch, `ARG ${texts.join(" ")}`);
}

function dispatchWorkdir(
  dispatch: Dispatch,
  instruction: InstructionOf<"WORKDIR">,
  isTrigger: boolean,
): void {
  const path = resolvePath(dispatch.run.WorkingDir ?? "/", expand(dispatch, instruction.words[0] ?? ""));
  dispatch.run.WorkingDir = path;
  if (path === "/") return commit(dispatch, `WORKDIR ${path}`);
  addStep(dispatch, {
    kind: "mkdir",
    base: dispatch.stage.files,
    path,
    user: dispatch.run.User ?? "",
    origin: originOf(dispatch, shownAs(dispatch, instruction.original), instruction.location, isTrigger),
  }, `WORKDIR ${path}`);
}

function platformFields({ os, architecture, variant }: Platform): Partial<ImageConfig> {
  return { os, architecture, ...(variant !== undefined && { variant }) };
}

function withoutEmpty(run: ImageRunConfig): ImageRunConfig {
  return Object.fromEntries(
    Object.entries(run).filter(([, value]) =>
      value !== undefined && value !== "" && !(Array.isArray(value) && value.length === 0)
    ),
  );
}
