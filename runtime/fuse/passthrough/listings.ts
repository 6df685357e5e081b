/**
 * Folders that are listed ahead: who looks up one name after the other, as git and make do with all they know, is told of
 * the others at once.
 *
 * ```
 *  asker ─ LOOKUP, LOOKUP, … ─▶ server ── path ──▶ Listers
 *                                  ◀─ OPENDIR, READDIRPLUS, READDIR, RELEASEDIR
 * ```
 * A LOOKUP costs two processes a turn each, an entry of a READDIRPLUS a tenth of that; but only who lists a folder is
 * asked for a READDIRPLUS. Whoever asks for more of the folder until its answer is there waits for it, though not for
 * long: an asker may have the folder's lock, which the listing needs.
 */

import type { Request } from "../request.ts";
import type { FileNode } from "./nodes.ts";
import { LONG_MS, type Watch } from "./watches.ts";

/** So many names of a folder, each found, within so short a time: who asks will ask for more. */
const MANY_LOOKS = 3;
const WINDOW_MS = 50;
/** Of a folder's own size: some two thousand names. Nobody gains by all those of a larger one. */
const LARGEST_FOLDER_BYTES = 128 << 10;

/** So long askers wait for who lists to go on, */
const STEP_MS = 30;
/** and so much longer while the server has other things to do. */
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
  held: Held[];
  /** When who lists has last done something for it; undefined where others are before it. */
  goneOnAt: number | undefined;
  /** The answer is on its way: what is asked now may be what it waits for. */
  isTold: boolean;
}

export interface ListingNeeds {
  /** Has somebody list the folder at a path below the root; false where it cannot be. */
  ask: (path: string) => boolean;
  /** The size of an open folder. */
  sizeOf: (fd: number) => number;
  /** Answers a LOOKUP that has waited. */
  answer: (folder: FileNode, name: string, unique: bigint) => void;
}

export class Listings {
  readonly #needs: ListingNeeds;
  /** By the folders' watches. */
  readonly #pending = new Map<Watch, Listing>();
  /** When anything was done for any of them. */
  #goneOnAt = 0;
  #vain = 0;
  #vainUntil = 0;

  constructor(needs: ListingNeeds) {
    this.#needs = needs;
  }

  /** In how many ms `expire` has something to do, -1: in none. */
  get waitMs(): number {
    if (this.#pending.size === 0) return -1;
    let earliest = Infinity;
    for (const { goneOnAt } of this.#pending.values()) {
      earliest = Math.min(earliest, goneOnAt ?? this.#goneOnAt);
    }
    return Math.max(0, earliest + STEP_MS - Date.now());
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
    if (this.#pending.size === 0) this.#goneOnAt = now;
    this.#pending.set(watch, watch.listing = { held: [], goneOnAt: undefined, isTold: false });
  }

  /** Who lists has opened a folder. */
  opened({ watch }: FileNode): void {
    if (watch?.listing !== undefined) watch.listing.goneOnAt = this.#goneOnAt = Date.now();
  }

  /** Who lists asks for entries of a folder: gives the names that others wait to be told of by themselves. */
  read({ watch }: FileNode): ReadonlySet<string> | undefined {
    const listing = watch?.listing;
    if (listing === undefined) return undefined;
    // for more, so that it has taken up what it was told
    if (listing.isTold) {
      this.#end(watch!, listing);
      return undefined;
    }
    listing.isTold = true;
    listing.goneOnAt = this.#goneOnAt = Date.now();
    return listing.held.length === 0 ? undefined : new Set(listing.held.map(({ name }) => name));
  }

  /** Who lists has closed a folder. */
  closed({ watch }: FileNode): void {
    if (watch?.listing !== undefined) this.#end(watch, watch.listing);
  }

  /** Lets those go on who have waited for long enough; where there are requests, one may be what they wait for. */
  expire(hasRequest: boolean): void {
    if (this.#pending.size === 0) return;
    const before = Date.now() - STEP_MS - (hasRequest ? BUSY_MS : 0);
    for (const [watch, listing] of [...this.#pending]) {
      if ((listing.goneOnAt ?? this.#goneOnAt) > before) continue;
      if (listing.held.length > 0 && ++this.#vain === MANY_VAIN) this.#vainUntil = Date.now() + VAIN_MS;
      this.#end(watch, listing);
    }
  }

  #end(watch: Watch, { held }: Listing): void {
    this.#pending.delete(watch);
    watch.listing = undefined;
    this.#goneOnAt = Math.max(this.#goneOnAt, Date.now());
    for (const { folder, name, unique } of held) this.#needs.answer(folder, name, unique);
  }
}

/** The folder's path below the root. */
function pathBelowRoot(folder: FileNode): string | undefined {
  const names: string[] = [];
  for (let node = folder; node.parent !== undefined; node = node.parent) {
    if (node.name === undefined) return undefined;
    names.push(node.name);
  }
  return names.length === 0 ? "." : names.reverse().join("/");
}
