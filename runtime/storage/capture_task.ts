/**
 * What the forked child does that makes a layer of a changed tree: read, write the archive, and, where the tree itself
 * becomes the layer, give it its name. Killed at any point it leaves nothing visible.
 */

import { digestHex, parseDigest } from "../spec/digest.ts";
import { fchmod, fchownat, Fd, open, openat, renameat2, statx, utimensat } from "../../ffi/file.ts";
import { AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW } from "../../ffi/constants/fcntl.ts";
import { O_CLOEXEC, O_CREAT, O_EXCL, O_WRONLY } from "../../ffi/constants/fcntl.ts";
import { ELOOP, ENOENT, ENOTDIR, isErrno } from "../../ffi/errno.ts";
import {
  type ChangedEntry,
  type ChangedTree,
  type ChangeRules,
  type Owner,
  readChanges,
} from "./capture_changes.ts";
import { type LayerTimes, writeLayerTar } from "./capture_tar.ts";
import type { ArchiveHash } from "./layer_hash.ts";
import { OPEN_FOLDER, resolveInLayers } from "./layered_folder.ts";
import { IMPLIED_ROOT_MTIME } from "./layers.ts";
import { copyLayer } from "./layer_copy.ts";
import { OwnerRecorder } from "./owners.ts";
import { ownersOf, recordedOwner } from "./recorded_owners.ts";
import { removeTree } from "./remove_tree.ts";
import { makeTree, makeWorkFolder, openWork, publishLayer, syncLayer, tidy } from "./work_folder.ts";

export interface CaptureJob {
  kind: ChangeRules["kind"];
  /** The tree, and the folders of the layers below it, the topmost first. */
  path: string;
  lower: readonly string[];
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
  newHash(): ArchiveHash;
  /** The archive is written here; -1: nowhere. */
  tarFd: number;
}

/** What the child answers; null: nothing has changed. */
export interface Captured {
  diffId: string;
  bytes: number;
}

const COPY_ATTEMPTS = 10;

/** Answers as soon as the layer is in place, then waits for the disk. */
export function captureLayer(job: CaptureJob, answer: (captured: Captured | null) => void): void {
  if (job.publish?.copyIn === undefined) return capture(job, answer);
  using parent = new Fd(open(job.publish.copyIn, OPEN_FOLDER));
  // named as the folders of builds, which the next build removes where this process was killed
  const work = makeWorkFolder(parent.number, "steps-");
  using _held = new Fd(work.fd);
  try {
    copyTree(job, work.fd);
    capture({ ...job, path: `${job.publish.copyIn}/${work.name}/tree` }, (captured) => {
      removeTree(parent.number, work.name);
      answer(captured);
    });
  } finally {
    removeTree(parent.number, work.name);
  }
}

/** Of a container that runs, in which files come and go meanwhile. */
function copyTree({ path, owner }: CaptureJob, workFd: number): void {
  for (let attempt = 1;; attempt++) {
    try {
      using from = new Fd(open(path, OPEN_FOLDER));
      using to = new Fd(makeTree(workFd, owner));
      copyLayer(from.number, to.number, { marks: "keep", isStrict: owner !== undefined });
      // of a container that was removed meanwhile it may be only a part
      statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW);
      return;
    } catch (error) {
      if (!isErrno(error, ENOENT, ENOTDIR, ELOOP) || attempt === COPY_ATTEMPTS) throw error;
      removeTree(workFd, "tree");
    }
  }
}

function capture(job: CaptureJob, answer: (captured: Captured | null) => void): void {
  using opened = new DisposableStack();
  const folder = (path: string) => opened.use(new Fd(open(path, OPEN_FOLDER))).number;
  const own = folder(job.path);
  const lower = job.lower.map(folder);
  // a copy shows all by itself
  const shown = job.kind === "copy" ? [own] : [own, ...lower];
  const roots = shown.map((fd, layer) => ({ fd, layer }));
  const tree = readChanges(own, lower, {
    kind: job.kind,
    omit: new Set(job.omit.map((path) => resolveInLayers(roots, path))),
    trim: job.publish !== undefined,
    ids: job.ids,
    recordedOwner: ownersLookup(job),
  });
  if (tree === null) return answer(null);
  const settle = job.publish !== undefined;
  const { hex, bytes } = writeLayerTar(own, tree, job.tarFd, {
    times: job.times,
    settle,
    newHash: job.newHash,
  });
  const captured = { diffId: `sha256:${hex}`, bytes };
  if (job.publish === undefined) return answer(captured);
  settleRoot(own, tree, job);
  const layerDir = `${job.publish.layersDir}/${digestHex(parseDigest(captured.diffId))}`;
  publishTree(layerDir, job, tree, bytes);
  answer(captured);
  syncLayer(layerDir, job.form);
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

function publishTree(layerDir: string, job: CaptureJob, tree: ChangedTree, bytes: number): void {
  const { layerFd, work } = openWork(layerDir, job.form);
  using _layer = new Fd(layerFd);
  using _work = new Fd(work.fd);
  try {
    const hasOwners = job.form.startsWith("single");
    if (hasOwners) {
      using file = new Fd(openat(work.fd, "owners", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600));
      const recorder = new OwnerRecorder(file.number);
      recordOwners(recorder, tree.entries, "");
      recorder.flush();
    }
    renameat2(AT_FDCWD, job.path, work.fd, "tree");
    publishLayer(work.fd, layerFd, job.form, { bytes, hasOwners });
  } finally {
    tidy(layerDir, layerFd, work.name);
  }
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
