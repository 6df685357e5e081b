/**
 * A cache as it travels: what keys lead to, and the layers. The form is BuildKit's cache config, so that registries and
 * tools know it for what it is; the keys are ours, so that BuildKit finds nothing in it, nor we in its own.
 *
 * @see BuildKit cache/remotecache/v1/spec.go: CacheConfig
 */

import * as v from "valibot";
import { VerificationError } from "../errors.ts";
import { toBase64 } from "../spec/base64.ts";
import { type Digest, isDigest } from "../spec/digest.ts";
import { type ImageConfig, LAYER_COMPRESSION, type Manifest } from "../spec/image.ts";
import type { StepRecord } from "./cache.ts";
import type { BuiltLayer } from "./step.ts";

export const CACHE_CONFIG_TYPE = "application/vnd.buildkit.cacheconfig.v0";
/** Of an image's config: the records of an inline cache, in base64. */
export const INLINE_CACHE_FIELD = "moby.buildkit.cache.v0";

/** What keys lead to. */
export type CachedSteps = ReadonlyMap<string, StepRecord>;

const DIGEST = v.pipe(v.string(), v.check((text) => isDigest(text)));
/** It becomes a part of the image's history. */
const TIME = v.pipe(v.string(), v.isoTimestamp());
const RECORD = v.object({
  digest: v.pipe(v.string(), v.regex(/^sha256:[0-9a-f]{64}$/)),
  layers: v.optional(
    v.array(v.object({ layer: v.pipe(v.number(), v.integer()), createdAt: v.optional(v.string()) })),
  ),
  // what BuildKit's form has no place for; its readers pass over it
  step: v.optional(v.object({
    kind: v.string(),
    description: v.string(),
    parent: v.string(),
    // also of a step without a layer
    createdAt: TIME,
  })),
});
const RECORDS = v.array(RECORD);
const LAYERS = v.array(v.object({
  blob: DIGEST,
  annotations: v.optional(v.object({
    mediaType: v.optional(v.string()),
    diffID: v.optional(DIGEST),
    size: v.optional(v.number()),
  })),
}));
const DOCUMENT = v.object({ layers: v.optional(LAYERS), records: v.optional(RECORDS) });
type Records = v.InferOutput<typeof RECORDS>;

/** The document of a cache, and its layers, each once. */
export function makeCacheDocument(
  steps: readonly StepRecord[],
): { document: unknown; layers: BuiltLayer[] } {
  const layers = [...new Map(steps.flatMap(({ layer }) => (layer ? [[layer.digest, layer]] : []))).values()];
  const described = layers.map(({ digest, diffId, size, mediaType }) => ({
    blob: digest,
    parent: -1,
    annotations: { mediaType, diffID: diffId, size },
  }));
  return { document: { layers: described, records: makeRecords(steps, layers) }, layers };
}

/** What an image carries of its own steps; `layers` are the image's. */
export function makeInlineCache(steps: readonly StepRecord[], layers: readonly BuiltLayer[]): string {
  return toBase64(new TextEncoder().encode(JSON.stringify(makeRecords(steps, layers))));
}

function makeRecords(steps: readonly StepRecord[], layers: readonly BuiltLayer[]): Records {
  return steps.map(({ key, layer, createdAt, kind, description, parent }) => ({
    digest: `sha256:${key}`,
    layers: layer === null
      ? []
      : [{ layer: layers.findIndex(({ digest }) => digest === layer.digest), createdAt }],
    step: { kind, description, parent, createdAt },
  }));
}

/** Reads a cache's document. Records that are not ours are left out. @throws {VerificationError} */
export function readCacheDocument(what: string, bytes: Uint8Array, manifest: Manifest): CachedSteps {
  const { layers = [], records = [] } = read(what, DOCUMENT, bytes);
  const sizes = new Map(manifest.layers.map((one) => [one.digest as string, one]));
  const known = layers.map(({ blob, annotations = {} }): BuiltLayer | undefined => {
    const described = sizes.get(blob);
    const mediaType = described?.mediaType ?? annotations.mediaType;
    const { diffID, size = described?.size } = annotations;
    if (diffID === undefined || size === undefined || mediaType === undefined) return undefined;
    if (!Object.hasOwn(LAYER_COMPRESSION, mediaType)) return undefined;
    return { digest: blob as Digest, diffId: diffID as Digest, size, mediaType };
  });
  return readRecords(records, known);
}

/** Reads what an image carries; empty where that is nothing. @throws {VerificationError} */
export function readInlineCache(what: string, configBytes: Uint8Array, manifest: Manifest): CachedSteps {
  let config: ImageConfig & { [INLINE_CACHE_FIELD]?: unknown };
  let records: Uint8Array;
  try {
    config = JSON.parse(new TextDecoder().decode(configBytes));
    const text = config[INLINE_CACHE_FIELD];
    if (typeof text !== "string") return new Map();
    records = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  } catch (cause) {
    throw new VerificationError(`read inline cache of ${what}: it is damaged`, { cause });
  }
  const layers = manifest.layers.map(({ digest, size, mediaType }, index): BuiltLayer | undefined => {
    const diffId = config.rootfs?.diff_ids?.[index];
    return isDigest(diffId) ? { digest, diffId, size, mediaType } : undefined;
  });
  return readRecords(read(what, RECORDS, records), layers);
}

function readRecords(records: Records, layers: readonly (BuiltLayer | undefined)[]): CachedSteps {
  const steps = new Map<string, StepRecord>();
  for (const { digest, layers: results = [], step } of records) {
    if (step === undefined) continue;
    const key = digest.slice("sha256:".length);
    const [result] = results;
    const layer = result === undefined ? null : layers[result.layer];
    if (layer === undefined) continue;
    steps.set(key, { key, layer, ...step });
  }
  return steps;
}

function read<S extends v.GenericSchema>(what: string, schema: S, bytes: Uint8Array): v.InferOutput<S> {
  try {
    return v.parse(schema, JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)));
  } catch (cause) {
    throw new VerificationError(`read cache of ${what}: its document is damaged`, { cause });
  }
}
