/**
 * Folders whose changes are told, so that the kernel may believe for long what it knows of their entries.
 *
 * ```
 *  host, other containers ── change ──▶ inotify ──▶ server ── the node's attributes ─────▶ kernel
 *                                                      └─ the name ──▶ Notices ──────────▶ kernel
 * ```
 * A folder is watched before its entries are looked at: what changes after that look is told after its answer. A node
 * has one name that is believed for long: when it is seen by another, the kernel is told to forget the one before.
 * Nobody tells of changes through shared mappings, or by another name of a file, even of the making of that name: a file
 * with several names, or changed just now, is believed for as short a time as without a watch; all else for `LONG_MS`
 * at most.
 *
 * @see inotify(7), fuse_notify_inval_entry_out in linux/fuse.h
 */

import { ENOSPC, errno } from "../../../ffi/errno.ts";
import { libc } from "../../../ffi/libc.ts";
import { filesystemType } from "../../../ffi/mount.ts";
import { inotify_init1 } from "../../../ffi/poll.ts";
import {
  BTRFS_SUPER_MAGIC,
  EXT4_SUPER_MAGIC,
  F2FS_SUPER_MAGIC,
  TMPFS_MAGIC,
  XFS_SUPER_MAGIC,
} from "../../../ffi/constants/mount.ts";
import {
  IN_ATTRIB,
  IN_CLOEXEC,
  IN_CLOSE_WRITE,
  IN_CREATE,
  IN_DELETE,
  IN_IGNORED,
  IN_MODIFY,
  IN_MOVED_FROM,
  IN_MOVED_TO,
  IN_NONBLOCK,
  IN_ONLYDIR,
  IN_Q_OVERFLOW,
} from "../../../ffi/constants/poll.ts";
import { S_IFDIR } from "../../../ffi/constants/stat.ts";
import type { Attributes, Validity } from "../reply.ts";
import { descriptorPath, type Name, rare } from "./calls.ts";
import type { Listing } from "./listings.ts";
import { bytesOf, textOf } from "./names.ts";
import type { FileNode } from "./nodes.ts";

/** A watched folder, with its entries that the kernel believes. */
export interface Watch {
  readonly folder: number;
  readonly descriptor: number;
  readonly names: Map<string, FileNode>;
  /** When the first of the latest LOOKUPs came, and how many have come since (`Listings`). */
  firstLook: number;
  looks: number;
  listedAt: number;
  listing: Listing | undefined;
}

/** Who has the kernel forget. */
export interface Listener {
  attributesChanged(nodeid: number): void;
  nameChanged(folder: number, name: Uint8Array): void;
}

export const LONG_MS = 30_000;
/** So long after its last change a file may be one that is being changed in ways that nobody tells. */
const SETTLED_S = 2;
/** One is a kB of the kernel's memory, and counts among the user's: his editors want some as well. */
const MAX_WATCHES = 4096;
const USERS_SHARE = 1 / 16;
/** Those whose every change passes this kernel. */
const LOCAL = [EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC, F2FS_SUPER_MAGIC, TMPFS_MAGIC];

const NAMES_CHANGE = IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO;
const FOLDER_CHANGES = IN_CREATE | NAMES_CHANGE;
const MASK = (IN_MODIFY | IN_ATTRIB | IN_CLOSE_WRITE | FOLDER_CHANGES | IN_ONLYDIR) >>> 0;
/** struct inotify_event without its name. */
const EVENT_BYTES = 16;

export class Watches {
  /** The inotify instance; undefined where nothing is watched. */
  readonly fd: number | undefined;
  readonly #listener: Listener;
  readonly #device: number;
  readonly #folders = new Map<number, FileNode>();
  readonly #events = new Uint8Array(65536);
  #most = 0;

  /** `root` is a descriptor of the tree's, on `device`. */
  constructor(root: number, device: number, listener: Listener) {
    this.#listener = listener;
    this.#device = device;
    if (!LOCAL.includes(filesystemType(root))) return;
    try {
      this.fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
      this.#most = Math.min(MAX_WATCHES, Math.floor(USERS_SHARE * usersWatches()));
    } catch {
      // the user has as many as he may: what is told is believed for a short time alone
    }
  }

  /** Sees to it that the folder which `fd` is open on is watched, if it can be. */
  watch(folder: FileNode, fd: number): void {
    if (folder.watch !== undefined || this.fd === undefined || this.#folders.size >= this.#most) return;
    if (folder.device !== this.#device) return;
    const descriptor = libc("poll").inotify_add_watch(this.fd, descriptorPath(fd), MASK);
    if (descriptor === -1) {
      // no more for this user; those that end make room
      if (errno() === ENOSPC) this.#most = this.#folders.size;
      return;
    }
    const other = this.#folders.get(descriptor);
    if (other !== undefined) this.#drop(other);
    this.#folders.set(descriptor, folder);
    folder.watch = {
      folder: folder.id,
      descriptor,
      names: new Map(),
      firstLook: 0,
      looks: 0,
      listedAt: 0,
      listing: undefined,
    };
  }

  /** How long the kernel may believe that `name` of a folder is this node, and its attributes. */
  entryValidity(
    folder: FileNode | undefined,
    name: string,
    node: FileNode,
    now: Attributes,
    short: Validity,
  ): Validity {
    const watch = folder?.watch;
    this.#leave(node, watch, name);
    const other = watch?.names.get(name);
    if (other !== undefined) {
      // the name is another file's by now, and the event is still to come
      this.#lose(other);
      this.#change(other);
    }
    if (watch === undefined || node.device !== this.#device || hasSeveralNames(node, now)) return short;
    node.seenAs = name;
    node.seenIn = watch;
    watch.names.set(name, node);
    const { attrMs } = this.validity(node, now, short);
    node.toldUntil = attrMs === LONG_MS ? Date.now() + LONG_MS : 0;
    return attrMs === LONG_MS ? LONG : { entryMs: LONG_MS, attrMs };
  }

  /** Whether the kernel believes what it was told of the name, and of what has it, and will for a good while. */
  isBelieved(folder: FileNode, name: string): boolean {
    const node = believed(folder, name);
    return node !== undefined && node.toldUntil - Date.now() > LONG_MS / 2;
  }

  /** How long the attributes may be believed that were just taken. */
  validity(node: FileNode, now: Attributes, short: Validity): Validity {
    const isTold = node.type === S_IFDIR
      ? node.watch !== undefined
      : node.seenIn !== undefined && !hasSeveralNames(node, now);
    return isTold && Date.now() / 1000 - now.ctime > SETTLED_S ? LONG : short;
  }

  /** The kernel no longer knows the node. */
  forgot(node: FileNode): void {
    this.#lose(node);
    const { watch } = node;
    if (watch === undefined) return;
    this.#drop(node);
    libc("poll").inotify_rm_watch(this.fd!, watch.descriptor);
  }

  /** The container itself has taken the name away, which the kernel knows. */
  removed(folder: FileNode | undefined, name: string): void {
    const node = believed(folder, name);
    if (node !== undefined) this.#lose(node);
  }

  /**
   * The container itself has renamed an entry: the kernel believes it by its new name for what is left of the time it
   * was told of the old one.
   */
  renamed(from: FileNode, name: string, to: FileNode, newName: string, isExchange: boolean): void {
    const node = believed(from, name);
    const other = believed(to, newName);
    if (node !== undefined) this.#move(node, to, newName);
    if (other === undefined) return;
    if (isExchange) this.#move(other, from, name);
    else this.#lose(other);
  }

  /** Has the kernel forget what has changed since. */
  take(): void {
    const events = this.#events;
    const length = rare.read(this.fd!, events, events.length);
    const view = new DataView(events.buffer);
    for (let at = 0; at + EVENT_BYTES <= length;) {
      const size = view.getUint32(at + 12, true);
      const name = events.subarray(at + EVENT_BYTES, at + EVENT_BYTES + size);
      this.#handle(view.getInt32(at, true), view.getUint32(at + 4, true), name);
      at += EVENT_BYTES + size;
    }
  }

  /** Nobody can be told any more of names: no folder is watched from here on. */
  stop(): void {
    this.#most = 0;
    for (const folder of [...this.#folders.values()]) this.#drop(folder);
  }

  #handle(descriptor: number, mask: number, name: Name): void {
    if (mask & IN_Q_OVERFLOW) {
      // what has changed was not told: all has
      for (const folder of [...this.#folders.values()]) this.#tellAll(folder);
      return;
    }
    const folder = this.#folders.get(descriptor);
    if (folder === undefined) return;
    if (mask & IN_IGNORED) return this.#drop(folder);
    const isNamed = name.length > 0;
    if (!isNamed || mask & FOLDER_CHANGES) this.#change(folder);
    const text = isNamed ? textOf(name) : "";
    const node = isNamed ? folder.watch!.names.get(text) : undefined;
    if (node === undefined) return;
    this.#change(node);
    if ((mask & NAMES_CHANGE) === 0) return;
    this.#lose(node);
    this.#listener.nameChanged(folder.id, bytesOf(text));
  }

  #change(node: FileNode): void {
    node.toldUntil = 0;
    this.#listener.attributesChanged(node.id);
  }

  #tellAll(folder: FileNode): void {
    this.#change(folder);
    for (const [name, node] of [...folder.watch!.names]) {
      this.#lose(node);
      this.#change(node);
      this.#listener.nameChanged(folder.id, bytesOf(name));
    }
  }

  #drop(folder: FileNode): void {
    this.#tellAll(folder);
    this.#folders.delete(folder.watch!.descriptor);
    folder.watch = undefined;
  }

  /** It is seen as `key` there: what the kernel believes of another name of it, nobody tells from here on. */
  #leave(node: FileNode, watch: Watch | undefined, name: string): void {
    const { seenIn, seenAs } = node;
    if (seenIn === undefined) return;
    this.#lose(node);
    if (seenIn !== watch || seenAs !== name) this.#listener.nameChanged(seenIn.folder, bytesOf(seenAs));
  }

  #move(node: FileNode, folder: FileNode, name: string): void {
    this.#lose(node);
    this.#change(node);
    this.#listener.nameChanged(folder.id, bytesOf(name));
  }

  #lose(node: FileNode): void {
    const { seenIn, seenAs } = node;
    if (seenIn === undefined) return;
    if (seenIn.names.get(seenAs) === node) seenIn.names.delete(seenAs);
    node.seenIn = undefined;
    node.toldUntil = 0;
  }
}

function usersWatches(): number {
  return Number(Deno.readTextFileSync("/proc/sys/fs/inotify/max_user_watches"));
}

const LONG: Validity = { entryMs: LONG_MS, attrMs: LONG_MS };

function hasSeveralNames(node: FileNode, { nlink }: Attributes): boolean {
  return node.type !== S_IFDIR && nlink !== 1;
}

/** The node that the kernel was told of by this name for long. */
function believed(folder: FileNode | undefined, name: string): FileNode | undefined {
  return folder?.watch?.names.get(name);
}
