/**
 * Digests of files that have not changed since they were last read, so that a second build reads none of a context's
 * files: one file of records for each context, in `build-stat/` of the data folder.
 *
 * ```
 *  ino u64 │ dev u32 u32 │ size f64 │ mtime f64 u32 │ ctime f64 u32 │ sha256, 32 bytes      little endian
 * ```
 * A file that was changed while, or just before, it was read may change again within the clock's grain without a
 * trace; so only what is older than that is kept (git calls such entries "racily clean").
 */

import {
  close,
  fstat,
  open,
  openat,
  read,
  renameat2,
  type Stat,
  unlinkat,
  writeAll,
} from "../../../ffi/file.ts";
import {
  AT_FDCWD,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_RDONLY,
  O_WRONLY,
} from "../../../ffi/constants/fcntl.ts";
import { SyscallError } from "../../../ffi/errno.ts";

const RECORD = 80, HASH_AT = 48, HASH = 32;
/** Of one context: 20 MB. */
const MAX_RECORDS = 1 << 18;
/** File systems with times of whole seconds, or two. */
const COARSE_MS = 2000, FINE_MS = 40;

export class StatCache {
  readonly #path: string;
  #old: Uint8Array<ArrayBuffer> = new Uint8Array();
  #view = new DataView(this.#old.buffer);
  /** Offsets of the old records by inode. */
  readonly #byInode = new Map<number, number>();
  readonly #seen = new Set<number>();
  readonly #fresh: { stat: Stat; hash: Uint8Array }[] = [];

  /** `path` is the file of records. What cannot be read of it is as if it were not there. */
  constructor(path: string) {
    this.#path = path;
    try {
      const fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
      const { size } = fstat(fd);
      if (size % RECORD === 0 && size <= MAX_RECORDS * RECORD) this.#old = readWhole(fd, size);
      close(fd);
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
    }
    this.#view = new DataView(this.#old.buffer);
    for (let at = 0; at < this.#old.length; at += RECORD) {
      this.#byInode.set(Number(this.#view.getBigUint64(at, true)), at);
    }
  }

  /** The digest that it had when it last looked so. */
  find(stat: Stat): Uint8Array | undefined {
    const at = this.#byInode.get(Number(stat.ino));
    if (at === undefined) return undefined;
    const view = this.#view;
    const isSame = view.getBigUint64(at, true) === stat.ino &&
      view.getUint32(at + 8, true) === stat.devMajor &&
      view.getUint32(at + 12, true) === stat.devMinor && view.getFloat64(at + 16, true) === stat.size &&
      view.getFloat64(at + 24, true) === stat.mtimeSec && view.getUint32(at + 32, true) === stat.mtimeNsec &&
      view.getFloat64(at + 36, true) === stat.ctimeSec && view.getUint32(at + 44, true) === stat.ctimeNsec;
    if (!isSame) return undefined;
    this.#seen.add(at);
    return this.#old.subarray(at + HASH_AT, at + HASH_AT + HASH);
  }

  /** `readAtMs` is the time before the file was opened; `stat` was made after it was read. */
  add(stat: Stat, hash: Uint8Array, readAtMs: number): void {
    const grain = stat.ctimeNsec % 1_000_000 === 0 ? COARSE_MS : FINE_MS;
    const changedMs = Math.max(
      stat.ctimeSec * 1000 + stat.ctimeNsec / 1e6,
      stat.mtimeSec * 1000 + stat.mtimeNsec / 1e6,
    );
    if (changedMs + grain < readAtMs) this.#fresh.push({ stat, hash });
  }

  /** Writes what is new, and what was there unless it gets too much. A failure costs only time, later. */
  save(): void {
    if (this.#fresh.length === 0) return;
    const replaced = new Set(this.#fresh.map(({ stat }) => this.#byInode.get(Number(stat.ino))));
    let kept = [...this.#byInode.values()].filter((at) => !replaced.has(at));
    if (kept.length + this.#fresh.length > MAX_RECORDS) kept = kept.filter((at) => this.#seen.has(at));
    const fresh = this.#fresh.slice(0, MAX_RECORDS);
    kept.length = Math.min(kept.length, MAX_RECORDS - fresh.length);
    const all = new Uint8Array((kept.length + fresh.length) * RECORD);
    const view = new DataView(all.buffer);
    let at = 0;
    for (const from of kept) {
      all.set(this.#old.subarray(from, from + RECORD), at);
      at += RECORD;
    }
    for (const { stat, hash } of fresh) {
      view.setBigUint64(at, stat.ino, true);
      view.setUint32(at + 8, stat.devMajor, true);
      view.setUint32(at + 12, stat.devMinor, true);
      view.setFloat64(at + 16, stat.size, true);
      view.setFloat64(at + 24, stat.mtimeSec, true);
      view.setUint32(at + 32, stat.mtimeNsec, true);
      view.setFloat64(at + 36, stat.ctimeSec, true);
      view.setUint32(at + 44, stat.ctimeNsec, true);
      all.set(hash, at + HASH_AT);
      at += RECORD;
    }
    replaceFile(this.#path, all);
  }
}

function readWhole(fd: number, size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size;) {
    const count = read(fd, bytes.subarray(at));
    if (count === 0) return new Uint8Array();
    at += count;
  }
  return bytes;
}

function replaceFile(path: string, bytes: Uint8Array<ArrayBuffer>): void {
  const slash = path.lastIndexOf("/");
  const temporary = `.${crypto.randomUUID()}`;
  try {
    const folder = open(path.slice(0, slash), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    const fd = openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600);
    try {
      writeAll(fd, bytes);
      renameat2(folder, temporary, AT_FDCWD, path);
    } catch (error) {
      unlinkat(folder, temporary);
      throw error;
    } finally {
      close(fd);
      close(folder);
    }
  } catch (error) {
    // a full disk, or a folder that somebody removed: the next build reads the files again
    if (!(error instanceof SyscallError)) throw error;
  }
}
