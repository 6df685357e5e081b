/**
 * Makes a layer of what has changed in a root: of a step of a build, of a container that is committed.
 *
 * With the kernel's overlay the upper folder itself, or a copy of it where it must stay, becomes
 * `layers/<diff-id>/<form>`: its archive is hashed on the way and nothing is unpacked. Where the tree is made otherwise
 * (fuse-overlayfs, vfs, ids of a nested namespace), the archive is written and unpacked as that of a pulled layer is.
 */

import { byteStringOf } from "../archive/byte_string.ts";
import { HostError } from "../errors.ts";
import type { RootfsPlan } from "../monitor/plan.ts";
import { type Digest, parseDigest } from "../spec/digest.ts";
import { MEDIA_TYPE } from "../spec/image.ts";
import { close, open } from "../../ffi/file.ts";
import { O_CLOEXEC, O_CREAT, O_EXCL, O_RDWR } from "../../ffi/constants/fcntl.ts";
import { hasBlob, publishBlob, writeBlob } from "./blobs.ts";
import { type Captured, captureHere, type CaptureJob, captureLayer, type ChildJob } from "./capture_task.ts";
import type { LayerTimes } from "./capture_tar.ts";
import type { NestedMaps } from "./layer_copy.ts";
import { loadArchiveHash, SMALL_ARCHIVE_BYTES } from "./layer_hash.ts";
import {
  DEFAULT_LAYER_LIMIT_BYTES,
  layerForm,
  layerPath,
  startExtraction,
  type StorageContext,
} from "./layers.ts";
import { surveyUpper } from "./upper_survey.ts";

export type { LayerTimes } from "./capture_tar.ts";

/** A layer of ours: its archive is plain, so its digest is its diff id. It may be in `blobs/` or not. */
export interface CapturedLayer {
  diffId: Digest;
  digest: Digest;
  size: number;
  mediaType: string;
}

export interface ChangedRoot {
  /** As prepared by the driver; not mounted any more, but for a tree that is kept. */
  plan: RootfsPlan;
  /** What the root stands on, the lowest first. */
  layers: readonly { diffId: Digest }[];
  /** The ids of the tree are those of a nested user namespace. */
  nested?: NestedMaps;
  /** Unpacked layers that the tree was merged of, the topmost first. */
  mergedOf?: readonly string[];
}

export interface CaptureOptions {
  times?: LayerTimes;
  /** Absolute paths that were made only to mount upon; left out where the layers have no such thing. */
  omit: readonly string[];
  /** The archive is kept in `blobs/` as well; `later` does not wait until it is on the disk: `ensureBlob` does. */
  keepBlob: boolean | "later";
  /** The tree is only read: the container lives, or will be started again. */
  keepTree?: boolean;
  signal?: AbortSignal;
}

/**
 * Makes the layer; null where nothing has changed. Without `keepTree` the tree is gone afterwards or in any state.
 *
 * @throws {HostError} where it cannot be read or written (disk full, …)
 * @throws the signal's reason
 */
export async function captureUpper(
  context: StorageContext,
  changed: ChangedRoot,
  options: CaptureOptions,
): Promise<CapturedLayer | null> {
  const { plan, nested } = changed;
  const { namespaces } = context;
  const { uid, gid, isRootless, isInside, maps } = namespaces;
  const survey = plan.kind === "overlay" && nested === undefined && options.keepTree
    ? surveyUpper(plan.upper, namespaces, SMALL_ARCHIVE_BYTES)
    : undefined;
  const loadHash = () => loadArchiveHash(survey?.bytes ?? Infinity);
  if (survey?.isOwn && isRootless && !isInside && !maps.isSingle) {
    try {
      const isTiny = survey.entries <= HERE_LIMITS.entries && survey.bytes <= HERE_LIMITS.bytes;
      const newHash = isTiny ? undefined : await loadHash();
      return await captureAs(context, changed, options, { newHash, owner: { uid, gid } });
    } catch {
      // Layers below may have folders that are closed to the user, and a container that runs may have made some since:
      // the root of the namespace can, or says why not.
      options.signal?.throwIfAborted();
    }
  }
  return await captureAs(context, changed, options, { newHash: await loadHash() });
}

/** What is done in this process: for longer it does not stand still. */
const HERE_LIMITS = { entries: 128, bytes: 1 << 20 };

/**
 * With an `owner` as the user himself, who owns the whole tree: to make or join a namespace takes 20 ms. Without a
 * `newHash` not even in a child.
 */
async function captureAs(
  context: StorageContext,
  { plan, layers, nested, mergedOf }: ChangedRoot,
  options: CaptureOptions,
  { newHash, owner }: Partial<Pick<ChildJob, "newHash" | "owner">>,
): Promise<CapturedLayer | null> {
  const form = layerForm(context.namespaces);
  const source = sourceOf(context, plan, layers.map(({ diffId }) => diffId));
  // fuse-overlayfs maps ids itself: on the disk they are those of the image
  const shift = source.kind === "fuse" || context.namespaces.maps.isSingle ? undefined : nested;
  const isLayer = source.kind === "overlay" && shift === undefined;
  const shown = owner === undefined ? shift : context.namespaces.maps;
  const copyIn = options.keepTree ? context.folders.tmp : undefined;
  const job = {
    ...source,
    mergedOf,
    form,
    publish: isLayer ? { layersDir: context.folders.layers, copyIn } : undefined,
    omit: options.omit.map(byteStringOf),
    times: options.times,
    owner,
    ids: shown === undefined ? sameIds : (ids: { uid: number; gid: number }) => unshift(ids, shown),
  };
  if (newHash === undefined) return await captureInMemory(context, job, options);
  let tar = isLayer && !options.keepBlob ? undefined : openPartial(context);
  try {
    const captured = await runCapture(context, { ...job, newHash, tarFd: tar?.fd ?? -1 }, options.signal);
    if (captured === null) return null;
    const layer = describe(captured);
    if (tar === undefined) return layer;
    if (!isLayer) await unpack(context, layer, tar.path, options.signal);
    if (options.keepBlob && !hasBlob(context.folders, layer.digest, layer.size)) {
      const published = publishBlob(context.folders, tar.path, layer.digest);
      if (options.keepBlob === "later") {
        const opened = tar;
        tar = undefined;
        publishLater(layer.digest, published.finally(() => opened[Symbol.dispose]()));
      } else await published;
    }
    return layer;
  } finally {
    tar?.[Symbol.dispose]();
  }
}

async function captureInMemory(
  context: StorageContext,
  job: CaptureJob,
  { keepBlob }: CaptureOptions,
): Promise<CapturedLayer | null> {
  const captured = await captureHere(job, { copy: HERE_LIMITS, archiveBytes: SMALL_ARCHIVE_BYTES });
  if (captured === null) return null;
  const { diffId, archive } = captured;
  const layer = describe({ diffId, bytes: archive.length });
  if (keepBlob && !hasBlob(context.folders, layer.digest, layer.size)) {
    const published = writeBlob(context.folders, archive, layer.digest).then(() => {});
    if (keepBlob === "later") publishLater(layer.digest, published);
    else await published;
  }
  return layer;
}

/** Archives that wait for the disk. */
const publishing = new Map<Digest, Promise<void>>();

function publishLater(digest: Digest, published: Promise<void>): void {
  publishing.set(digest, published);
  // whoever needs it hears of a failure
  published.then(() => publishing.delete(digest), () => {});
}

/** Waits until no archive of this process waits for the disk any more. Never throws. */
export async function settleArchives(): Promise<void> {
  await Promise.allSettled(publishing.values());
}

/**
 * Makes the archive of an unpacked layer again, so that it can be pushed or saved.
 *
 * @throws {HostError} where the tree does not give the same bytes
 */
export async function ensureBlob(
  context: StorageContext,
  layer: CapturedLayer,
  signal?: AbortSignal,
): Promise<void> {
  await publishing.get(layer.digest);
  if (hasBlob(context.folders, layer.digest, layer.size)) return;
  const form = layerForm(context.namespaces);
  const path = layerPath(context.folders, layer.diffId, form);
  using tar = openPartial(context);
  const newHash = await loadArchiveHash(layer.size);
  const job: ChildJob = {
    kind: "layer",
    path,
    lower: [],
    form,
    omit: [],
    ids: sameIds,
    newHash,
    tarFd: tar.fd,
  };
  const captured = await runCapture(context, job, signal);
  if (captured?.diffId !== layer.digest || captured.bytes !== layer.size) {
    throw new HostError(`make the archive of layer ${layer.diffId}: its files are not what they were`, {
      hint: "build the image again with --no-cache",
    });
  }
  await publishBlob(context.folders, tar.path, layer.digest);
}

async function runCapture(
  context: StorageContext,
  job: ChildJob,
  signal: AbortSignal | undefined,
): Promise<Captured | null> {
  const inherit = job.tarFd === -1 ? [] : [job.tarFd];
  const work = (answer: (captured: Captured | null) => void) => captureLayer(job, answer);
  // as root of everything does: a child, and no namespace
  const namespaces = { ...context.namespaces, isRootless: context.namespaces.isRootless && !job.owner };
  const { startInNamespace } = await import("./namespace_task.ts");
  const { result, ended } = await startInNamespace({ namespaces }, "capture layer", work, {
    inherit,
    signal,
  });
  try {
    return await result;
  } catch (error) {
    // the child that succeeded may still sync; the one that failed is gone when this returns
    await ended;
    throw error;
  }
}

function sourceOf(
  context: StorageContext,
  plan: RootfsPlan,
  layers: readonly Digest[],
): Pick<ChildJob, "kind" | "path" | "lower" | "hasImageIdsBelow"> {
  switch (plan.kind) {
    case "overlay": {
      const hasImageIdsBelow = plan.idMapped !== undefined;
      return { kind: "overlay", path: plan.upper, lower: plan.lower, hasImageIdsBelow };
    }
    case "fuse-overlayfs":
      return { kind: "fuse", path: plan.upper, lower: plan.lower };
    case "directory": {
      const form = layerForm(context.namespaces);
      const lower = layers.toReversed().map((diffId) => layerPath(context.folders, diffId, form));
      return { kind: "copy", path: plan.source, lower, hasImageIdsBelow: true };
    }
    case "host":
      throw new HostError("capture layer: the root is made of this machine's own folders");
    case "volume":
      throw new HostError("capture layer: a volume has none");
  }
}

async function unpack(
  context: StorageContext,
  layer: CapturedLayer,
  blobFile: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const job = {
    ...layer,
    blobFile,
    form: layerForm(context.namespaces),
    limitBytes: DEFAULT_LAYER_LIMIT_BYTES,
  };
  const extraction = await startExtraction(context, job);
  extraction.grow(layer.size);
  await extraction.finish(signal);
}

function openPartial({ folders }: StorageContext): { fd: number; path: string } & Disposable {
  const path = `${folders.blobs}/partial/layer-${crypto.randomUUID()}`;
  const fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600);
  return {
    fd,
    path,
    [Symbol.dispose]() {
      close(fd);
      try {
        Deno.removeSync(path);
      } catch (error) {
        // it has become the blob
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    },
  };
}

function describe({ diffId, bytes }: Captured): CapturedLayer {
  const digest = parseDigest(diffId);
  return { diffId: digest, digest, size: bytes, mediaType: MEDIA_TYPE.ociLayer };
}

function sameIds({ uid, gid }: { uid: number; gid: number }) {
  return { uid, gid };
}

/** @throws {HostError} for an id that the container's namespace does not have */
function unshift(owner: { uid: number; gid: number }, maps: NestedMaps): { uid: number; gid: number } {
  const find = (map: NestedMaps["uid"], id: number) => {
    const entry = map.find(({ hostID, size }) => id >= hostID && id < hostID + size);
    if (entry === undefined) {
      throw new HostError(`capture layer: id ${id} is not in the container's user namespace`);
    }
    return entry.containerID + id - entry.hostID;
  };
  return { uid: find(maps.uid, owner.uid), gid: find(maps.gid, owner.gid) };
}
