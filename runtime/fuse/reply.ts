/**
 * The answer to one request, built in the buffer that is written to the kernel.
 *
 * ```
 *  len u32  error i32  unique u64  | body
 * ```
 * @see linux/fuse.h, fuse(4)
 */

export const OUT_HEADER_BYTES = 16;
const ENTRY_BYTES = 128;
const ATTR_OUT_BYTES = 104;
const DIRENT_BYTES = 24;

/** What `struct fuse_attr` tells. Times in seconds and nanoseconds; ids as the mount's user namespace has them. */
export interface Attributes {
  ino: number;
  size: number;
  blocks: number;
  atime: number;
  mtime: number;
  ctime: number;
  atimensec: number;
  mtimensec: number;
  ctimensec: number;
  mode: number;
  nlink: number;
  uid: number;
  gid: number;
  /** As new_encode_dev of the kernel: minor & 0xff | major << 8 | (minor & ~0xff) << 12. */
  rdev: number;
  blksize: number;
}

/** To be filled in: all in one order, so that each is an object of the same shape. */
export const NO_ATTRIBUTES: Readonly<Attributes> = {
  ino: 0,
  size: 0,
  blocks: 0,
  atime: 0,
  mtime: 0,
  ctime: 0,
  atimensec: 0,
  mtimensec: 0,
  ctimensec: 0,
  mode: 0,
  nlink: 0,
  uid: 0,
  gid: 0,
  rdev: 0,
  blksize: 0,
};

/** How long the kernel may believe an entry and its attributes, in ms. */
export interface Validity {
  entryMs: number;
  attrMs: number;
}

export interface FilesystemFacts {
  blocks: number;
  bfree: number;
  bavail: number;
  files: number;
  ffree: number;
  bsize: number;
  namelen: number;
  frsize: number;
}

/** Reused for every answer. Calls append to the body; those that give a boolean append nothing where it has no room. */
export class Reply {
  readonly buffer: Uint8Array<ArrayBuffer>;
  /** The body alone, to be read into. */
  readonly data: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;
  /** Bytes of the body so far. */
  length = 0;

  constructor(bodyCapacity: number) {
    this.buffer = new Uint8Array(OUT_HEADER_BYTES + bodyCapacity);
    this.data = this.buffer.subarray(OUT_HEADER_BYTES);
    this.#view = new DataView(this.buffer.buffer);
  }

  /** Completes the header; gives the bytes to write. An error has no body. */
  finish(unique: bigint, errno: number): number {
    const total = OUT_HEADER_BYTES + (errno === 0 ? this.length : 0);
    this.#view.setUint32(0, total, true);
    this.#view.setInt32(4, -errno, true);
    this.#view.setBigUint64(8, unique, true);
    return total;
  }

  u32(value: number): void {
    this.#view.setUint32(OUT_HEADER_BYTES + this.length, value, true);
    this.length += 4;
  }

  u64(value: number): void {
    this.#setU64(OUT_HEADER_BYTES + this.length, value);
    this.length += 8;
  }

  bytes(value: Uint8Array): void {
    this.data.set(value, this.length);
    this.length += value.length;
  }

  /** struct fuse_entry_out: the answer to LOOKUP, MKDIR, LINK, … A nodeid of 0 is a remembered absence. */
  entry(nodeid: number, generation: number, attributes: Attributes, validity: Validity): void {
    this.#entryAt(OUT_HEADER_BYTES + this.length, nodeid, generation, attributes, validity);
    this.length += ENTRY_BYTES;
  }

  /** struct fuse_attr_out: the answer to GETATTR and SETATTR. */
  attributes(attributes: Attributes, validity: Validity): void {
    const at = OUT_HEADER_BYTES + this.length;
    this.#setTime(at, at + 8, validity.attrMs);
    this.#view.setUint32(at + 12, 0, true);
    this.#attrAt(at + 16, attributes);
    this.length += ATTR_OUT_BYTES;
  }

  /** struct fuse_open_out; after an entry it answers CREATE. `backingId` is a passthrough descriptor's. */
  open(fh: number, flags: number, backingId = 0): void {
    this.u64(fh);
    this.u32(flags);
    this.u32(backingId);
  }

  /** struct fuse_write_out, and fuse_getxattr_out: a size. */
  size(bytes: number): void {
    this.u32(bytes);
    this.u32(0);
  }

  /** struct fuse_statfs_out. */
  statfs({ blocks, bfree, bavail, files, ffree, bsize, namelen, frsize }: FilesystemFacts): void {
    for (const count of [blocks, bfree, bavail, files, ffree]) this.u64(count);
    for (const word of [bsize, namelen, frsize]) this.u32(word);
    for (let spare = 0; spare < 7; spare++) this.u32(0);
  }

  /** struct fuse_lk_out: `type` is F_UNLCK, F_RDLCK or F_WRLCK. */
  lock(start: bigint, end: bigint, type: number, pid: number): void {
    const at = OUT_HEADER_BYTES + this.length;
    this.#view.setBigUint64(at, start, true);
    this.#view.setBigUint64(at + 8, end, true);
    this.#view.setUint32(at + 16, type, true);
    this.#view.setUint32(at + 20, pid, true);
    this.length += 24;
  }

  /** struct fuse_dirent: `offset` is where the next READDIR goes on. False where `limit` leaves no room for it. */
  dirent(name: Uint8Array, ino: number, offset: bigint, type: number, limit: number): boolean {
    const size = align(DIRENT_BYTES + name.length);
    if (this.length + size > limit) return false;
    this.#direntAt(OUT_HEADER_BYTES + this.length, name, ino, offset, type);
    this.length += size;
    return true;
  }

  /** Whether a struct fuse_direntplus with this name has room: the entry counts as looked up once it is told. */
  hasRoomForPlus(nameLength: number, limit: number): boolean {
    return this.length + align(ENTRY_BYTES + DIRENT_BYTES + nameLength) <= limit;
  }

  /** struct fuse_direntplus; a nodeid of 0 tells the name alone. */
  direntPlus(
    name: Uint8Array,
    offset: bigint,
    type: number,
    nodeid: number,
    generation: number,
    attributes: Attributes,
    validity: Validity,
  ): void {
    const at = OUT_HEADER_BYTES + this.length;
    this.#entryAt(at, nodeid, generation, attributes, validity);
    this.#direntAt(at + ENTRY_BYTES, name, attributes.ino, offset, type);
    this.length += align(ENTRY_BYTES + DIRENT_BYTES + name.length);
  }

  #direntAt(at: number, name: Uint8Array, ino: number, offset: bigint, type: number): void {
    const view = this.#view;
    this.#setU64(at, ino);
    view.setBigUint64(at + 8, offset, true);
    view.setUint32(at + 16, name.length, true);
    view.setUint32(at + 20, type, true);
    this.buffer.set(name, at + DIRENT_BYTES);
    const end = at + DIRENT_BYTES + name.length;
    this.buffer.fill(0, end, at + align(DIRENT_BYTES + name.length));
  }

  #entryAt(
    at: number,
    nodeid: number,
    generation: number,
    attributes: Attributes,
    validity: Validity,
  ): void {
    this.#setU64(at, nodeid);
    this.#setU64(at + 8, generation);
    this.#setTime(at + 16, at + 32, validity.entryMs);
    this.#setTime(at + 24, at + 36, validity.attrMs);
    this.#attrAt(at + 40, attributes);
  }

  #attrAt(at: number, attributes: Attributes): void {
    const view = this.#view;
    this.#setU64(at, attributes.ino);
    this.#setU64(at + 8, attributes.size);
    this.#setU64(at + 16, attributes.blocks);
    // before 1970 they are negative
    this.#setI64(at + 24, attributes.atime);
    this.#setI64(at + 32, attributes.mtime);
    this.#setI64(at + 40, attributes.ctime);
    view.setUint32(at + 48, attributes.atimensec, true);
    view.setUint32(at + 52, attributes.mtimensec, true);
    view.setUint32(at + 56, attributes.ctimensec, true);
    view.setUint32(at + 60, attributes.mode, true);
    view.setUint32(at + 64, attributes.nlink, true);
    view.setUint32(at + 68, attributes.uid, true);
    view.setUint32(at + 72, attributes.gid, true);
    view.setUint32(at + 76, attributes.rdev, true);
    view.setUint32(at + 80, attributes.blksize, true);
    view.setUint32(at + 84, 0, true);
  }

  #setTime(secondsAt: number, nanosecondsAt: number, ms: number): void {
    const seconds = Math.floor(ms / 1000);
    this.#setU64(secondsAt, seconds);
    this.#view.setUint32(nanosecondsAt, Math.round((ms - seconds * 1000) * 1e6), true);
  }

  #setU64(at: number, value: number): void {
    this.#view.setUint32(at, value >>> 0, true);
    this.#view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
  }

  #setI64(at: number, value: number): void {
    this.#view.setUint32(at, value >>> 0, true);
    this.#view.setInt32(at + 4, Math.floor(value / 2 ** 32), true);
  }
}

function align(size: number): number {
  return (size + 7) & ~7;
}
