/** `manifest inspect`, `manifest exists` and `manifest rm`. */

import { platformDocument } from "../image/index_document.ts";
import { indexOf, type ListEntry, listOf } from "../image/list.ts";
import { findStoredImage } from "../image/store.ts";
import { fetchManifest } from "../registry/remote_manifest.ts";
import { MEDIA_TYPE } from "../spec/image.ts";
import type { Engine } from "./engine.ts";
import { getList } from "./manifest_list.ts";
import { rmi, type RmiOptions, type RmiResult } from "./rmi.ts";

export interface ManifestInspectOptions {
  tlsVerify?: boolean;
  authFile?: string;
  signal?: AbortSignal;
}

/** A list of the store; else what the registry has under that name. `isList` tells whether it is one. */
export async function manifestInspect(
  engine: Engine,
  text: string,
  options: ManifestInspectOptions = {},
): Promise<{ document: unknown; isList: boolean }> {
  const found = findStoredImage(await engine.database(), text.replace(/^containers-storage:/, ""));
  if (found?.image.list !== undefined) return { document: documentOf(found.image), isList: true };
  const { bytes, document } = await fetchManifest(text.replace(/^docker:\/\//, ""), options);
  return { document: JSON.parse(new TextDecoder().decode(bytes)), isList: document.kind === "index" };
}

function documentOf(row: Parameters<typeof listOf>[0]) {
  const list = listOf(row);
  const { annotations, subject } = indexOf(list);
  return {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.ociIndex,
    // podman's null, which programs know
    manifests: list.entries.length === 0 ? null : list.entries.map(entryDocument),
    subject,
    annotations,
  };
}

function entryDocument({ mediaType, size, digest, platform, annotations, artifactType, files }: ListEntry) {
  return {
    mediaType,
    size,
    digest,
    platform: platformDocument(platform ?? { os: "", architecture: "" }),
    annotations,
    artifactType,
    files,
  };
}

/** Whether there is such a list. @throws {ConflictError} where it is an image */
export async function manifestExists(engine: Engine, text: string): Promise<boolean> {
  const db = await engine.database();
  if (findStoredImage(db, text) === undefined) return false;
  getList(db, text);
  return true;
}

/** Removes lists with all that they are called; the images in them stay. */
export async function manifestRm(
  engine: Engine,
  lists: readonly string[],
  options: Pick<RmiOptions, "ignore"> = {},
): Promise<RmiResult> {
  const db = await engine.database();
  const errors: Error[] = [];
  const known: string[] = [];
  for (const text of lists) {
    try {
      getList(db, text);
      known.push(text);
    } catch (error) {
      const isMissing = findStoredImage(db, text) === undefined;
      if (!(isMissing && options.ignore)) errors.push(error as Error);
    }
  }
  const removed = await rmi(engine, known, options);
  return { ...removed, errors: [...errors, ...removed.errors] };
}
