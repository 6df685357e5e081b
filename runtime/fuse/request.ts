/**
 * A request of the kernel, read where it lies in the buffer.
 *
 * ```
 *  len u32  opcode u32  unique u64  nodeid u64  uid u32  gid u32  pid u32  extlen u16  padding u16  | body
 * ```
 * The kernel makes the requests, but names, values and data in them are the container's. Every length is checked before
 * a field is read: the fixed part by `MIN_BODY`, once; names and data by the calls that give them.
 *
 * @see linux/fuse.h, fuse(4)
 */

import { OPCODES } from "./constants.ts";

export const IN_HEADER_BYTES = 40;

/** Offsets of the fields in the bodies, by the struct of linux/fuse.h (`fuse_open_in`, …); `end` is its size. */
export const IN = {
  init: { major: 0, minor: 4, maxReadahead: 8, flags: 12, end: 16, flags2: 16, extendedEnd: 64 },
  forget: { nlookup: 0, end: 8 },
  batchForget: { count: 0, end: 8, each: 16 },
  getattr: { flags: 0, fh: 8, end: 16 },
  setattr: {
    valid: 0,
    fh: 8,
    size: 16,
    lockOwner: 24,
    atime: 32,
    mtime: 40,
    ctime: 48,
    atimensec: 56,
    mtimensec: 60,
    ctimensec: 64,
    mode: 68,
    uid: 76,
    gid: 80,
    end: 88,
  },
  mknod: { mode: 0, rdev: 4, umask: 8, end: 16 },
  mkdir: { mode: 0, umask: 4, end: 8 },
  rename: { newdir: 0, end: 8 },
  rename2: { newdir: 0, flags: 8, end: 16 },
  link: { oldnodeid: 0, end: 8 },
  open: { flags: 0, openFlags: 4, end: 8 },
  create: { flags: 0, mode: 4, umask: 8, openFlags: 12, end: 16 },
  /** READ, READDIR and READDIRPLUS. */
  read: { fh: 0, offset: 8, size: 16, readFlags: 20, lockOwner: 24, flags: 32, end: 40 },
  write: { fh: 0, offset: 8, size: 16, writeFlags: 20, lockOwner: 24, flags: 32, end: 40 },
  release: { fh: 0, flags: 8, releaseFlags: 12, lockOwner: 16, end: 24 },
  flush: { fh: 0, lockOwner: 16, end: 24 },
  fsync: { fh: 0, fsyncFlags: 8, end: 16 },
  /** Without FUSE_SETXATTR_EXT, which is not asked for. */
  setxattr: { size: 0, flags: 4, end: 8 },
  /** GETXATTR and LISTXATTR. */
  getxattr: { size: 0, end: 8 },
  lk: { fh: 0, owner: 8, start: 16, lockEnd: 24, type: 32, pid: 36, lkFlags: 40, end: 48 },
  access: { mask: 0, end: 8 },
  interrupt: { unique: 0, end: 8 },
  fallocate: { fh: 0, offset: 8, length: 16, mode: 24, end: 32 },
  lseek: { fh: 0, offset: 8, whence: 16, end: 24 },
  copyFileRange: {
    fhIn: 0,
    offIn: 8,
    nodeidOut: 16,
    fhOut: 24,
    offOut: 32,
    len: 40,
    flags: 48,
    end: 56,
  },
} as const;

/** Bytes that a body has at least, by opcode; what is not in it has no fixed part. */
const MIN_BODY = new Uint8Array(64);
for (
  const [name, { end }] of Object.entries(
    {
      INIT: IN.init,
      FORGET: IN.forget,
      BATCH_FORGET: IN.batchForget,
      GETATTR: IN.getattr,
      SETATTR: IN.setattr,
      MKNOD: IN.mknod,
      MKDIR: IN.mkdir,
      RENAME: IN.rename,
      RENAME2: IN.rename2,
      LINK: IN.link,
      OPEN: IN.open,
      OPENDIR: IN.open,
      CREATE: IN.create,
      TMPFILE: IN.create,
      READ: IN.read,
      READDIR: IN.read,
      READDIRPLUS: IN.read,
      WRITE: IN.write,
      RELEASE: IN.release,
      RELEASEDIR: IN.release,
      FLUSH: IN.flush,
      FSYNC: IN.fsync,
      FSYNCDIR: IN.fsync,
      SETXATTR: IN.setxattr,
      GETXATTR: IN.getxattr,
      LISTXATTR: IN.getxattr,
      GETLK: IN.lk,
      SETLK: IN.lk,
      SETLKW: IN.lk,
      ACCESS: IN.access,
      INTERRUPT: IN.interrupt,
      FALLOCATE: IN.fallocate,
      LSEEK: IN.lseek,
      COPY_FILE_RANGE: IN.copyFileRange,
    } satisfies Partial<Record<keyof typeof OPCODES, { end: number }>>,
  )
) MIN_BODY[OPCODES[name as keyof typeof OPCODES]] = end;

/** A request that is not as the protocol has it; answered with EIO. */
export class MalformedRequest extends Error {
  override name = "MalformedRequest";
}

/**
 * One object for all requests of a session, since none may be allocated for each: what it gives (names, data) is
 * overwritten by the next. A handler that defers copies what it needs.
 */
export class Request {
  readonly buffer: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;
  opcode = 0;
  nodeid = 0;
  uid = 0;
  gid = 0;
  pid = 0;
  /** Bytes of the whole request. */
  length = 0;

  /** `capacity` is that of the largest request: max_write and a page. */
  constructor(capacity: number) {
    this.buffer = new Uint8Array(capacity);
    this.#view = new DataView(this.buffer.buffer);
  }

  /** Takes the `received` bytes in the buffer as a request. */
  begin(received: number): void {
    const view = this.#view;
    if (received < IN_HEADER_BYTES || received > this.buffer.length || view.getUint32(0, true) !== received) {
      throw new MalformedRequest(`a request of ${received} bytes has another length in its header`);
    }
    this.opcode = view.getUint32(4, true);
    this.nodeid = this.#u64At(16);
    this.uid = view.getUint32(24, true);
    this.gid = view.getUint32(28, true);
    this.pid = view.getUint32(32, true);
    // extensions lie at the end, in units of 8 bytes, and none was asked for
    this.length = received - view.getUint16(36, true) * 8;
    const least = this.opcode < MIN_BODY.length ? MIN_BODY[this.opcode]! : 0;
    if (this.length - IN_HEADER_BYTES < least) {
      throw new MalformedRequest(`request ${this.opcode} has ${this.length} bytes`);
    }
  }

  /** What a deferred answer names it by. */
  get unique(): bigint {
    return this.#view.getBigUint64(8, true);
  }

  get bodyLength(): number {
    return this.length - IN_HEADER_BYTES;
  }

  /** A field of the fixed part, by its offset in `IN`. */
  u32(field: number): number {
    return this.#view.getUint32(IN_HEADER_BYTES + field, true);
  }

  /** As a number: exact up to 2^53, which handlers check where it matters. */
  u64(field: number): number {
    return this.#u64At(IN_HEADER_BYTES + field);
  }

  /** All 64 bits, where each counts: a lock's owner, the id of a request. */
  exactU64(field: number): bigint {
    return this.#view.getBigUint64(IN_HEADER_BYTES + field, true);
  }

  /** A signed one: the offset of LSEEK. */
  i64(field: number): number {
    return Number(this.#view.getBigInt64(IN_HEADER_BYTES + field, true));
  }

  /** The text at `field` with the NUL that ends it, as C wants it: a name (or target) of the container's choice. */
  cstring(field: number): Uint8Array<ArrayBuffer> {
    const start = IN_HEADER_BYTES + field;
    const end = this.buffer.indexOf(0, start);
    if (end === -1 || end >= this.length) throw new MalformedRequest("a name has no end");
    return this.buffer.subarray(start, end + 1);
  }

  /** As `cstring`, of an entry of a folder: neither empty, `.` nor `..`, and without a slash. */
  name(field: number): Uint8Array<ArrayBuffer> {
    const name = this.cstring(field);
    const length = name.length - 1;
    const isDots = length <= 2 && length > 0 && name[0] === 46 && (length === 1 || name[1] === 46);
    if (length === 0 || isDots || name.indexOf(47) !== -1) {
      throw new MalformedRequest("a name is no name of an entry");
    }
    return name;
  }

  /** `size` bytes at `field`: the data of WRITE and SETXATTR. */
  data(field: number, size: number): Uint8Array<ArrayBuffer> {
    if (field + size > this.bodyLength) throw new MalformedRequest("data are longer than their request");
    return this.buffer.subarray(IN_HEADER_BYTES + field, IN_HEADER_BYTES + field + size);
  }

  #u64At(offset: number): number {
    const view = this.#view;
    return view.getUint32(offset, true) + view.getUint32(offset + 4, true) * 2 ** 32;
  }
}
