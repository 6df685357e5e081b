/** A stage while its instructions are gone through, and what all of them do to it. */

import { formatPlatform } from "../../image/platform.ts";
import type { HistoryEntry, ImageConfig, ImageRunConfig, Platform } from "../../spec/image.ts";
import type { Instruction, Location } from "../dockerfile/ast.ts";
import { expandForDisplay, expandHeredoc, expandWord } from "../dockerfile/expand.ts";
import type { FileSource, Step, StepOrigin } from "../step.ts";
import { checkUnset } from "./checks.ts";
import type { PlanContext } from "./plan.ts";
import type { PlannedStage } from "./stages.ts";
import type { Variables } from "./variables.ts";

const HISTORY_COMMENT = "buildkit.dockerfile.v0";

/** A stage while its instructions are gone through. */
export interface Dispatch {
  readonly context: PlanContext;
  readonly stage: PlannedStage;
  readonly platform: Platform;
  /** ENV and ARG: what words are expanded with and a RUN is given. */
  readonly env: Variables;
  /** In the order of their ARG; the value is what it was given there. */
  readonly args: { name: string; value?: string }[];
  config: ImageConfig;
  run: ImageRunConfig;
  isCmdSet: boolean;
  total: number;
  index: number;
  /** The one that is gone through now. */
  instruction?: Instruction;
}

/** A word with the stage's variables in it. */
export function expand(dispatch: Dispatch, word: string): string {
  const { escape } = dispatch.context.input.dockerfile.directives;
  const { text, unset } = expandWord(word, (name) => dispatch.env.get(name), escape);
  checkUnset(dispatch, unset);
  return text;
}

export function expandDocument(dispatch: Dispatch, content: string): string {
  const { text, unset } = expandHeredoc(content, (name) => dispatch.env.get(name));
  checkUnset(dispatch, unset);
  return text;
}

/** The instruction as progress shows it; `hidden` variables come from secrets. */
export function shownAs(dispatch: Dispatch, original: string, hidden: readonly string[] = []): string {
  const { escape } = dispatch.context.input.dockerfile.directives;
  const lookup = (name: string) => (hidden.includes(name) ? "****" : dispatch.env.get(name));
  return expandForDisplay(original.trim(), lookup, escape).replace(/^\S+/, (word) => word.toUpperCase());
}

/** The name of a step in progress, `[build 2/5] RUN make`; counts it. */
export function originOf(
  dispatch: Dispatch,
  text: string,
  location: Location,
  isTrigger = false,
): StepOrigin {
  const { stage, total, context } = dispatch;
  const origin = { stage: stage.stage.name ?? stage.name, location };
  if (total === 0) return { ...origin, name: text };
  dispatch.index++;
  const width = String(total).length;
  const parts = [
    context.input.isOneOfMany ? formatPlatform(dispatch.platform) + crossTarget(dispatch) : "",
    stage.name,
    `${String(dispatch.index).padStart(width)}/${total}`,
  ];
  const prefix = `[${parts.filter((part) => part !== "").join(" ")}]`;
  return { ...origin, name: `${prefix} ${isTrigger ? "ONBUILD " : ""}${text}` };
}

/** `->arm64` of a stage that runs here and makes something for another platform, as its own ARGs say. */
function crossTarget({ platform, env }: Dispatch): string {
  const given = env.get("TARGETPLATFORM");
  const [os, architecture, variant] = given?.split("/") ??
    ["TARGETOS", "TARGETARCH", "TARGETVARIANT"].map((name) => env.get(name));
  const target = {
    os: os || platform.os,
    architecture: architecture || platform.architecture,
    variant: variant || undefined,
  };
  if (target.os !== platform.os) return `->${formatPlatform(target)}`;
  if (target.architecture === platform.architecture) return "";
  return `->${formatPlatform(target).slice(target.os.length + 1)}`;
}

/** Adds a step on top of the stage, and its line of history. */
export function addStep(dispatch: Dispatch, step: Step, history: string): void {
  const id = dispatch.context.steps.push(step) - 1;
  dispatch.stage.files = { kind: "step", step: id };
  commit(dispatch, history, id);
}

/** Adds a line to the history; of a step with its number, else without a layer. */
export function commit(dispatch: Dispatch, createdBy: string, step: number | null = null): void {
  const entry: HistoryEntry = { created_by: createdBy, comment: HISTORY_COMMENT };
  if (step === null) entry.empty_layer = true;
  dispatch.config.history = [...dispatch.config.history ?? [], entry];
  dispatch.stage.historySteps.push(step);
}

/** The files of a stage that another one reads. */
export function filesOf(source: PlannedStage): FileSource {
  if (source.files.kind !== "scratch" || source.source === undefined || source.image !== undefined) {
    return source.files;
  }
  return { kind: "context", name: source.sourceName! };
}
