/** What an archive holds of an open file: extended attributes, where it has holes, and its bytes. */

import { ENXIO, isErrno } from "../../ffi/errno.ts";
import { lseek, pread, type Stat } from "../../ffi/file.ts";
import { fgetxattr, flistxattr } from "../../ffi/xattr.ts";
import { bytesOf, byteString } from "./byte_string.ts";
import type { SparseSegment, TarWriter } from "./tar.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Where holes are smaller than this, they are written as zeros: not every reader knows sparse members. */
const SPARSE_FROM_BYTES = 64 << 20;
const SEEK_DATA = 3, SEEK_HOLE = 4;

/** Overlay's own marks describe the layer, the others belong to the machine. */
const FOREIGN_XATTR = /^((user|trusted)\.(overlay|fuseoverlayfs)\.|security\.selinux$)/;

/** Extended attributes of an open file or folder, as an archive has them. */
export function readXattrs(fd: number): Map<string, Bytes> | undefined {
  // in order, so that the same tree gives the same archive
  const names = flistxattr(fd).map((name) => byteString(name)).sort();
  if (names.length === 0) return undefined;
  const found = new Map<string, Bytes>();
  for (const key of names) {
    const value = FOREIGN_XATTR.test(key) ? undefined : fgetxattr(fd, bytesOf(key));
    if (value !== undefined) found.set(key, value.slice());
  }
  return found.size > 0 ? found : undefined;
}

/** The runs of data in an open file with large holes; undefined for any other. */
export function sparseRuns(fd: number, { size, blocks }: Stat): SparseSegment[] | undefined {
  if (size - blocks * 512 < SPARSE_FROM_BYTES) return undefined;
  const runs: SparseSegment[] = [];
  for (let at = 0; at < size;) {
    const start = seekOrEnd(fd, at, SEEK_DATA, size);
    if (start >= size) break;
    const end = Math.min(seekOrEnd(fd, start, SEEK_HOLE, size), size);
    runs.push({ offset: start, length: end - start });
    at = end;
  }
  // A hole at the end needs an empty run to mark the size.
  if (runs.length === 0 || runs.at(-1)!.offset + runs.at(-1)!.length < size) {
    runs.push({ offset: size, length: 0 });
  }
  return runs;
}

/** A run of an open file. What it lacks of its size by now are zeros, as in GNU tar's: the header has gone out. */
export function writeRun(tar: TarWriter, fd: number, { offset, length }: SparseSegment, buffer: Bytes): void {
  for (let done = 0; done < length;) {
    const room = buffer.subarray(0, Math.min(buffer.length, length - done));
    const count = pread(fd, room, offset + done);
    if (count === 0) room.fill(0);
    tar.write(count === 0 ? room : room.subarray(0, count));
    done += count === 0 ? room.length : count;
  }
}

function seekOrEnd(fd: number, offset: number, whence: 3 | 4, end: number): number {
  try {
    return lseek(fd, offset, whence);
  } catch (error) {
    if (isErrno(error, ENXIO)) return end;
    throw error;
  }
}
