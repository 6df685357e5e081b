/**
 * Hostile JSON becomes image documents, or an error. Import it lazily: valibot is not for the start-up path.
 * A document is read here for its shape; `runtime/image/manifest.ts` judges what it means.
 */
import * as v from "valibot";
import { VerificationError } from "../errors.ts";
import { type Digest, isDigest } from "./digest.ts";
import { printable } from "./printable.ts";
import { type Descriptor, DOCUMENT_LIMITS, type ImageConfig, type Index, type Manifest } from "./image.ts";

/** Go writes `null` for an empty slice, map or string; both mean "absent". */
function absent<const S extends v.GenericSchema>(schema: S) {
  return v.optional(v.pipe(v.nullish(schema), v.transform((value) => value ?? undefined)));
}

const text = v.pipe(v.string(), v.maxLength(64 << 10));
const digest = v.custom<Digest>(isDigest, (issue) => `malformed digest ${shown(issue.input)}`);
const size = v.pipe(v.number(), v.safeInteger("size is no whole number"), v.minValue(0, "negative size"));
const texts = v.pipe(v.array(text), v.maxLength(8192));
const textMap = v.record(v.string(), text);
const emptyObjects = v.pipe(v.record(v.string(), v.unknown()), v.transform(keysOnly));
const count = v.pipe(v.number(), v.finite());

const platform = v.pipe(
  v.object({
    os: text,
    architecture: text,
    variant: absent(text),
    "os.version": absent(text),
    "os.features": absent(texts),
    features: absent(texts),
  }),
  v.transform((p) => ({
    os: p.os,
    architecture: p.architecture,
    ...(p.variant ? { variant: p.variant } : {}),
    ...(p["os.version"] ? { osVersion: p["os.version"] } : {}),
    ...(p["os.features"]?.length ? { osFeatures: p["os.features"] } : {}),
    ...(p.features?.length ? { features: p.features } : {}),
  })),
);

const descriptor = v.object({
  mediaType: text,
  digest,
  size,
  urls: absent(texts),
  annotations: absent(textMap),
  platform: absent(platform),
  artifactType: absent(text),
});

const schemaVersion = v.literal(2, "schemaVersion is not 2");

const manifestSchema = v.object({
  schemaVersion,
  mediaType: absent(text),
  artifactType: absent(text),
  config: descriptor,
  layers: v.pipe(v.array(descriptor), v.maxLength(DOCUMENT_LIMITS.layers, "too many layers")),
  annotations: absent(textMap),
});

const indexSchema = v.object({
  schemaVersion,
  mediaType: absent(text),
  artifactType: absent(text),
  subject: absent(descriptor),
  manifests: v.pipe(v.array(descriptor), v.maxLength(DOCUMENT_LIMITS.indexEntries, "too many manifests")),
  annotations: absent(textMap),
});

const healthcheck = v.object({
  Test: absent(texts),
  Interval: absent(count),
  Timeout: absent(count),
  StartPeriod: absent(count),
  StartInterval: absent(count),
  Retries: absent(count),
});

const runConfig = v.object({
  User: absent(text),
  ExposedPorts: absent(emptyObjects),
  Env: absent(texts),
  Entrypoint: absent(texts),
  Cmd: absent(texts),
  Volumes: absent(emptyObjects),
  WorkingDir: absent(text),
  Labels: absent(textMap),
  StopSignal: absent(text),
  Healthcheck: absent(healthcheck),
  Shell: absent(texts),
  OnBuild: absent(texts),
});

const history = v.object({
  created: absent(text),
  created_by: absent(v.string()),
  author: absent(text),
  comment: absent(v.string()),
  empty_layer: absent(v.boolean()),
});

const configSchema = v.object({
  created: absent(text),
  author: absent(text),
  architecture: text,
  variant: absent(text),
  os: text,
  "os.version": absent(text),
  config: absent(runConfig),
  rootfs: v.object({
    type: v.literal("layers", "rootfs.type is not layers"),
    diff_ids: v.pipe(
      v.nullish(v.pipe(v.array(digest), v.maxLength(DOCUMENT_LIMITS.layers, "too many diff ids"))),
      v.transform((ids) => ids ?? []),
    ),
  }),
  history: absent(v.pipe(v.array(history), v.maxLength(8192))),
});

/** @throws VerificationError naming `what` and the first field that is wrong. */
export function parseManifest(what: string, json: unknown): Manifest {
  return parse(what, manifestSchema, json) as Manifest;
}

/** @throws VerificationError naming `what` and the first field that is wrong. */
export function parseIndex(what: string, json: unknown): Index {
  return parse(what, indexSchema, json) as Index;
}

/** @throws VerificationError naming `what` and the first field that is wrong. */
export function parseImageConfig(what: string, bytes: Uint8Array): ImageConfig {
  if (bytes.length > DOCUMENT_LIMITS.configBytes) {
    throw new VerificationError(`read ${what}: it is larger than ${DOCUMENT_LIMITS.configBytes} bytes`);
  }
  return parse(what, configSchema, parseJson(what, bytes)) as ImageConfig;
}

/** @throws VerificationError naming `what` and the first field that is wrong. */
export function parseDescriptor(what: string, json: unknown): Descriptor {
  return parse(what, descriptor, json) as Descriptor;
}

/**
 * JSON as RFC 8259 has it: UTF-8, and nothing that a lenient reader would skip.
 * @throws VerificationError naming `what`.
 */
export function parseJson(what: string, bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new VerificationError(`read ${what}: it is no JSON document`, { cause });
  }
}

function parse<S extends v.GenericSchema>(what: string, schema: S, json: unknown): v.InferOutput<S> {
  const result = v.safeParse(schema, json, { abortEarly: true });
  if (result.success) return dropUndefined(result.output) as v.InferOutput<S>;
  const issue = result.issues[0];
  const path = v.getDotPath(issue);
  throw new VerificationError(
    `read ${what}: ${printable(path === null ? issue.message : `${path}: ${issue.message}`)}`,
  );
}

/** Absent fields are absent, not `undefined`, so that documents compare and print as expected. */
function dropUndefined(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(dropUndefined);
  if (value === null || typeof value !== "object") return value;
  const kept: Record<string, unknown> = {};
  for (const [key, field] of Object.entries(value)) {
    if (field !== undefined) kept[key] = dropUndefined(field);
  }
  return kept;
}

function keysOnly(map: Record<string, unknown>): Record<string, Record<string, never>> {
  return Object.fromEntries(Object.keys(map).map((key) => [key, {}]));
}

function shown(value: unknown): string {
  return printable(JSON.stringify(value) ?? "undefined", 100);
}
