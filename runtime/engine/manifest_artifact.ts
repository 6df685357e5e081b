/** `manifest add --artifact`: files become an artifact that only the list knows. */

import type { ListEntry } from "../image/list.ts";
import { imagesLockPath } from "../image/store.ts";
import type { Descriptor } from "../spec/image.ts";
import { takeLock } from "../state/locks.ts";
import { addFileBlob } from "../storage/file_blob.ts";
import { fileLayer, newManifest, UNKNOWN_TYPE, writeArtifact } from "./artifact_add.ts";
import type { Engine } from "./engine.ts";
import { addEntries, described, type EntryDetails } from "./manifest_add.ts";
import { subjectOf } from "./manifest_annotate.ts";
import { getList } from "./manifest_list.ts";

export interface ManifestArtifactOptions extends EntryDetails {
  type?: string;
  /** A file, and its media type. */
  config?: string;
  configType?: string;
  /** Of the files; by default what their content tells. */
  layerType?: string;
  excludeTitles?: boolean;
  /** What the artifact is about. */
  subject?: string;
  signal?: AbortSignal;
}

/** What Go's mime.TypeByExtension knows by itself, which podman asks before it looks at the content. */
const TYPES_BY_EXTENSION: Readonly<Record<string, string>> = {
  avif: "image/avif",
  css: "text/css",
  gif: "image/gif",
  htm: "text/html",
  html: "text/html",
  jpeg: "image/jpeg",
  jpg: "image/jpeg",
  js: "text/javascript",
  json: "application/json",
  mjs: "text/javascript",
  pdf: "application/pdf",
  png: "image/png",
  svg: "image/svg+xml",
  wasm: "application/wasm",
  webp: "image/webp",
  xml: "text/xml",
};

const CONFIG_TYPE = "application/vnd.oci.image.config.v1+json";

/** @returns the list's id */
export async function manifestAddFiles(
  engine: Engine,
  list: string,
  paths: readonly string[],
  options: ManifestArtifactOptions = {},
): Promise<string> {
  const { row: { id } } = getList(await engine.database(), list);
  const subject = options.subject === undefined ? undefined : await subjectOf(engine, options.subject);
  using _lock = (await takeLock(imagesLockPath(engine.folders), { shared: true, signal: options.signal }))!;
  const layers: Descriptor[] = [];
  for (const path of paths) layers.push(await layerOf(engine, path, options));
  const artifactType = options.type ?? UNKNOWN_TYPE;
  const config = await configOf(engine, options);
  const manifest = { ...await newManifest(engine, artifactType, config), layers, subject };
  const digest = await writeArtifact(engine, manifest);
  const entry: ListEntry = {
    mediaType: manifest.mediaType!,
    digest,
    size: new TextEncoder().encode(JSON.stringify(manifest)).length,
    artifactType,
    blobs: [...new Set([manifest.config.digest, ...layers.map((layer) => layer.digest)])],
    files: paths.map((path) => path.startsWith("/") ? path : `${Deno.cwd()}/${path}`),
  };
  await addEntries(engine, id, [described(entry, options)], options.signal);
  return id;
}

/** As `artifact add` describes a file, but for parameters of its type: podman has none in lists. */
async function layerOf(
  engine: Engine,
  path: string,
  { layerType, excludeTitles: noTitle }: ManifestArtifactOptions,
): Promise<Descriptor> {
  if (layerType !== undefined) return await fileLayer(engine, path, { fileType: layerType, noTitle });
  const extension = /\.([^./]+)$/.exec(path)?.[1]?.toLowerCase() ?? "";
  const fileType = Object.hasOwn(TYPES_BY_EXTENSION, extension) ? TYPES_BY_EXTENSION[extension] : undefined;
  const layer = await fileLayer(engine, path, { fileType, noTitle });
  return { ...layer, mediaType: layer.mediaType.replace(/;.*/, "") };
}

async function configOf(
  { folders }: Engine,
  { config, configType }: ManifestArtifactOptions,
): Promise<Descriptor | undefined> {
  if (config === undefined) return undefined;
  const { digest, size } = await addFileBlob(folders, config, 0);
  return { mediaType: configType ?? CONFIG_TYPE, digest, size };
}
