/**
 * What a container has changed of its image: its upper folder read against the layers, or, without an overlay, its
 * own copy compared with them. Nothing is mounted. Synchronous, for forked children.
 *
 * @see podman-diff(1); Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories"
 */

import { bytesOf, byteString } from "../archive/byte_string.ts";
import {
  findInLayers,
  isFolder,
  isOpaque,
  isWhiteout,
  type LayerFolder,
  namesInLayers,
  OPEN_FOLDER,
  openInLayers,
  statOf,
} from "../storage/layered_folder.ts";
import { Fd, open, openat, readdir, type Stat } from "../../ffi/file.ts";

export type ChangeKind = "A" | "C" | "D";

export interface Change {
  kind: ChangeKind;
  /** Absolute in the container. */
  path: string;
}

/** Made or covered by every start. @see libpod/diff.go, initInodes */
const IGNORED = new Set([
  "/dev",
  "/etc/hostname",
  "/etc/hosts",
  "/etc/mtab",
  "/etc/resolv.conf",
  "/proc",
  "/run",
  "/run/.containerenv",
  "/run/notify",
  "/run/secrets",
  "/sys",
]);

/** Of getdents64(2). */
const DT_UNKNOWN = 0, DT_CHR = 2, DT_DIR = 4;

/** `upper` holds only what differs; `copy` is a whole root. Layers run from the topmost to the lowest. */
export type ChangeSource =
  | { kind: "upper"; path: string; layers: string[]; ownersDiffer?: boolean }
  | { kind: "copy"; path: string; layers: string[]; ownersDiffer: boolean };

/** Changes in the order of paths, a folder before what is in it. */
export function listChanges(source: ChangeSource): Change[] {
  using opened = new DisposableStack();
  const folder = (path: string) => opened.use(new Fd(open(path, OPEN_FOLDER))).number;
  const walk = new ChangeWalk(source);
  const layers = source.layers.map((path, layer) => ({ fd: folder(path), layer }));
  walk.folder(folder(source.path), layers, "", () => {});
  return walk.changes;
}

class ChangeWalk {
  readonly changes: Change[] = [];
  readonly #source: ChangeSource;

  constructor(source: ChangeSource) {
    this.#source = source;
  }

  /** `noteChange` records the folder itself, once something in it came or went. */
  folder(own: number, layers: readonly LayerFolder[], path: string, noteChange: () => void): void {
    const types = new Map(readdir(own).map(({ name, type }) => [byteString(name), type]));
    const names = [...types.keys()];
    const hidden = new Set<string>();
    for (const name of names) {
      // fuse-overlayfs writes whiteouts so where it cannot make devices
      if (this.#source.kind === "upper" && name.startsWith(".wh.")) hidden.add(name.slice(".wh.".length));
    }
    const all = new Set(names.filter((name) => !(this.#source.kind === "upper" && name.startsWith(".wh."))));
    for (const name of hidden) if (name !== ".wh..opq") all.add(name);
    if (this.#source.kind === "copy") { for (const name of namesInLayers(layers)) all.add(name); }
    for (const name of [...all].sort()) {
      const type = types.get(name);
      // in a folder that is new all is new: most entries need no more than their type
      if (
        layers.length === 0 && type !== undefined && type !== DT_UNKNOWN && type !== DT_CHR && type !== DT_DIR
      ) {
        this.#add("A", `${path}/${name}`, noteChange);
      } else this.#entry(own, layers, name, `${path}/${name}`, hidden.has(name), noteChange);
    }
  }

  #entry(
    own: number,
    layers: readonly LayerFolder[],
    name: string,
    path: string,
    isHidden: boolean,
    noteChange: () => void,
  ): void {
    const stat = isHidden ? undefined : statOf(own, name);
    const before = findInLayers(layers, name)?.stat;
    if (stat === undefined || isWhiteout(stat)) {
      if (before !== undefined) this.#add("D", path, noteChange);
      return;
    }
    if (!isFolder(stat)) {
      if (before === undefined) this.#add("A", path, noteChange);
      else if (this.#differs(stat, before)) this.#add("C", path);
      return;
    }
    using folder = new Fd(openat(own, bytesOf(name), OPEN_FOLDER));
    using below = new DisposableStack();
    let isNoted = true;
    if (before === undefined) this.#add("A", path, noteChange);
    // podman's word for a folder that was removed and made again
    else if (this.#source.kind === "upper" && isOpaque(folder.number)) this.#add("D", path, noteChange);
    else if (this.#differs(stat, before)) this.#add("C", path);
    else isNoted = false;
    this.folder(folder.number, before ? openInLayers(layers, name, below) : [], path, () => {
      if (!isNoted) this.#add("C", path);
      isNoted = true;
    });
  }

  #add(kind: ChangeKind, path: string, noteParent?: () => void): void {
    if (IGNORED.has(path)) return;
    noteParent?.();
    this.changes.push({ kind, path: new TextDecoder().decode(bytesOf(path)) });
  }

  #differs(now: Stat, before: Stat): boolean {
    // a file is in the upper folder because it was opened for writing, which podman calls a change
    if (this.#source.kind === "upper" && !(isFolder(now) && isFolder(before))) return true;
    const ids = this.#source.ownersDiffer;
    return now.mode !== before.mode || now.mtimeSec !== before.mtimeSec ||
      now.mtimeNsec !== before.mtimeNsec ||
      (!isFolder(now) && now.size !== before.size) || now.rdevMajor !== before.rdevMajor ||
      now.rdevMinor !== before.rdevMinor || (!ids && (now.uid !== before.uid || now.gid !== before.gid));
  }
}
