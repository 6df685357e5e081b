/**
 * What a tree has changed of the layers below it, as the entries of a layer: an overlay's upper folder, a whole copy
 * compared with them, or a layer itself. Nothing is mounted. Synchronous, for forked children.
 *
 * @see OCI image-spec layer.md, "Whiteouts"; Documentation/filesystems/overlayfs.rst
 */

import { bytesOf, byteString, displayName } from "../archive/byte_string.ts";
import { UnsupportedError } from "../errors.ts";
import { Fd, fstat, openat, readdir, type Stat, unlinkat } from "../../ffi/file.ts";
import { AT_REMOVEDIR } from "../../ffi/constants/fcntl.ts";
import { S_IFMT, S_IFREG, S_IFSOCK } from "../../ffi/constants/stat.ts";
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
} from "./layered_folder.ts";
import { IMPLIED_ROOT_MTIME } from "./layers.ts";
import { haveSameContent, haveSameXattrs } from "./same_content.ts";

export interface ChangedTree {
  root: Stat;
  rootOwner: Owner;
  /** The root's own mode or owner is not what the layers below say. */
  hasRoot: boolean;
  isOpaque: boolean;
  entries: ChangedEntry[];
}

export interface ChangedEntry {
  /** A byte string. */
  name: string;
  /** Undefined: a whiteout. */
  stat?: Stat;
  owner: Owner;
  /** Of a folder. */
  entries?: ChangedEntry[];
  isOpaque?: boolean;
  /** Something was taken out of the folder, which has changed its times. */
  wasTrimmed?: boolean;
}

export interface ChangeRules {
  /**
   * `overlay`: an upper folder of the kernel's. `fuse`: one of fuse-overlayfs, whose marks may be files. `copy`: a
   * whole root. `layer`: an unpacked layer, with nothing below it.
   */
  kind: "overlay" | "fuse" | "copy" | "layer";
  /** Absolute paths (byte strings) that were made to mount upon: left out where the layers have no such thing. */
  omit: ReadonlySet<string>;
  /** What is left out is removed as well. */
  trim: boolean;
  /** The layers have the ids that the archive names; else those of the tree. */
  hasImageIdsBelow?: boolean;
  /** Ids of the tree as the archive names them. */
  ids(stat: Stat): Owner;
  /** Of a map with one id: whose the file was written down to be in the layer that has it (undefined: the tree). */
  recordedOwner(path: string, layer: number | undefined): Owner | undefined;
}

export interface Owner {
  uid: number;
  gid: number;
}

/** Reads the tree at `own` against the layers, the topmost first; null where nothing has changed. */
export function readChanges(own: number, lower: readonly number[], rules: ChangeRules): ChangedTree | null {
  const layers = lower.map((fd, layer) => ({ fd, layer }));
  const root = fstat(own);
  const before = layers.map(({ fd }) => fstat(fd)).find((stat) => stat.mtimeSec !== IMPLIED_ROOT_MTIME);
  const rootOwner = rules.ids(root);
  const owner = before === undefined
    ? { uid: 0, gid: 0 }
    : rules.hasImageIdsBelow
    ? before
    : rules.ids(before);
  const hasRoot = rules.kind === "layer"
    ? root.mtimeSec !== IMPLIED_ROOT_MTIME
    : (root.mode & 0o7777) !== ((before?.mode ?? 0o755) & 0o7777) || rootOwner.uid !== owner.uid ||
      rootOwner.gid !== owner.gid;
  const { entries } = new ChangeReader(rules).folder(own, layers, "");
  if (entries.length === 0 && !hasRoot && rules.kind !== "layer") return null;
  return { root, rootOwner, hasRoot, isOpaque: rules.kind === "layer" && isOpaque(own), entries };
}

class ChangeReader {
  readonly #rules: ChangeRules;
  /** The omitted paths and the folders on the way to them. */
  readonly #mountPoints = new Set<string>();

  constructor(rules: ChangeRules) {
    this.#rules = rules;
    for (const path of rules.omit) {
      for (let end = path.length; end > 0; end = path.lastIndexOf("/", end - 1)) {
        this.#mountPoints.add(path.slice(0, end));
      }
    }
  }

  folder(
    own: number,
    lower: readonly LayerFolder[],
    path: string,
  ): { entries: ChangedEntry[]; wasTrimmed: boolean } {
    const names = new Set(readdir(own).map(({ name }) => byteString(name)));
    const hidden = new Set<string>();
    for (const name of names) {
      if (!name.startsWith(".wh.")) continue;
      if (this.#rules.kind !== "fuse") {
        throw new UnsupportedError(
          `capture layer: "${
            displayName(`${path}/${name}`)
          }": a layer cannot hold names that begin with .wh.`,
        );
      }
      names.delete(name);
      if (name !== ".wh..wh..opq") hidden.add(name.slice(".wh.".length));
    }
    const all = new Set([...names, ...hidden]);
    if (this.#rules.kind === "copy") { for (const name of namesInLayers(lower)) all.add(name); }
    const entries: ChangedEntry[] = [];
    let wasTrimmed = false;
    for (const name of [...all].sort()) {
      const found = this.#entry(own, lower, name, `${path}/${name}`, hidden.has(name) && !names.has(name));
      if (found === "trimmed") wasTrimmed = true;
      else if (found !== undefined) entries.push(found);
    }
    return { entries, wasTrimmed };
  }

  #entry(
    own: number,
    lower: readonly LayerFolder[],
    name: string,
    path: string,
    isHidden: boolean,
  ): ChangedEntry | "trimmed" | undefined {
    const { kind } = this.#rules;
    const stat = isHidden ? undefined : statOf(own, name);
    const before = findInLayers(lower, name);
    if (stat === undefined || (kind !== "copy" && isWhiteout(stat))) {
      const whiteout = { name, owner: { uid: 0, gid: 0 } };
      if (before !== undefined || kind === "layer") return whiteout;
      return stat === undefined ? undefined : this.#trim(own, name);
    }
    if ((stat.mode & S_IFMT) === S_IFSOCK) return this.#trim(own, name);
    // what changed the tree may have written down owners beside it; else they are those of what was copied up
    const recorded = this.#rules.recordedOwner(path.slice(1), undefined) ??
      (before === undefined ? undefined : this.#rules.recordedOwner(path.slice(1), before.layer));
    const owner = recorded ?? this.#rules.ids(stat);
    if (isFolder(stat)) return this.#folderEntry(own, lower, { name, stat, owner }, path, before);
    const isStub = before === undefined && stat.size === 0 && (stat.mode & S_IFMT) === S_IFREG;
    if (isStub && this.#rules.omit.has(path)) return this.#trim(own, name);
    if (kind === "copy" && before !== undefined && this.#isSame(stat, before.stat, true)) {
      const { fd } = lower.find(({ layer }) => layer === before.layer)!;
      if (haveSameContent(own, fd, name, stat)) return undefined;
    }
    return { name, stat, owner };
  }

  #folderEntry(
    own: number,
    lower: readonly LayerFolder[],
    entry: ChangedEntry & { stat: Stat },
    path: string,
    before: { stat: Stat; layer: number } | undefined,
  ): ChangedEntry | "trimmed" | undefined {
    const { kind } = this.#rules;
    using folder = new Fd(openat(own, bytesOf(entry.name), OPEN_FOLDER));
    using opened = new DisposableStack();
    const below = before && isFolder(before.stat)
      ? openInLayers(lower, entry.name, opened, before.layer)
      : [];
    const hides = kind !== "copy" && (kind === "layer" || below.length > 0) && isOpaque(folder.number);
    const { entries, wasTrimmed } = this.folder(folder.number, hides ? [] : below, path);
    if (entries.length === 0 && !hides && kind !== "layer") {
      const isMountPoint = this.#mountPoints.has(path);
      const isUnchanged = below.length > 0 && this.#isSame(entry.stat, before!.stat, !isMountPoint) &&
        haveSameXattrs(folder.number, below[0]!.fd);
      if (isUnchanged || (before === undefined && isMountPoint)) {
        return kind === "copy" ? undefined : this.#trim(own, entry.name, AT_REMOVEDIR);
      }
    }
    return { ...entry, entries, isOpaque: hides, wasTrimmed };
  }

  #isSame(now: Stat, before: Stat, withTimes: boolean): boolean {
    const { uid, gid } = this.#rules.hasImageIdsBelow ? this.#rules.ids(now) : now;
    return now.mode === before.mode && uid === before.uid && gid === before.gid &&
      now.rdevMajor === before.rdevMajor && now.rdevMinor === before.rdevMinor &&
      (isFolder(now) || now.size === before.size) &&
      (!withTimes || (now.mtimeSec === before.mtimeSec && now.mtimeNsec === before.mtimeNsec));
  }

  #trim(own: number, name: string, flags = 0): "trimmed" {
    if (this.#rules.trim) unlinkat(own, bytesOf(name), flags);
    return "trimmed";
  }
}
