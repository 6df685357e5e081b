/**
 * Stages of a Dockerfile: which stands on which, and which takes files of which. An image that files are copied from
 * counts as a stage without instructions.
 */

import { BuildError, InvalidArgumentError } from "../../errors.ts";
import { parsePlatform } from "../../image/platform.ts";
import { familiarName, parseReference } from "../../image/reference.ts";
import type { ImageConfig, Platform } from "../../spec/image.ts";
import type { Dockerfile, Instruction, Location, Stage } from "../dockerfile/ast.ts";
import { type Expanded, expandWord } from "../dockerfile/expand.ts";
import { didYouMean } from "../dockerfile/suggest.ts";
import type { ContextSource } from "../options.ts";
import type { BaseImage, StepBase, StepId } from "../step.ts";
import { mountSource } from "./mount.ts";
import type { PlanContext } from "./plan.ts";
import { locate } from "./located.ts";
import type { Variables } from "./variables.ts";

export interface PlannedCommand {
  instruction: Instruction;
  /** Of COPY one, of RUN one for each mount: the stage that its files are from; undefined: the build context, or none. */
  sources: (PlannedStage | undefined)[];
  isTrigger: boolean;
}

export interface PlannedStage {
  stage: Stage;
  /** What progress calls it: the name, `stage-1`, or nothing where there is but one. */
  name: string;
  /** What it stands on, expanded. */
  baseName: string;
  base?: PlannedStage;
  /** A `--build-context` of that name, instead of the image. */
  source?: ContextSource;
  sourceName?: string;
  /** Given by `FROM --platform`, else set when it is resolved. */
  platform?: Platform;
  /** A `--build-context` has the stage's own name: none of its instructions is done. */
  isReplaced: boolean;
  /** It is no FROM of the file, but what a --from names. */
  isImplicit: boolean;
  isResolved: boolean;
  isDispatched: boolean;
  hasTriggers: boolean;
  dependencies: Map<PlannedStage, Location>;
  commands: PlannedCommand[];
  image?: BaseImage;
  config: ImageConfig;
  historySteps: (StepId | null)[];
  files: StepBase;
}

/** The stages of the file in their order. */
export function makeStages(
  dockerfile: Dockerfile,
  globals: Variables,
  contexts: Readonly<Record<string, ContextSource>>,
): PlannedStage[] {
  if (dockerfile.stages.length === 0) throw new BuildError("dockerfile contains no stages to build");
  const stages: PlannedStage[] = [];
  for (const [index, stage] of dockerfile.stages.entries()) {
    const planned = locate(dockerfile, stage.location, () => {
      const expand = (word: string) =>
        expandWord(word, (name) => globals.get(name), dockerfile.directives.escape);
      const baseName = expand(stage.base).text;
      if (baseName === "") throw new InvalidArgumentError(`base name (${stage.base}) should not be blank`);
      const planned = emptyStage(stage, stage.name ?? `stage-${index}`, baseName);
      if (stage.platform !== undefined) {
        planned.platform = platformOf(stage.platform, expand(stage.platform), globals);
      }
      planned.commands = stage.instructions.map((instruction) => ({
        instruction,
        sources: [],
        isTrigger: false,
      }));
      const own = stage.name === undefined ? undefined : findContext(contexts, stage.name);
      if (own !== undefined) {
        Object.assign(planned, { ...own, isReplaced: true, commands: [] });
      } else {
        planned.base = stages.findLast((earlier) => earlier.stage.name === baseName);
        if (planned.base === undefined) Object.assign(planned, findContext(contexts, baseName));
      }
      return planned;
    });
    stages.push(planned);
  }
  return stages;
}

/** Of `FROM --platform=raw`. */
function platformOf(raw: string, { text, unset }: Expanded, globals: Variables): Platform {
  const hint = [...unset].map((name) => didYouMean(name, globals.names())).find((found) => found !== "") ??
    "";
  if (text === "") {
    throw new InvalidArgumentError(`empty platform value from expression ${raw}${hint}`);
  }
  try {
    return parsePlatform(text);
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error;
    throw new InvalidArgumentError(`failed to parse platform ${raw}: ${error.message}${hint}`, {
      cause: error,
    });
  }
}

/** By name, whatever its case. Of two with one name the later counts. */
export function findStage(stages: readonly PlannedStage[], name: string): PlannedStage | undefined {
  return stages.findLast(({ stage }) => stage.name === name.toLowerCase());
}

/** Which stages an instruction takes files of; those that are images are added to the context. */
export function sourcesOf(
  context: PlanContext,
  stage: PlannedStage,
  instruction: Instruction,
): PlannedCommand {
  const { dockerfile } = context.input;
  const { location } = instruction;
  const find = (name: string | undefined): PlannedStage | undefined => {
    if (name === undefined || name === "") return undefined;
    const source = findSource(context, stage, name, location);
    if (!stage.dependencies.has(source)) stage.dependencies.set(source, location);
    return source;
  };
  const sources = locate(dockerfile, location, () => {
    if (instruction.keyword === "RUN") {
      return instruction.mounts.map((mount) => find(mountSource(mount.fields)));
    }
    if (instruction.keyword !== "COPY" || instruction.flags.from === undefined) return [];
    const { from } = instruction.flags;
    const expanded = expandWord(from, () => undefined, dockerfile.directives.escape).text;
    if (expanded !== from) {
      throw new InvalidArgumentError(
        "variable expansion is not supported for --from, define a new stage with FROM using ARG from global " +
          "scope as a workaround",
      );
    }
    if (!/^-?\d+$/.test(from)) return [find(from)];
    const numbered = context.stages[Number(from)];
    if (numbered === undefined) throw new InvalidArgumentError(`invalid stage index ${from}`);
    if (!stage.dependencies.has(numbered)) stage.dependencies.set(numbered, location);
    return [numbered];
  });
  return { instruction, sources, isTrigger: false };
}

function findSource(
  context: PlanContext,
  user: PlannedStage,
  name: string,
  location: Location,
): PlannedStage {
  const known = findStage(context.stages, name);
  if (known !== undefined) return known;
  const implicit = context.stages.find((stage) =>
    stage.isImplicit && stage.baseName === name && stage.platform === user.platform
  );
  if (implicit !== undefined) return implicit;
  const stage: Stage = { original: `FROM ${name}`, location, base: name, instructions: [], comments: [] };
  const source = emptyStage(stage, "", name);
  source.isImplicit = true;
  Object.assign(source, findContext(context.input.options.contexts, name));
  context.stages.push(source);
  return source;
}

/** The stages, what they stand on, and all that these take files of. */
export function reachableStages(targets: readonly PlannedStage[]): Set<PlannedStage> {
  const found = new Set(targets);
  for (const stage of found) {
    if (stage.base !== undefined) found.add(stage.base);
    for (const source of stage.dependencies.keys()) found.add(source);
  }
  return found;
}

/** Throws where a stage needs itself, or one that comes after it. */
export function checkCycles(context: PlanContext): void {
  const done = new Set<PlannedStage>();
  const open = new Set<PlannedStage>();
  const visit = (stage: PlannedStage, from: PlannedStage, location: Location) => {
    if (open.has(stage)) {
      const { fileName, lines } = context.input.dockerfile;
      throw new BuildError(`circular dependency detected on stage: ${from.name}`, {
        source: { fileName, lines, location },
      });
    }
    if (done.has(stage)) return;
    open.add(stage);
    for (const [source, at] of stage.dependencies) visit(source, stage, at);
    open.delete(stage);
    done.add(stage);
  };
  for (const stage of context.stages) visit(stage, stage, stage.stage.location);
}

/** A `--build-context` is meant by its name, and by any spelling of an image's name. */
function findContext(
  contexts: Readonly<Record<string, ContextSource>>,
  name: string,
): { source: ContextSource; sourceName: string } | undefined {
  if (name.toLowerCase() === "scratch" || name.toLowerCase() === "context") return undefined;
  for (const spelling of [name, familiar(name)]) {
    if (Object.hasOwn(contexts, spelling)) return { source: contexts[spelling]!, sourceName: spelling };
  }
  const wanted = familiar(name);
  for (const [key, source] of Object.entries(contexts)) {
    if (familiar(key) === wanted) return { source, sourceName: key };
  }
  return undefined;
}

/** As docker shows the name, without `:latest`. */
function familiar(name: string): string {
  try {
    return familiarName(parseReference(name)).replace(/:latest$/, "");
  } catch {
    return name;
  }
}

function emptyStage(stage: Stage, name: string, baseName: string): PlannedStage {
  return {
    stage,
    name,
    baseName,
    isReplaced: false,
    isImplicit: false,
    isResolved: false,
    isDispatched: false,
    hasTriggers: false,
    dependencies: new Map(),
    commands: [],
    config: { architecture: "", os: "", rootfs: { type: "layers", diff_ids: [] } },
    historySteps: [],
    files: { kind: "scratch" },
  };
}
