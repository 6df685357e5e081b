/** struct statx as the attributes of FUSE, with the owners as the mount shows them. @see statx(2) */

import { AT_EMPTY_PATH, AT_NO_AUTOMOUNT, AT_SYMLINK_NOFOLLOW } from "../../../ffi/constants/fcntl.ts";
import { STATX_BASIC_STATS, STATX_BTIME } from "../../../ffi/constants/stat.ts";
import { type Attributes, NO_ATTRIBUTES } from "../reply.ts";
import { type Calls, EMPTY, type Name } from "./calls.ts";
import { type OwnerRule, shownOwner } from "./owners.ts";

const STATX_BYTES = 256;

/** The answer of one statx(2) at a time: what it holds is overwritten by the next. */
export class Facts {
  readonly #calls: Calls;
  readonly #uids: OwnerRule;
  readonly #gids: OwnerRule;
  readonly #buffer = new Uint8Array(STATX_BYTES);
  readonly #view = new DataView(this.#buffer.buffer);
  /** As the container sees them. */
  readonly attributes: Attributes = { ...NO_ATTRIBUTES };
  /** On disk. */
  uid = 0;
  gid = 0;
  mode = 0;
  /** What tells two files apart: 64 bits of inode number in halves, the device, and the time of birth. */
  inoLow = 0;
  inoHigh = 0;
  device = 0;
  birth = 0;

  constructor(calls: Calls, uids: OwnerRule, gids: OwnerRule) {
    this.#calls = calls;
    this.#uids = uids;
    this.#gids = gids;
  }

  /** Of an entry, not of what a link leads to. False: see errno. */
  ofEntry(dirfd: number, name: Name): boolean {
    return this.#take(
      this.#calls.statx(dirfd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, MASK, this.#buffer),
    );
  }

  /** Of what a descriptor is open on. */
  ofDescriptor(fd: number): boolean {
    return this.#take(this.#calls.statx(fd, EMPTY, AT_EMPTY_PATH, MASK, this.#buffer));
  }

  #take(result: number): boolean {
    if (result === -1) return false;
    const view = this.#view;
    const word = (at: number) => view.getUint32(at, true);
    const [major, minor] = [word(136), word(140)];
    this.uid = word(20);
    this.gid = word(24);
    this.mode = view.getUint16(28, true);
    this.inoLow = word(32);
    this.inoHigh = word(36);
    this.device = major * 2 ** 20 + minor;
    this.birth = word(80) * 2 ** 20 + (word(88) >>> 10);
    const to = this.attributes;
    to.ino = this.inoLow + this.inoHigh * 2 ** 32;
    to.size = word(40) + word(44) * 2 ** 32;
    to.blocks = word(48) + word(52) * 2 ** 32;
    to.atime = word(64) + view.getInt32(68, true) * 2 ** 32;
    to.atimensec = word(72);
    to.ctime = word(96) + view.getInt32(100, true) * 2 ** 32;
    to.ctimensec = word(104);
    to.mtime = word(112) + view.getInt32(116, true) * 2 ** 32;
    to.mtimensec = word(120);
    to.mode = this.mode;
    to.nlink = word(16);
    to.uid = shownOwner(this.#uids, this.uid);
    to.gid = shownOwner(this.#gids, this.gid);
    const [rdevMajor, rdevMinor] = [word(128), word(132)];
    to.rdev = ((rdevMinor & 0xff) | rdevMajor << 8 | (rdevMinor & ~0xff) << 12) >>> 0;
    to.blksize = word(4);
    return true;
  }
}

const MASK = STATX_BASIC_STATS | STATX_BTIME;
