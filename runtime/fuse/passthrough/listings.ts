/**
 * Folders that are listed ahead: who looks up one name after the other, as git and make do with all they know, is told of
 * the others at once.
 *
 * ```
 *  asker ─ LOOKUP, LOOKUP, … ─▶ server ── path ──▶ writer of notices ── getdents64(2) ──▶ kernel
 *                                  ◀──────── OPENDIR, READDIRPLUS, RELEASEDIR ──────────────┘
 * ```
 * A LOOKUP costs two processes a turn each, an entry of a READDIRPLUS a tenth of that. Only the kernel asks for a
 * READDIRPLUS, so somebody has to list the folder through the mount: not the server itself, which would wait for its own
 * answer. Whoever asks for more of that folder until the answer is there waits for it, but not for long: an asker may
 * have the folder's lock, which the listing needs.
 */

import { compileFunction, SYSCALL } from "../../../ffi/libc.ts";
import {
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
} from "../../../ffi/constants/fcntl.ts";
import type { Request } from "../request.ts";
import { bytesOf } from "./names.ts";
import type { FileNode } from "./nodes.ts";
import { LONG_MS, type Watch } from "./watches.ts";

/** So many names of a folder, each found, within so short a time: who asks will ask for more. */
const MANY_LOOKS = 3;
const WINDOW_MS = 50;
/** Of a folder's own size: some two thousand names. Nobody gains by all those of a larger one. */
const LARGEST_FOLDER_BYTES = 128 << 10;
const MAX_PATH_BYTES = 4095;
/** As much as the kernel asks for at once. */
const ENTRIES_BYTES = 128 << 10;
const MAX_ENTRIES_BYTES = 4 << 20;

/** So long askers wait for who lists to go on. */
const STEP_MS = 20;
/** And so much longer while the server has other things to do. */
const BUSY_MS = 100;
/** After so many that waited in vain nobody waits, for a while. */
const MANY_VAIN = 4;
const VAIN_MS = 10_000;

/** A LOOKUP that waits. */
interface Held {
  folder: FileNode;
  name: string;
  unique: bigint;
}

/** Of one folder, from its path's sending to the end of the listing. */
export interface Listing {
  /** Answered before the listing is. */
  held: Held[];
  /** The answer is on its way: what is asked now may be what it waits for. */
  isTold: boolean;
}

export interface ListingNeeds {
  /** Has somebody list the folder at a path below the root; false where it cannot be. */
  ask: (path: Uint8Array<ArrayBuffer>) => boolean;
  /** The size of an open folder. */
  sizeOf: (fd: number) => number;
  /** Answers a LOOKUP that has waited. */
  answer: (folder: FileNode, name: string, unique: bigint) => void;
}

export class Listings {
  readonly #needs: ListingNeeds;
  /** By the folders' watches, in the order of their sending. */
  readonly #pending = new Map<Watch, Listing>();
  /** The one that is being listed. */
  #current: Watch | undefined;
  #dueAt = 0;
  #vain = 0;
  #vainUntil = 0;

  constructor(needs: ListingNeeds) {
    this.#needs = needs;
  }

  /** In how many ms `expire` has something to do, -1: in none. */
  get waitMs(): number {
    return this.#pending.size === 0 ? -1 : Math.max(0, this.#dueAt - Date.now());
  }

  /** Whether the LOOKUP of a name is answered later. */
  holds(folder: FileNode, name: string, request: Request): boolean {
    const listing = folder.watch?.listing;
    if (listing === undefined || listing.isTold || this.#vainUntil > 0) return false;
    listing.held.push({ folder, name, unique: request.unique });
    return true;
  }

  /** An entry of the folder that `fd` is open on was looked up, and found. */
  looked(folder: FileNode, fd: number): void {
    const { watch } = folder;
    // what is told of others is believed for a second only
    if (watch === undefined) return;
    const now = Date.now();
    if (now - watch.firstLook > WINDOW_MS) {
      watch.firstLook = now;
      watch.looks = 1;
      return;
    }
    if (++watch.looks < MANY_LOOKS || now - watch.listedAt < LONG_MS / 2) return;
    watch.listedAt = now;
    if (this.#needs.sizeOf(fd) > LARGEST_FOLDER_BYTES) return;
    const path = pathBelowRoot(folder);
    if (path === undefined || !this.#needs.ask(path)) return;
    if (this.#vainUntil > 0 && this.#vainUntil <= now) this.#vain = this.#vainUntil = 0;
    if (this.#pending.size === 0) this.#dueAt = now + STEP_MS;
    this.#pending.set(watch, watch.listing = { held: [], isTold: false });
  }

  /** Who lists has opened a folder. */
  opened({ watch }: FileNode): void {
    if (watch?.listing === undefined) return;
    this.#current = watch;
    this.#dueAt = Date.now() + STEP_MS;
  }

  /** Who lists asks for entries of a folder: gives the names that others wait to be told of by themselves. */
  read({ watch }: FileNode): ReadonlySet<string> | undefined {
    const listing = watch?.listing;
    if (listing === undefined) return undefined;
    // for more, so that it has taken up what it was told
    if (listing.isTold) {
      this.#end(watch!);
      return undefined;
    }
    listing.isTold = true;
    this.#dueAt = Date.now() + STEP_MS;
    return listing.held.length === 0 ? undefined : new Set(listing.held.map(({ name }) => name));
  }

  /** Who lists has closed a folder. */
  closed({ watch }: FileNode): void {
    if (watch?.listing !== undefined) this.#end(watch);
  }

  /** Lets those go on who have waited for long enough; where there are requests, one may be what they wait for. */
  expire(hasRequest: boolean): void {
    if (this.#pending.size === 0 || Date.now() < this.#dueAt + (hasRequest ? BUSY_MS : 0)) return;
    const late = this.#current === undefined ? [...this.#pending.keys()] : [this.#current];
    if (late.some((watch) => watch.listing!.held.length > 0) && ++this.#vain >= MANY_VAIN) {
      this.#vainUntil = Date.now() + VAIN_MS;
    }
    for (const watch of late) this.#end(watch);
  }

  #end(watch: Watch): void {
    const { held } = watch.listing!;
    this.#pending.delete(watch);
    watch.listing = undefined;
    this.#current = undefined;
    this.#dueAt = Date.now() + STEP_MS;
    for (const { folder, name, unique } of held) this.#needs.answer(folder, name, unique);
  }
}

/** The folder's path below the root, with the NUL that ends it. */
function pathBelowRoot(folder: FileNode): Uint8Array<ArrayBuffer> | undefined {
  const names: string[] = [];
  for (let node = folder; node.parent !== undefined; node = node.parent) {
    if (node.name === undefined) return undefined;
    names.push(node.name);
  }
  const path = names.length === 0 ? "." : names.reverse().join("/");
  return path.length > MAX_PATH_BYTES ? undefined : bytesOf(`${path}\0`);
}

/** Gives who lists the folder at a path below `root`, a descriptor of the mount's, and nothing else, whatever is there by now. */
export function folderLister(root: number): (path: Uint8Array<ArrayBuffer>) => void {
  const openat2 = compileFunction("file", "openat2");
  const getdents64 = compileFunction("file", "getdents64");
  const close = compileFunction("file", "close");
  const how = new BigUint64Array(3);
  how[0] = BigInt(O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  how[2] = BigInt(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
  const howBytes = new Uint8Array(how.buffer);
  const entries = new Uint8Array(ENTRIES_BYTES);
  return (path) => {
    const fd = openat2(SYSCALL.openat2, root, path, howBytes, 24n);
    // it is gone, or nobody's to read: then each name is looked up by itself
    if (fd === -1) return;
    for (let bytes = 0; bytes < MAX_ENTRIES_BYTES;) {
      const length = getdents64(fd, entries, ENTRIES_BYTES);
      if (length <= 0) break;
      bytes += length;
    }
    close(fd);
  };
}
