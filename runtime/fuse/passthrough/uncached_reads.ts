/**
 * Which open files are read past the kernel's cache: large ones that are read from one end to the other.
 *
 * The host has their pages already. To keep them a second time costs twice the processor time of the reading, 128 kB
 * at a time, and as much memory as the file has; only who reads it again gains by that. So a reader gets what he asks
 * for in one copy. What has been read twice is put into the cache when nobody asks for anything (`KeptFiles`), and
 * what is read in small pieces is left to the cache from the next time on.
 *
 * @see linux/fuse.h, FOPEN_DIRECT_IO
 */

import { O_APPEND, O_TRUNC } from "../../../ffi/constants/fcntl.ts";
import { FUSE_DIRECT_IO_ALLOW_MMAP } from "../constants.ts";
import type { Attributes } from "../reply.ts";
import type { FileNode } from "./nodes.ts";

/** Below it a second copy costs little. */
const LARGE_BYTES = 16 << 20;
/** READs below it, several times the cost of their copy, are better answered by the cache. */
const SMALL_READ_BYTES = 32768;
const O_ACCMODE = 3;
/** What execve(2) opens: it is mapped, not read. Seen by file systems alone. @see linux/fs.h, __FMODE_EXEC */
const FMODE_EXEC = 0o40;

/** What is known of the readings of one version of a file. */
export interface Readings {
  version: string;
  size: number;
  /** Read past the cache so far. */
  bytes: number;
  /** From here on it is read by way of the cache. */
  isKept: boolean;
}

/** `flags` are the asker's, `sessionFlags` those in force: without the last one such a file could not be mapped. */
export function isReadUncached(
  node: FileNode,
  flags: number,
  attributes: Attributes,
  sessionFlags: number,
): boolean {
  const { size } = attributes;
  if (size < LARGE_BYTES || (flags & (O_ACCMODE | O_TRUNC | O_APPEND | FMODE_EXEC)) !== 0) return false;
  if (Math.floor(sessionFlags / FUSE_DIRECT_IO_ALLOW_MMAP) % 2 === 0) return false;
  const version = versionOf(attributes);
  if (node.readings?.version !== version) node.readings = { version, size, bytes: 0, isKept: false };
  return !node.readings.isKept;
}

export function versionOf({ size, mtime, mtimensec }: Attributes): string {
  return `${size}:${mtime}:${mtimensec}`;
}

/** Of an open file that is read past the cache: `asked` bytes were asked for, `given` given. */
export function noteRead({ readings }: FileNode, asked: number, given: number): void {
  if (readings === undefined) return;
  readings.bytes += given;
  if (asked < SMALL_READ_BYTES) readings.isKept = true;
}
