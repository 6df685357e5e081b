/**
 * Makes a layer of a changed tree, as a forked child does it: read, write the archive, and, where the tree itself
 * becomes the layer, give it its name. Killed at any point it leaves nothing visible.
 */

import { bytesOf } from "../archive/byte_string.ts";
import { HostError } from "../errors.ts";
import { type Digest, digestHex, digestOf, parseDigest } from "../spec/digest.ts";
import {
  close,
  fchmod,
  fchownat,
  Fd,
  fsyncAsync,
  open,
  openat,
  renameat2,
  statx,
  utimensat,
} from "../../ffi/file.ts";
import { AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW } from "../../ffi/constants/fcntl.ts";
import {
  O_CLOEXEC,
  O_CREAT,
  O_EXCL,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  O_WRONLY,
} from "../../ffi/constants/fcntl.ts";
import { S_IFMT, S_IFREG } from "../../ffi/constants/stat.ts";
import { EINVAL, ELOOP, ENOENT, ENOTDIR, isErrno } from "../../ffi/errno.ts";
import {
  type ChangedEntry,
  type ChangedTree,
  type ChangeRules,
  type Owner,
  readChanges,
} from "./capture_changes.ts";
import { type LayerTimes, writeLayerTar } from "./capture_tar.ts";
import type { ArchiveHash } from "./layer_hash.ts";
import { LayerPaths, OPEN_FOLDER } from "./layered_folder.ts";
import { IMPLIED_ROOT_MTIME } from "./layers.ts";
import { copyLayer, type CopyLimits } from "./layer_copy.ts";
import { OwnerRecorder } from "./owners.ts";
import { ownersOf, recordedOwner } from "./recorded_owners.ts";
import { removeTree } from "./remove_tree.ts";
import {
  isPublished,
  makeTree,
  makeWorkFolder,
  openWork,
  publishLayer,
  publishLayerFrom,
  syncLayer,
  tidy,
} from "./work_folder.ts";

export interface CaptureJob {
  kind: ChangeRules["kind"];
  /** The tree, and the folders of the layers below it, the topmost first. */
  path: string;
  lower: readonly string[];
  /** They have the ids of the image, and not those of the tree. */
  hasImageIdsBelow?: boolean;
  /** Layers that the tree was merged of, the topmost first: owners are written down beside them, not beside it. */
  mergedOf?: readonly string[];
  form: string;
  /** The tree is renamed into `layersDir`, or a copy of it that is made in `copyIn`; else it is only read. */
  publish?: { layersDir: string; copyIn?: string };
  omit: readonly string[];
  times?: LayerTimes;
  /** Who is root in the tree, where that is not 0:0: the child is in no namespace, and may touch only what is his. */
  owner?: Owner;
  ids(owner: Owner): Owner;
}

export interface ChildJob extends CaptureJob {
  /** The archive is written here; -1: nowhere. */
  tarFd: number;
  /** For what hashes it on the way. */
  newHash(): ArchiveHash;
}

/** What the child answers; null: nothing has changed. */
export interface Captured {
  diffId: string;
  bytes: number;
}

const COPY_ATTEMPTS = 10;

/** Answers as soon as the layer is in place, then waits for the disk. */
export function captureLayer(
  job: ChildJob,
  answer: (captured: Captured | null) => void,
): void {
  let layerDir: string | undefined;
  {
    using source = openSource(job);
    using read = readTree(source.job, job.newHash(), job.tarFd);
    if (read === null) return answer(null);
    const diffId = parseDigest(`sha256:${read.hex}`);
    layerDir = read.place(diffId);
    source[Symbol.dispose]();
    answer({ diffId, bytes: read.bytes });
  }
  if (layerDir !== undefined) syncLayer(layerDir, job.form);
}

/**
 * The same in this process, of a small tree that is the user's own: what a child takes 30 ms for takes ten here, during
 * which little else goes on.
 *
 * @throws {HostError} where it has grown beyond the limits, and otherwise as the child's work
 */
export async function captureHere(
  job: CaptureJob,
  limits: { copy: CopyLimits; archiveBytes: number },
): Promise<{ diffId: Digest; archive: Uint8Array<ArrayBuffer> } | null> {
  using source = openSource(job, limits.copy);
  const archive = new GatheredArchive(limits.archiveBytes);
  using read = readTree(source.job, archive);
  if (read === null) return null;
  const diffId = await digestOf(archive.bytes);
  // it is after an earlier commit of the same changes
  if (!read.isPlaced(diffId)) {
    await syncFiles(read.own, read.tree.entries);
    read.place(diffId, true);
  }
  return { diffId, archive: archive.bytes };
}

/** Is hashed when it is whole: what hashes piece by piece would have to be loaded. */
class GatheredArchive implements ArchiveHash {
  bytes = new Uint8Array();

  constructor(private readonly limitBytes: number) {}

  update(more: Uint8Array<ArrayBuffer>): void {
    const { bytes } = this;
    if (bytes.length + more.length > this.limitBytes) throw new HostError("capture layer: it has grown");
    this.bytes = new Uint8Array(bytes.length + more.length);
    this.bytes.set(bytes);
    this.bytes.set(more, bytes.length);
  }

  finish(): string {
    return "";
  }
}

/** `path` may be a copy, which is `tree` in a work folder. */
interface SourceJob extends CaptureJob {
  workFd?: number;
}

/** The tree that is read and becomes the layer: the job's own or a copy of it, which is gone afterwards. */
function openSource(job: CaptureJob, limits?: CopyLimits): { job: SourceJob } & Disposable {
  if (job.publish?.copyIn === undefined) return { job, [Symbol.dispose]() {} };
  const { copyIn } = job.publish;
  using opened = new DisposableStack();
  const parent = opened.use(new Fd(open(copyIn, OPEN_FOLDER)));
  // named as the folders of builds, which the next build removes where this process was killed
  const work = makeWorkFolder(parent.number, "steps-");
  opened.use(new Fd(work.fd));
  opened.defer(() => removeTree(parent.number, work.name));
  copyTree(job, work.fd, limits);
  const held = opened.move();
  return {
    job: { ...job, path: `${copyIn}/${work.name}/tree`, workFd: work.fd },
    [Symbol.dispose]: () => held.dispose(),
  };
}

/** Of a container that runs, in which files come and go meanwhile. */
function copyTree({ path, owner }: CaptureJob, workFd: number, limits: CopyLimits | undefined): void {
  for (let attempt = 1;; attempt++) {
    try {
      using from = new Fd(open(path, OPEN_FOLDER));
      using to = new Fd(makeTree(workFd, owner));
      copyLayer(from.number, to.number, { marks: "keep", isStrict: owner !== undefined, limits });
      // of a container that was removed meanwhile it may be only a part
      statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW);
      return;
    } catch (error) {
      // EINVAL: what was a link a moment ago is none any more
      if (!isErrno(error, ENOENT, ENOTDIR, ELOOP, EINVAL) || attempt === COPY_ATTEMPTS) throw error;
      removeTree(workFd, "tree");
    }
  }
}

/** A tree whose archive is written. */
interface ReadTree extends Disposable {
  own: number;
  tree: ChangedTree;
  hex: string;
  bytes: number;
  isPlaced(diffId: Digest): boolean;
  /** Makes it the layer of that name and gives its folder; undefined where it was only to be read. */
  place(diffId: Digest, isSynced?: boolean): string | undefined;
}

function readTree(job: SourceJob, hash: ArchiveHash, tarFd = -1): ReadTree | null {
  using opened = new DisposableStack();
  const folder = (path: string) => opened.use(new Fd(open(path, OPEN_FOLDER))).number;
  const own = folder(job.path);
  const lower = job.lower.map(folder);
  // a copy shows all by itself
  const shown = job.kind === "copy" ? [own] : [own, ...lower];
  const paths = opened.use(new LayerPaths(shown.map((fd, layer) => ({ fd, layer }))));
  const { publish } = job;
  const tree = readChanges(own, lower, {
    kind: job.kind,
    hasImageIdsBelow: job.hasImageIdsBelow,
    omit: new Set(job.omit.map((path) => paths.resolve(path))),
    trim: publish !== undefined,
    ids: job.ids,
    recordedOwner: ownersLookup(job),
  });
  if (tree === null) return null;
  const rules = { times: job.times, settle: publish !== undefined };
  const { hex, bytes } = writeLayerTar(own, tree, tarFd, hash, rules);
  if (publish !== undefined) settleRoot(own, tree, job);
  const held = opened.move();
  return {
    own,
    tree,
    hex,
    bytes,
    isPlaced: (diffId) => publish !== undefined && isPublished(layerDirOf(publish, diffId), job.form),
    place(diffId, isSynced = false) {
      if (publish === undefined) return undefined;
      const layerDir = layerDirOf(publish, diffId);
      publishTree(layerDir, job, tree, { bytes, isSynced });
      return layerDir;
    },
    [Symbol.dispose]: () => held.dispose(),
  };
}

function layerDirOf({ layersDir }: { layersDir: string }, diffId: Digest): string {
  return `${layersDir}/${digestHex(diffId)}`;
}

/** A root without an entry means nothing, and is marked so as unpacking would. */
function settleRoot(own: number, { root, hasRoot }: ChangedTree, { times, owner }: CaptureJob): void {
  let time = { sec: IMPLIED_ROOT_MTIME, nsec: 0 };
  if (hasRoot) {
    const isLater = times !== undefined && (times.apply === "all" || root.mtimeSec >= times.seconds);
    time = isLater ? { sec: times.seconds, nsec: 0 } : { sec: root.mtimeSec, nsec: root.mtimeNsec };
  } else {
    fchownat(own, "", owner?.uid ?? 0, owner?.gid ?? 0, AT_EMPTY_PATH);
    fchmod(own, 0o755);
  }
  utimensat(own, ".", time, time);
}

function publishTree(
  layerDir: string,
  job: SourceJob,
  tree: ChangedTree,
  about: { bytes: number; isSynced: boolean },
): void {
  if (job.workFd !== undefined) {
    const hasOwners = recordOwnersIn(job.workFd, job, tree);
    return publishLayerFrom(job.workFd, layerDir, job.form, { ...about, hasOwners });
  }
  const { layerFd, work } = openWork(layerDir, job.form);
  using _layer = new Fd(layerFd);
  using _work = new Fd(work.fd);
  try {
    const hasOwners = recordOwnersIn(work.fd, job, tree);
    renameat2(AT_FDCWD, job.path, work.fd, "tree");
    publishLayer(work.fd, layerFd, job.form, { ...about, hasOwners });
  } finally {
    tidy(layerDir, layerFd, work.name);
  }
}

/** Whether owners are told beside a tree of that form. */
function recordOwnersIn(workFd: number, { form }: CaptureJob, { entries }: ChangedTree): boolean {
  if (!form.startsWith("single")) return false;
  using file = new Fd(openat(workFd, "owners", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600));
  const recorder = new OwnerRecorder(file.number);
  recordOwners(recorder, entries, "");
  recorder.flush();
  return true;
}

function recordOwners(recorder: OwnerRecorder, entries: readonly ChangedEntry[], prefix: string): void {
  for (const { name, stat, owner, entries: inner } of entries) {
    if (stat !== undefined) recorder.add(prefix + name, owner.uid, owner.gid);
    if (inner !== undefined) recordOwners(recorder, inner, `${prefix}${name}/`);
  }
}

function ownersLookup({ form, path: tree, lower, mergedOf }: CaptureJob): ChangeRules["recordedOwner"] {
  if (!form.startsWith("single")) return () => undefined;
  return (path, layer) => {
    if (layer !== undefined) return ownersOf(lower[layer]!).get(path);
    return mergedOf === undefined ? ownersOf(tree).get(path) : recordedOwner(mergedOf, path);
  };
}

const OPEN_FILE = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;

/** Adds files, and folders for the names in them, to `opened`. */
function openFiles(own: number, entries: readonly ChangedEntry[], opened: number[]): void {
  opened.push(openat(own, ".", OPEN_FOLDER));
  for (const { name, stat, entries: inner } of entries) {
    if (inner !== undefined) {
      using folder = new Fd(openat(own, bytesOf(name), OPEN_FOLDER));
      openFiles(folder.number, inner, opened);
    } else if (stat !== undefined && (stat.mode & S_IFMT) === S_IFREG) {
      opened.push(openat(own, bytesOf(name), OPEN_FILE));
    }
  }
}

/** Waits until a tree is on the disk, and not all else that its file system has. */
async function syncFiles(own: number, entries: readonly ChangedEntry[]): Promise<void> {
  const opened: number[] = [];
  try {
    openFiles(own, entries, opened);
    await Promise.all(opened.map(fsyncAsync));
  } finally {
    opened.forEach(close);
  }
}
