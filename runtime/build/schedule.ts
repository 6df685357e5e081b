/** One graph, solved: each step once, as soon as what it needs is there. */

import { hasBlob } from "../storage/blobs.ts";
import type { BuildCache, StepRecord, StepResult } from "./cache.ts";
import { snapshotKey, stepKey } from "./cache_key.ts";
import type { Dockerfile } from "./dockerfile/ast.ts";
import type { BuildOptions } from "./options.ts";
import { located } from "./plan/located.ts";
import type { BuildServices, SolvedMount } from "./services.ts";
import type { Slots } from "./slots.ts";
import type { Sources } from "./sources.ts";
import type {
  BuildGraph,
  BuiltLayer,
  FileSource,
  LayerTimes,
  RunMount,
  Snapshot,
  Step,
  StepBase,
  StepContext,
  StepId,
} from "./step.ts";
import type { LiveVertex, Vertices } from "./vertices.ts";

export interface RunContext {
  services: BuildServices;
  options: BuildOptions;
  vertices: Vertices;
  cache: BuildCache;
  slots: Slots;
  sources: Sources;
  dockerfile: Dockerfile;
  times?: LayerTimes;
  /** Ends when the build is given up, or has failed. */
  signal: AbortSignal;
  stop: AbortController;
}

/** Of a step that read something else than its key says, as a context was changed meanwhile: in no cache. */
type MadeResult = StepResult & { isUnkeyed?: boolean };

/** Steps of equal keys, whoever began first, of all graphs of the build. */
const going = new WeakMap<BuildCache, Map<string, Promise<MadeResult>>>();

export class Run {
  /** The first that went wrong; what came after it was stopped by it. */
  failure?: { error: unknown };
  readonly #graph: BuildGraph;
  readonly #context: RunContext;
  readonly #layers: Promise<MadeResult>[] = [];
  readonly #results: MadeResult[] = [];
  readonly #keys: string[] = [];
  readonly #parents: string[] = [];
  readonly #vertices: LiveVertex[];
  /** Steps whose layers are the image's. */
  readonly #kept = new Set<StepId>();

  constructor(graph: BuildGraph, context: RunContext) {
    this.#graph = graph;
    this.#context = context;
    for (const { origin } of graph.images) context.vertices.add(origin.name).done({ cached: true });
    this.#vertices = [];
    for (const step of graph.steps) {
      const inputs = inputsOf(step).map((id) => this.#vertices[id]!.digest);
      this.#vertices.push(context.vertices.add(step.origin.name, inputs));
    }
    for (let at = graph.result; at.kind === "step"; at = graph.steps[at.step]!.base) this.#kept.add(at.step);
  }

  /** Solves every step and gives the files that the graph comes to. */
  async solve(): Promise<Snapshot> {
    for (const id of this.#graph.steps.keys()) {
      const result = this.#solveStep(id);
      this.#layers.push(result);
      result.catch(() => {}); // told below
    }
    const ends = await Promise.allSettled(this.#layers);
    for (const end of ends) if (end.status === "rejected") throw this.failure?.error ?? end.reason;
    const snapshot = await this.#snapshotOf(this.#graph.result);
    await this.#ensureBlobs(snapshot);
    return snapshot;
  }

  /** Of a step that is done. */
  resultOf(step: StepId): StepResult {
    return this.#results[step]!;
  }

  /** Of all steps, or of those alone whose layers are the image's; when they are done. */
  records(mode: "min" | "max"): StepRecord[] {
    return [...this.#graph.steps.entries()]
      .filter(([id]) => (mode === "max" || this.#kept.has(id)) && !this.#results[id]!.isUnkeyed)
      .map(([id, { kind, origin }]) => ({
        layer: this.#results[id]!.layer,
        createdAt: this.#results[id]!.createdAt,
        key: this.#keys[id]!,
        kind,
        description: origin.name,
        parent: this.#parents[id]!,
      }));
  }

  async #solveStep(id: StepId): Promise<MadeResult> {
    const step = this.#graph.steps[id]!;
    const vertex = this.#vertices[id]!;
    try {
      return this.#results[id] = await this.#makeOrFind(id, step, vertex);
    } catch (error) {
      const { signal, stop, dockerfile } = this.#context;
      // what was stopped by another's failure is not told as one
      if (signal.aborted) throw error;
      const failed = located(dockerfile, step.origin.location, error);
      this.failure ??= { error: failed };
      vertex.fail(error);
      stop.abort(failed);
      throw failed;
    }
  }

  async #makeOrFind(id: StepId, step: Step, vertex: LiveVertex): Promise<MadeResult> {
    const { cache, services, signal, times } = this.#context;
    if (step.kind === "run" && step.devices) await services.checkDevices?.(step);
    const base = standsAlone(step) ? undefined : await this.#snapshotOf(step.base);
    const reads = await this.#digests(step);
    signal.throwIfAborted();
    const key = this.#keys[id] = stepKey(step, base && snapshotKey(base), reads, times);
    const parent = this.#parents[id] = snapshotKey(base ?? { layers: [] });
    const found = this.#ignoresCache(step) ? undefined : await cache.find(key);
    const known = found !== undefined && this.#isTooOld(found) ? undefined : found;
    const replace = this.#ignoresCache(step) || found !== known;
    if (known !== undefined) {
      vertex.done({ cached: true });
      return known;
    }
    const others = going.get(cache) ?? new Map<string, Promise<MadeResult>>();
    going.set(cache, others);
    const other = others.get(key);
    if (other !== undefined) {
      const result = await other;
      vertex.done({ cached: true });
      return result;
    }
    const making = this.#make(id, step, vertex, base ?? { layers: [] }, { key, parent, replace, reads });
    others.set(key, making);
    return await making;
  }

  async #make(
    id: StepId,
    step: Step,
    vertex: LiveVertex,
    base: Snapshot,
    { key, parent, replace, reads }: { key: string; parent: string; replace: boolean; reads: string[] },
  ): Promise<MadeResult> {
    const { cache, slots, signal, vertices } = this.#context;
    return await slots.use(async () => {
      signal.throwIfAborted();
      vertex.begin();
      const layer = await this.#perform(step, base, {
        signal,
        log: (stream, data) => vertex.log(stream, data),
        times: this.#context.times,
        keepBlob: this.#kept.has(id),
        options: this.#context.options,
      });
      const description = step.origin.name;
      const isKeyed = await this.#readsStill(step, reads);
      if (!isKeyed) vertices.warn(`${description}: not cached, as its files were changed meanwhile`);
      const result = isKeyed
        ? await cache.publish({ key, kind: step.kind, description, parent, layer }, { replace })
        : { layer, createdAt: new Date().toISOString(), isUnkeyed: true };
      vertex.done();
      return result;
    });
  }

  /** Whether what was read is what the key was made of: a folder of the host's may have changed since. */
  async #readsStill(step: Step, reads: readonly string[]): Promise<boolean> {
    const { sources, signal } = this.#context;
    const live = await Promise.all(filesOf(step).map((from) => sources.isLive(from)));
    if (!live.includes(true)) return true;
    const now = await this.#digests(step).catch(() => [] as string[]); // gone
    signal.throwIfAborted();
    return reads.every((digest, index) => digest === now[index]);
  }

  async #perform(step: Step, base: Snapshot, context: StepContext): Promise<BuiltLayer | null> {
    const { services, sources } = this.#context;
    const snapshotOf = (other: StepId) => this.#snapshotOf({ kind: "step", step: other });
    switch (step.kind) {
      case "mkdir": {
        const { performMkdir } = await import("./copy/copy.ts");
        return await performMkdir(services, step, base, context);
      }
      case "copy": {
        const trees = await Promise.all(step.sources.map(async ({ from, pattern }) => ({
          tree: await sources.tree(from, snapshotOf),
          pattern,
        })));
        const { performCopy } = await import("./copy/copy.ts");
        return await performCopy(services, step, base, trees, context);
      }
      case "run": {
        const mounts = await Promise.all(step.mounts.map(async (mount): Promise<SolvedMount> => {
          if (mount.type !== "bind" && mount.type !== "cache") return mount;
          const { from, ...rest } = mount;
          const tree = from === undefined || from.kind === "scratch"
            ? {}
            : { tree: await sources.tree(from, snapshotOf) };
          return { ...rest, ...tree } as SolvedMount;
        }));
        return await services.runStep(
          { ...step, env: [...step.env, ...step.proxyEnv] },
          base,
          mounts,
          context,
        );
      }
    }
  }

  /** For each source or mount, what is read there. */
  async #digests(step: Step): Promise<string[]> {
    const { sources } = this.#context;
    const snapshotOf = (other: StepId) => this.#snapshotOf({ kind: "step", step: other });
    switch (step.kind) {
      case "mkdir":
        return [];
      case "copy": {
        const { exclude, parents } = step;
        return await Promise.all(
          step.sources.map(({ from, pattern }) =>
            sources.digest(from, { patterns: [pattern], exclude, parents }, snapshotOf)
          ),
        );
      }
      case "run":
        return await Promise.all(step.mounts.map(async (mount) => {
          const read = readBy(mount);
          if (read === undefined) return "";
          const selection = { patterns: [read.source], exclude: [], parents: false, literal: true };
          return await sources.digest(read.from, selection, snapshotOf);
        }));
    }
  }

  async #snapshotOf(base: StepBase): Promise<Snapshot> {
    if (base.kind === "scratch") return { layers: [] };
    if (base.kind === "image") return base.image.snapshot;
    // its own layer may be there before those below it
    const below = await this.#snapshotOf(this.#graph.steps[base.step]!.base);
    const { layer } = await this.#layers[base.step]!;
    return layer === null ? below : { layers: [...below.layers, layer] };
  }

  #ignoresCache({ origin }: Step): boolean {
    const { noCache, noCacheFilter } = this.#context.options;
    return noCache || noCacheFilter.some((name) => name.toLowerCase() === origin.stage.toLowerCase());
  }

  #isTooOld({ createdAt }: StepResult): boolean {
    const { cacheTtlMs } = this.#context.options;
    return cacheTtlMs !== undefined && Date.now() - Date.parse(createdAt) >= cacheTtlMs;
  }

  /** Archives of layers that a cache kept unpacked only. */
  async #ensureBlobs({ layers }: Snapshot): Promise<void> {
    const { services } = this.#context;
    for (const layer of layers) {
      if (layer.digest !== layer.diffId || hasBlob(services.folders, layer.digest, layer.size)) continue;
      const { ensureBlob } = await import("../storage/capture.ts");
      await ensureBlob(services, layer);
    }
  }
}

/** Owners by name are looked up in the base; otherwise what --link copies is the same on anything. */
function standsAlone(step: Step): boolean {
  return step.kind === "copy" && step.link && /^(\d+(:\d+)?)?$/.test(step.chown ?? "");
}

function readBy(mount: RunMount): { from: FileSource; source: string } | undefined {
  if (mount.type !== "bind" && mount.type !== "cache") return undefined;
  const { from, source } = mount;
  return from === undefined || from.kind === "scratch" ? undefined : { from, source };
}

/** What it reads besides its base. */
function filesOf(step: Step): FileSource[] {
  if (step.kind === "copy") return step.sources.map(({ from }) => from);
  return step.kind === "run" ? step.mounts.flatMap((mount) => readBy(mount)?.from ?? []) : [];
}

function inputsOf(step: Step): StepId[] {
  return [step.base, ...filesOf(step)].flatMap((from) => (from.kind === "step" ? [from.step] : []));
}
