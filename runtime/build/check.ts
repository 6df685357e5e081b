/** The checks of a build: what they need of it, and what they tell. `--check` does nothing else. */

import { hostPlatform } from "../image/platform.ts";
import { parseDigest } from "../spec/digest.ts";
import { CHECK_ARGUMENT, Checker } from "./dockerfile/checker.ts";
import { checkParsed } from "./dockerfile/checks.ts";
import { InstructionError } from "./dockerfile/parse.ts";
import type { Definition } from "./definition.ts";
import type { BuildEvent } from "./events.ts";
import { compilePatterns } from "./ignore.ts";
import type { BuildOptions } from "./options.ts";
import type { PlanChecks } from "./plan/checks.ts";
import { type ImageRequest, planBuild } from "./plan/plan.ts";
import type { BuildServices } from "./services.ts";
import type { BaseImage } from "./step.ts";

/** @throws {BuildError} where the build argument that configures them is malformed */
export function startChecks(options: BuildOptions, { dockerfile, main }: Definition): PlanChecks {
  const { tree } = main;
  const ignore = compilePatterns(tree.kind === "folder" ? tree.ignore : []);
  return {
    checker: new Checker(dockerfile, options.buildArgs[CHECK_ARGUMENT]),
    isIgnored: (path) => ignore.matches(path),
    unknown: new Set(),
    isForAll: options.checkOnly,
  };
}

/** What is seen above an instruction that cannot be parsed. */
export function tellFindingsBefore(
  error: unknown,
  options: BuildOptions,
  emit: (event: BuildEvent) => void,
): void {
  if (!(error instanceof InstructionError)) return;
  const checker = new Checker(error.before, options.buildArgs[CHECK_ARGUMENT]);
  checkParsed(checker);
  emitFindings(checker, emit);
}

/** @throws {BuildError} where the file wants findings to be errors */
export function tellFindings({ checker }: PlanChecks, emit: (event: BuildEvent) => void): void {
  emitFindings(checker, emit);
  if (checker.error) throw checker.error;
}

function emitFindings({ file, findings }: Checker, emit: (event: BuildEvent) => void): void {
  for (const finding of findings) {
    emit({ kind: "finding", finding, fileName: file.fileName, lines: file.lines });
  }
}

/**
 * Plans the build for what the checks find, and goes no further. Images that are not in the store are not pulled: of
 * what they may set, nothing is said.
 *
 * @throws {BuildError} for what is wrong with the Dockerfile itself
 */
export async function checkOnly(
  services: BuildServices,
  options: BuildOptions,
  definition: Definition,
  emit: (event: BuildEvent) => void,
  signal: AbortSignal,
): Promise<void> {
  const unknown = new Set<BaseImage>();
  const checks = { ...startChecks(options, definition), unknown };
  const resolveImage = async ({ name, source, platform }: ImageRequest): Promise<BaseImage> => {
    try {
      if (!source) return await services.resolveImage(name, { platform, policy: "never", signal });
    } catch {
      signal.throwIfAborted();
    }
    const { os, architecture } = platform;
    const image: BaseImage = {
      name,
      id: "",
      digest: parseDigest(`sha256:${"0".repeat(64)}`),
      config: { os, architecture, rootfs: { type: "layers", diff_ids: [] } },
      snapshot: { layers: [] },
    };
    unknown.add(image);
    return image;
  };
  try {
    const platform = hostPlatform();
    await planBuild({ dockerfile: definition.dockerfile, options, platform, resolveImage, checks });
  } catch (error) {
    emitFindings(checks.checker, emit);
    throw error;
  }
  tellFindings(checks, emit);
}
