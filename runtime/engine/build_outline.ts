/** What a Dockerfile offers and asks for, without building anything. */

import { loadDefinition } from "../build/definition.ts";
import type { BuildOptions } from "../build/options.ts";
import { type BuildOutline, type BuildTarget, outlineOf, targetsOf } from "../build/outline.ts";
import { Vertices } from "../build/vertices.ts";
import { buildServices } from "./build.ts";
import type { Engine } from "./engine.ts";

export type { BuildOutline, BuildTarget } from "../build/outline.ts";

/** @throws {BuildError} where the Dockerfile cannot be read, or has no such stage */
export async function describeBuild(
  engine: Engine,
  options: BuildOptions,
  method: "targets" | "outline",
  signal: AbortSignal = new AbortController().signal,
): Promise<{ targets?: BuildTarget[]; outline?: BuildOutline }> {
  const services = await buildServices(engine, options);
  await using definition = await loadDefinition(services, options, new Vertices(() => {}), signal);
  return method === "targets"
    ? { targets: targetsOf(definition.dockerfile, options.target) }
    : { outline: outlineOf(definition.dockerfile, options.target, options.buildArgs) };
}
