/** The digest of what a step reads, for the cache's key. The work is done in a forked child. */

import { runFileTask } from "../../files/task.ts";
import { type Digest, parseDigest } from "../../spec/digest.ts";
import { loadArchiveHash, SMALL_ARCHIVE_BYTES } from "../../storage/layer_hash.ts";
import { openFamilies } from "../../../ffi/libc.ts";
import { hash } from "../cache_key.ts";
import type { BuildServices } from "../services.ts";
import type { SourceTree } from "../step.ts";
import { recallDigest, rememberDigest } from "../../state/build_digests.ts";
import { OpenedViews } from "../../files/view.ts";
import { openTree, prepareTree } from "./source_tree.ts";
import type { SourceSelection } from "./selection.ts";
import { StatCache } from "./stat_cache.ts";
import { digestTree } from "./tree_digest.ts";

export type { SourceSelection } from "./selection.ts";

/** More processes than these only wait for the disk. */
const MAX_PROCESSES = 4;
const MAX_CONTEXTS = 64;

/**
 * The content digest of what the patterns name in the tree: no times, no places.
 *
 * @throws {NotFoundError} `failed to calculate checksum of ref …: "/x": not found`
 */
export async function digestSelection(
  services: Pick<BuildServices, "folders" | "namespaces" | "storageDriver" | "database">,
  tree: SourceTree,
  selection: SourceSelection,
  signal?: AbortSignal,
): Promise<Digest> {
  signal?.throwIfAborted();
  // a snapshot never changes, so that what was found out once holds for ever
  const key = tree.kind === "snapshot"
    ? hash([tree.snapshot.layers.map(({ diffId }) => diffId), selection])
    : undefined;
  const known = key === undefined ? undefined : recallDigest(await services.database(), key);
  if (known !== undefined) return parseDigest(known);
  await using prepared = await prepareTree(services, tree);
  openFamilies("memory", "poll");
  // what was unpacked for this build alone is not seen again
  const isKept = prepared.kind === "folder" && !prepared.path.startsWith(`${services.folders.tmp}/`);
  const cachePath = isKept ? statCachePath(services, prepared.path) : undefined;
  const rules = {
    owners: tree.kind === "snapshot",
    recorded: prepared.kind === "snapshot" ? prepared.recorded : undefined,
    processes: Math.min(navigator.hardwareConcurrency, MAX_PROCESSES),
  };
  // where the cache knows nearly all of it, nothing needs to be loaded that hashes much
  const attempt = async (limitBytes: number) => {
    const newHash = await loadArchiveHash(limitBytes);
    crypto.randomUUID(); // loaded before the fork
    return await runFileTask(services.namespaces, () => {
      const cache = cachePath === undefined ? undefined : new StatCache(cachePath);
      using views = new OpenedViews();
      using opened = openTree(prepared, views);
      return digestTree(opened, selection, { ...rules, cache, newHash, limitBytes }) ?? null;
    }, signal);
  };
  const found = await attempt(SMALL_ARCHIVE_BYTES) ?? await attempt(Infinity);
  const digest = `sha256:${found}`;
  if (key !== undefined) rememberDigest(await services.database(), key, digest);
  return parseDigest(digest);
}

/** One for each context; a few dozen are kept. */
function statCachePath({ folders }: Pick<BuildServices, "folders">, path: string): string {
  const folder = `${folders.data}/build-stat`;
  const file = `${folder}/${hash(path).slice(0, 32)}`;
  Deno.mkdirSync(folder, { recursive: true, mode: 0o700 });
  forgetOldest(folder);
  return file;
}

function forgetOldest(folder: string): void {
  const names = Array.from(Deno.readDirSync(folder), ({ name }) => name).filter((name) =>
    !name.startsWith(".")
  );
  if (names.length <= MAX_CONTEXTS) return;
  const ages = names.map((name) => ({
    name,
    time: Deno.statSync(`${folder}/${name}`).mtime?.getTime() ?? 0,
  }));
  ages.sort((a, b) => a.time - b.time);
  for (const { name } of ages.slice(0, ages.length - MAX_CONTEXTS / 2)) Deno.removeSync(`${folder}/${name}`);
}
