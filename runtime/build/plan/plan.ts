/**
 * Dockerfile + options + the images it begins with → the graph of steps, and the document of the image.
 *
 * Stages that the target does not need are not planned, and their images not asked for.
 *
 * @see BuildKit frontend/dockerfile/dockerfile2llb/convert.go
 */

import { BuildError } from "../../errors.ts";
import { hostPlatform } from "../../image/platform.ts";
import type { ImageConfig, Platform } from "../../spec/image.ts";
import type { Dockerfile } from "../dockerfile/ast.ts";
import { expandWord } from "../dockerfile/expand.ts";
import { parseTrigger } from "../dockerfile/parse.ts";
import type { BuildOptions, ContextSource } from "../options.ts";
import type { BaseImage, BuildGraph, Step } from "../step.ts";
import { checkGlobals, type PlanChecks } from "./checks.ts";
import { dispatchStage } from "./dispatch.ts";
import { locate, located } from "./located.ts";
import {
  checkCycles,
  findStage,
  makeStages,
  type PlannedStage,
  reachableStages,
  sourcesOf,
} from "./stages.ts";
import { argumentOf, automaticArguments, isPredefined, proxyVariables, Variables } from "./variables.ts";

/** An image that the plan needs: by name, or of a `--build-context`. */
export interface ImageRequest {
  name: string;
  source?: ContextSource & { kind: "image" | "oci-layout" };
  platform: Platform;
}

export interface PlanInput {
  dockerfile: Dockerfile;
  options: Pick<
    BuildOptions,
    "target" | "buildArgs" | "contexts" | "labels" | "network" | "addHosts" | "allow"
  >;
  /** What is built for; undefined: this machine's, or what the base image is for. */
  platform?: Platform;
  /** Several platforms are built: names of steps tell which. */
  isOneOfMany?: boolean;
  resolveImage(request: ImageRequest): Promise<BaseImage>;
  /** Takes what the checks find. */
  checks?: PlanChecks;
}

/** What all stages share while they are planned. */
export interface PlanContext {
  input: PlanInput;
  platform: Platform;
  globals: Variables;
  proxyEnv: string[];
  stages: PlannedStage[];
  steps: Step[];
  images: BuildGraph["images"];
  /** Of resolving images. */
  failure?: { error: unknown };
}

/**
 * Plans the build for one platform.
 *
 * @throws {BuildError} with the place in the Dockerfile
 */
export async function planBuild(input: PlanInput): Promise<BuildGraph> {
  const { dockerfile, options } = input;
  const platform = input.platform ?? hostPlatform();
  const lastName = dockerfile.stages.at(-1)?.name;
  const globals = automaticArguments(
    hostPlatform(),
    platform,
    options.target ?? lastName ?? "default",
    options.buildArgs,
  );
  setGlobalArguments(dockerfile, options.buildArgs, globals);
  const context: PlanContext = {
    input,
    platform,
    globals,
    proxyEnv: proxyVariables(options.buildArgs),
    stages: [],
    steps: [],
    images: [],
  };
  checkGlobals(context, () => {
    const defaults = automaticArguments(hostPlatform(), platform, lastName ?? "default", {});
    setGlobalArguments(dockerfile, {}, defaults);
    return defaults;
  });
  context.stages = makeStages(dockerfile, globals, options.contexts);
  const target = findTarget(context);
  for (const stage of [...context.stages]) {
    stage.commands = stage.commands.map((command) => sourcesOf(context, stage, command.instruction));
  }
  checkCycles(context);
  // numbers of --from come from other images' stages as well, so the name goes only where there is one in all
  if (context.stages.length === 1) context.stages[0]!.name = "";
  const needed = await resolveStages(context, target);
  for (const stage of context.stages) {
    if (!needed.has(stage) || stage.isDispatched) continue;
    dispatchStage(context, stage);
  }
  return {
    steps: context.steps,
    result: target.files,
    config: finishConfig(context, target),
    historySteps: target.historySteps,
    base: target.image,
    images: context.images,
    unusedArgs: unusedArguments(input),
  };
}

function setGlobalArguments(
  dockerfile: Dockerfile,
  given: Readonly<Record<string, string>>,
  globals: Variables,
): void {
  for (const { args, location } of dockerfile.globalArgs) {
    for (const { name, value } of args) {
      const set = argumentOf(given, name) ??
        (value === undefined ? undefined : locate(
          dockerfile,
          location,
          () => expandWord(value, (variable) => globals.get(variable), dockerfile.directives.escape).text,
        ));
      if (set !== undefined) globals.set(name, set);
    }
  }
}

function findTarget(context: PlanContext): PlannedStage {
  const { target } = context.input.options;
  if (target === undefined || target === "") return context.stages.at(-1)!;
  const found = findStage(context.stages, target) ??
    (/^\d+$/.test(target) ? context.stages[Number(target)] : undefined);
  if (found !== undefined) return found;
  const names = context.stages.flatMap(({ stage }) => stage.name ?? []);
  throw new BuildError(`target stage "${target}" could not be found`, {
    hint: names.length === 0 ? undefined : `the stages are ${names.join(", ")}`,
  });
}

/** Resolves the images of all stages that the target needs; triggers of an image may need more. */
async function resolveStages(context: PlanContext, target: PlannedStage): Promise<Set<PlannedStage>> {
  for (;;) {
    const needed = reachableStages(context.input.checks?.isForAll ? context.stages : [target]);
    const pending = [...needed].filter((stage) => stage.base === undefined && !stage.isResolved);
    await Promise.allSettled(pending.map((stage) => resolveStage(context, stage, target)));
    // the first one's; the others may have been stopped for it
    if (context.failure !== undefined) throw context.failure.error;
    // in the order of the file: a stage takes the triggers of the one it stands on
    const isComplete = context.stages.filter((stage) => needed.has(stage))
      .map((stage) => addTriggers(context, stage)).every((isNew) => !isNew);
    if (isComplete) return needed;
    checkCycles(context);
  }
}

async function resolveStage(
  context: PlanContext,
  stage: PlannedStage,
  target: PlannedStage,
): Promise<void> {
  stage.isResolved = true;
  stage.platform ??= context.platform;
  const { source, baseName } = stage;
  if (source === undefined && baseName === "scratch") {
    stage.isDispatched ||= stage.isImplicit;
    return;
  }
  if (source !== undefined && source.kind !== "image" && source.kind !== "oci-layout") {
    // who copies of it reads the folder itself; who stands on it gets a step that copies all of it
    stage.isDispatched ||= stage !== target && (stage.isImplicit || stage.isReplaced);
    return;
  }
  try {
    const name = source?.kind === "image" ? source.name : baseName;
    const { platform } = stage;
    stage.image = await context.input.resolveImage({ name, platform, ...(source && { source }) });
  } catch (error) {
    context.failure ??= { error: located(context.input.dockerfile, stage.stage.location, error) };
    return;
  }
  stage.config = structuredClone(stage.image.config);
  delete stage.config.created;
  stage.historySteps = (stage.config.history ?? []).map(() => null);
  const hasFiles = stage.image.snapshot.layers.length > 0;
  stage.files = hasFiles ? { kind: "image", image: stage.image } : { kind: "scratch" };
  stage.isDispatched ||= stage.isImplicit || stage.isReplaced;
}

/** ONBUILD of the image, or of the stage, that this one begins with; whether they need further stages. */
function addTriggers(context: PlanContext, stage: PlannedStage): boolean {
  if (stage.hasTriggers || stage.isReplaced || stage.isImplicit) return false;
  stage.hasTriggers = true;
  const fromStage = stage.base?.commands.flatMap(({ instruction }) =>
    instruction.keyword === "ONBUILD" ? [instruction.expression] : []
  );
  const expressions = fromStage ?? stage.config.config?.OnBuild ?? [];
  if (stage.config.config?.OnBuild) delete stage.config.config.OnBuild;
  if (expressions.length === 0) return false;
  const { dockerfile } = context.input;
  return locate(dockerfile, stage.stage.location, () => {
    const commands = expressions.map((expression) => {
      const instruction = { ...parseTrigger(expression), location: stage.stage.location };
      return { ...sourcesOf(context, stage, instruction), isTrigger: true };
    });
    stage.commands = [...commands, ...stage.commands];
    return commands.some(({ sources }) => sources.some((source) => source !== undefined));
  });
}

function finishConfig(context: PlanContext, target: PlannedStage): ImageConfig {
  const { input } = context;
  const config = target.config;
  const labels = { ...config.config?.Labels, ...input.options.labels };
  if (Object.keys(labels).length > 0) config.config = { ...config.config, Labels: labels };
  if (input.platform !== undefined) {
    const { os, architecture, variant } = input.platform;
    const isSame = os === config.os && architecture === config.architecture;
    config.os = os;
    config.architecture = architecture;
    if (variant !== undefined) config.variant = variant;
    else if (!isSame) delete config.variant;
  }
  return config;
}

function unusedArguments({ dockerfile, options }: PlanInput): string[] {
  const declared = new Set<string>();
  for (const { args } of dockerfile.globalArgs) for (const { name } of args) declared.add(name);
  for (const { instructions } of dockerfile.stages) {
    for (const instruction of instructions) {
      if (instruction.keyword === "ARG") { for (const { name } of instruction.args) declared.add(name); }
    }
  }
  return Object.keys(options.buildArgs).filter((name) => !declared.has(name) && !isPredefined(name)).sort();
}
