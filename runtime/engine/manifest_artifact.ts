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
  const how = { fileType: options.layerType, noTitle: options.excludeTitles };
  const layers: Descriptor[] = [];
  for (const path of paths) layers.push(await fileLayer(engine, path, how));
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
    files: [...paths],
  };
  await addEntries(engine, id, [described(entry, options)], options.signal);
  return id;
}

async function configOf(
  { folders }: Engine,
  { config, configType }: ManifestArtifactOptions,
): Promise<Descriptor | undefined> {
  if (config === undefined) return undefined;
  const { digest, size } = await addFileBlob(folders, config, 0);
  return { mediaType: configType ?? CONFIG_TYPE, digest, size };
}
