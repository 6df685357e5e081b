/**
 * The words of fstab as the kernel's flags: a table, and a parser that gives plain data.
 *
 * @see mount(8), OCI runtime-spec config.md, mounts; mount_setattr(2)
 */

import {
  MOUNT_ATTR_NOATIME,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NODIRATIME,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_NOSYMFOLLOW,
  MOUNT_ATTR_RDONLY,
  MOUNT_ATTR_STRICTATIME,
  MS_PRIVATE,
  MS_SHARED,
  MS_SLAVE,
  MS_UNBINDABLE,
} from "../../ffi/constants/mount.ts";

/** What the words of one mount come to. */
export interface MountWords {
  /** MOUNT_ATTR_* to set. */
  set: number;
  /** MOUNT_ATTR_* to clear; only what a word asks for, since a locked flag cannot be cleared. */
  clear: number;
  isBind: boolean;
  isRecursive: boolean;
  /** MS_PRIVATE, MS_SLAVE, MS_SHARED or MS_UNBINDABLE; 0 where no word says. */
  propagation: number;
  propagationIsRecursive: boolean;
  /** Words for the file system itself: `mode=755`, `size=64m`. */
  data: string[];
  /** The image's content is copied to a tmpfs first (`tmpcopyup`). */
  copyUp: boolean;
  /** Left out where no mount point can be made (`nofail`). */
  mayBeMissing: boolean;
  /** Left out where the folder of the mount point is not there (`x-skiff.existing-folder`). */
  needsFolder: boolean;
  /** Of a bind: what is mounted below keeps its access (`x-skiff.top-only`). */
  isTopOnly?: boolean;
  /** Of a bind: a source that is a link becomes that link (`x-skiff.keep-link`). */
  keepsLink?: boolean;
}

const SETS: Record<string, number> = {
  ro: MOUNT_ATTR_RDONLY,
  nosuid: MOUNT_ATTR_NOSUID,
  nodev: MOUNT_ATTR_NODEV,
  noexec: MOUNT_ATTR_NOEXEC,
  noatime: MOUNT_ATTR_NOATIME,
  nodiratime: MOUNT_ATTR_NODIRATIME,
  strictatime: MOUNT_ATTR_STRICTATIME,
  nosymfollow: MOUNT_ATTR_NOSYMFOLLOW,
};

const CLEARS: Record<string, number> = {
  rw: MOUNT_ATTR_RDONLY,
  suid: MOUNT_ATTR_NOSUID,
  dev: MOUNT_ATTR_NODEV,
  exec: MOUNT_ATTR_NOEXEC,
  symfollow: MOUNT_ATTR_NOSYMFOLLOW,
};

const PROPAGATIONS: Record<string, number> = {
  private: MS_PRIVATE,
  slave: MS_SLAVE,
  shared: MS_SHARED,
  unbindable: MS_UNBINDABLE,
};

/** Accepted and without effect on the mount: labels, or what is the default. */
const WITHOUT_EFFECT = new Set([
  "defaults",
  "relatime",
  "z",
  "Z",
  "U",
  "async",
  "atime",
  "diratime",
  "nocopy",
  "copy",
]);

/** Reads the options of one mount, later words winning over earlier ones. */
export function parseMountWords(options: readonly string[]): MountWords {
  const words: MountWords = {
    set: 0,
    clear: 0,
    isBind: false,
    isRecursive: false,
    propagation: 0,
    propagationIsRecursive: false,
    data: [],
    copyUp: false,
    mayBeMissing: false,
    needsFolder: false,
  };
  for (const word of options) {
    const recursive = word.startsWith("r") ? word.slice(1) : "";
    if (has(SETS, word)) {
      words.set |= SETS[word]!;
      words.clear &= ~SETS[word]!;
    } else if (has(CLEARS, word)) {
      words.clear |= CLEARS[word]!;
      words.set &= ~CLEARS[word]!;
    } else if (has(PROPAGATIONS, word) || has(PROPAGATIONS, recursive)) {
      words.propagationIsRecursive = !has(PROPAGATIONS, word);
      words.propagation = PROPAGATIONS[words.propagationIsRecursive ? recursive : word]!;
    } else if (word === "bind" || word === "rbind") {
      words.isBind = true;
      words.isRecursive = word === "rbind";
    } else if (word === "tmpcopyup" || word === "notmpcopyup") {
      words.copyUp = word === "tmpcopyup";
    } else if (word === "nofail") {
      words.mayBeMissing = true;
    } else if (word === "x-skiff.existing-folder") {
      words.needsFolder = true;
    } else if (word === "x-skiff.top-only") {
      words.isTopOnly = true;
    } else if (word === "x-skiff.keep-link") {
      words.keepsLink = true;
    } else if (!WITHOUT_EFFECT.has(word)) {
      words.data.push(word);
    }
  }
  return words;
}

/** `in` would also find what every object inherits: `constructor`. */
function has(table: Record<string, number>, word: string): boolean {
  return Object.hasOwn(table, word);
}
