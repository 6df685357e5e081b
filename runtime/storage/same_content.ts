/**
 * Whether a file of a copied tree is what a layer has. Times and sizes do not tell: where an image's times are set, all
 * of them are one, and attributes change without any. Synchronous, for forked children.
 */

import { bytesOf, byteString } from "../archive/byte_string.ts";
import { readXattrs, sparseRuns } from "../archive/file_facts.ts";
import { Fd, fstat, openat, pread, readlinkat, type Stat } from "../../ffi/file.ts";
import { O_CLOEXEC, O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } from "../../ffi/constants/fcntl.ts";
import { S_IFLNK, S_IFMT, S_IFREG } from "../../ffi/constants/stat.ts";

const OPEN_FILE = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
const BUFFER_BYTES = 1 << 18;

/** Of two entries of the same name and type: bytes and attributes of files, targets of links. */
export function haveSameContent(one: number, other: number, name: string, { mode }: Stat): boolean {
  const raw = bytesOf(name);
  switch (mode & S_IFMT) {
    case S_IFREG: {
      using file = new Fd(openat(one, raw, OPEN_FILE));
      using before = new Fd(openat(other, raw, OPEN_FILE));
      return haveSameXattrs(file.number, before.number) && haveSameBytes(file.number, before.number);
    }
    case S_IFLNK:
      return byteString(readlinkat(one, raw)) === byteString(readlinkat(other, raw));
    default:
      return true;
  }
}

/** Of two open files or folders. */
export function haveSameXattrs(one: number, other: number): boolean {
  const text = (fd: number) =>
    [...readXattrs(fd) ?? []].map(([name, value]) => `${name}=${byteString(value)}`);
  return text(one).join("\0") === text(other).join("\0");
}

function haveSameBytes(one: number, other: number): boolean {
  const now = fstat(one);
  // large holes lie where they lay: nobody could read them all
  const [runs, before] = [sparseRuns(one, now), sparseRuns(other, fstat(other))];
  if (JSON.stringify(runs) !== JSON.stringify(before)) return false;
  const buffers = [new Uint32Array(BUFFER_BYTES / 4), new Uint32Array(BUFFER_BYTES / 4)] as const;
  return (runs ?? [{ offset: 0, length: now.size }]).every(({ offset, length }) =>
    haveSameRun(one, other, offset, offset + length, buffers)
  );
}

function haveSameRun(
  one: number,
  other: number,
  start: number,
  end: number,
  [left, right]: readonly [Uint32Array<ArrayBuffer>, Uint32Array<ArrayBuffer>],
): boolean {
  for (let at = start; at < end;) {
    const length = Math.min(BUFFER_BYTES, end - at);
    // a whole number of words, of which the last may have zeros
    const words = Math.ceil(length / 4);
    left[words - 1] = right[words - 1] = 0;
    const count = pread(one, new Uint8Array(left.buffer, 0, length), at);
    if (count === 0 || pread(other, new Uint8Array(right.buffer, 0, count), at) !== count) return false;
    for (let word = 0; word < words; word++) if (left[word] !== right[word]) return false;
    at += count;
  }
  return true;
}
