/**
 * Builds: every step whose inputs are there goes on, so many at once as there are slots; what was made before is taken
 * from the cache, and nothing of it is even looked at but the digests of what it read.
 *
 * The first failure stops the others and waits for them. What they had finished stays in the cache.
 */

import { formatPlatform, hostPlatform, parsePlatform } from "../image/platform.ts";
import { formatReference, parseReference, withDefaultTag } from "../image/reference.ts";
import { BuildError, RegistryError } from "../errors.ts";
import type { PullProgress } from "../registry/pull.ts";
import type { ImageConfig, Platform } from "../spec/image.ts";
import { foreignSyntax, isMultiPlatform } from "./builtin_args.ts";
import { checkOnly, startChecks, tellFindings, tellFindingsBefore } from "./check.ts";
import { BuildCache } from "./cache.ts";
import type { BuildEvent } from "./events.ts";
import { completeConfig } from "./image_config.ts";
import { loadDefinition } from "./definition.ts";
import type { BuildOptions } from "./options.ts";
import { type ImageRequest, planBuild } from "./plan/plan.ts";
import { Run } from "./schedule.ts";
import type { BuildServices } from "./services.ts";
import { Slots } from "./slots.ts";
import { Sources } from "./sources.ts";
import type { BaseImage, BuildGraph, BuiltLayer, LayerTimes } from "./step.ts";
import { type LiveVertex, Vertices } from "./vertices.ts";

/** What was built for one platform. Nothing of it is recorded yet but the layers in the cache. */
export interface BuiltImage {
  platform: Platform;
  /** Complete, with the diff ids of `layers`. */
  config: ImageConfig;
  /** The lowest first. */
  layers: BuiltLayer[];
  /** What it began with: its layers are the first of `layers`. */
  base?: BaseImage;
}

/**
 * Builds the target for every platform asked for. The caller holds the lock `images` shared until what comes back is
 * recorded: layers that no image has yet are nobody's garbage.
 *
 * @throws {BuildError} with the place in the Dockerfile
 * @throws the signal's reason
 */
export async function build(
  services: BuildServices,
  options: BuildOptions,
  emit: (event: BuildEvent) => void,
  signal: AbortSignal,
): Promise<BuiltImage[]> {
  const vertices = new Vertices(emit);
  await using definition = await loadDefinition(services, options, vertices, signal).catch((error) => {
    tellFindingsBefore(error, options, emit);
    throw error;
  });
  if (options.checkOnly) {
    await checkOnly(services, options, definition, emit, signal);
    return [];
  }
  const checks = startChecks(options, definition);
  const { dockerfile, main } = definition;
  // one failure ends the work on all platforms
  const stop = new AbortController();
  const inner = AbortSignal.any([signal, stop.signal]);
  const slots = new Slots(slotsFor(options));
  const elsewhere = options.cacheFrom.length === 0
    ? []
    : await (await import("./cache_import.ts")).importCaches(services, options, vertices, signal);
  const cache = new BuildCache(services, elsewhere);
  const shared = { services, options, vertices, cache, slots, dockerfile, signal: inner, stop };
  const resolved = new Map<string, Promise<BaseImage>>();
  const resolveImage = (request: ImageRequest) => {
    const key = JSON.stringify(request);
    let image = resolved.get(key);
    if (image === undefined) {
      resolved.set(key, image = resolve(services, options, vertices, request, inner));
      image.catch((error) => stop.abort(error));
    }
    return image;
  };
  const platforms = options.platforms.map((text) => parsePlatform(text));
  const plans = await Promise.all(
    (platforms.length === 0 ? [undefined] : platforms).map((platform) =>
      planBuild({
        dockerfile,
        options,
        platform,
        isOneOfMany: isMultiPlatform(options),
        resolveImage,
        checks,
      })
    ),
  );
  tellFindings(checks, emit);
  const foreign = foreignSyntax(options, dockerfile.directives.syntax);
  if (foreign !== undefined) {
    vertices.warn(`The frontend ${foreign} was not run: the file was read as docker/dockerfile:1 has it`);
  }
  const [first] = plans as [BuildGraph, ...BuildGraph[]];
  if (first.unusedArgs.length > 0) {
    vertices.warn(`One or more build-args [${first.unusedArgs.join(" ")}] were not consumed`);
  }
  const runs: Run[] = [];
  await using sources = new Sources(services, {
    options,
    main,
    vertices,
    signal: inner,
  });
  const times = layerTimes(options);
  for (const graph of plans) runs.push(new Run(graph, { ...shared, sources, times }));
  const ends = await Promise.allSettled(runs.map((run) => run.solve()));
  await cache.touch();
  signal.throwIfAborted();
  const failure = runs.map((run) => run.failure).find((found) => found !== undefined);
  if (failure !== undefined) throw failure.error;
  if (options.cacheTo.some(({ type }) => type !== "inline")) {
    const { exportCaches } = await import("./cache_export.ts");
    const records = (mode: "min" | "max") => runs.flatMap((run) => run.records(mode));
    await exportCaches(services, options, records, vertices, signal);
  }
  const inline = wantsInlineCache(options) ? await import("./cache_document.ts") : undefined;
  return ends.map((end, index): BuiltImage => {
    if (end.status === "rejected") throw end.reason;
    const [graph, run, layers] = [plans[index]!, runs[index]!, [...end.value.layers]];
    const config = completeConfig(graph, end.value, (step) => run.resultOf(step), times);
    if (inline !== undefined) {
      Object.assign(config, {
        [inline.INLINE_CACHE_FIELD]: inline.makeInlineCache(run.records("min"), layers),
      });
    }
    const platform = platforms[index] ?? platformOf(config);
    return { platform, config, layers, ...(graph.base && { base: graph.base }) };
  });
}

/** 0 is without a bound, as podman has it; two stages at least go on side by side. */
function slotsFor({ jobs }: BuildOptions): number {
  if (jobs === 0) return Infinity;
  return jobs ?? Math.max(2, navigator.hardwareConcurrency);
}

/** The layers of an image that is squashed are no step's. */
function wantsInlineCache({ cacheTo, buildArgs, squash }: BuildOptions): boolean {
  const isAsked = cacheTo.some(({ type }) => type === "inline") || buildArgs.BUILDKIT_INLINE_CACHE === "1";
  return isAsked && squash === undefined;
}

/** What the options say of the times of files and documents. */
export function layerTimes({ timestamp, sourceDateEpoch }: BuildOptions): LayerTimes | undefined {
  if (timestamp !== undefined) return { seconds: timestamp, apply: "all" };
  return sourceDateEpoch === undefined ? undefined : { seconds: sourceDateEpoch, apply: "later" };
}

async function resolve(
  services: BuildServices,
  options: BuildOptions,
  vertices: Vertices,
  { name, source, platform }: ImageRequest,
  signal: AbortSignal,
): Promise<BaseImage> {
  const shown = source?.kind === "oci-layout" ? `oci-layout://${source.path}` : fullName(name);
  const prefix = isMultiPlatform(options) ? `[${formatPlatform(platform)} internal]` : "[internal]";
  return await vertices.run(`${prefix} load metadata for ${shown}`, async (vertex) => {
    const how = { platform, policy: options.pull, signal, progress: tellPull(vertex) };
    try {
      return source?.kind === "oci-layout"
        ? await services.loadLayout(source, how)
        : await services.resolveImage(name, how);
    } catch (error) {
      signal.throwIfAborted(); // an interruption is no mistake of the Dockerfile
      if (!(error instanceof RegistryError)) throw error;
      throw new BuildError(`failed to resolve source metadata for ${shown}: ${error.message}`, {
        cause: error,
        hint: error.hint,
      });
    }
  });
}

function tellPull(vertex: LiveVertex): (event: PullProgress) => void {
  return (event) => {
    if (event.kind === "status") {
      vertex.log(2, new TextEncoder().encode(`${event.text}\n`));
      return;
    }
    const { digest, status, current, total } = event;
    if (status === "exists") return;
    const isDone = status === "done";
    const verb = status === "extracting" ? "extracting " : "";
    vertex.progress(`${verb}${digest}`, isDone ? total : current, total, isDone);
  };
}

function fullName(name: string): string {
  try {
    return formatReference(withDefaultTag(parseReference(name)));
  } catch {
    return name; // an id
  }
}

function platformOf({ os, architecture, variant }: ImageConfig): Platform {
  if (os === "" || architecture === "") return hostPlatform();
  return { os, architecture, ...(variant !== undefined && { variant }) };
}
