/**
 * The files that the kernel knows by a number, for as long as it does.
 *
 * A node is the file of one (device, inode, birth). It is reached by the folder and the name it was last seen under, or by a
 * descriptor; whoever opens it by name compares the file with the node, so that a swap in a hostile tree is ESTALE and
 * the kernel looks again. Descriptors that only stand for a file (O_PATH) are a bounded cache: the oldest is closed.
 */

import { ENOENT, errno, ESTALE } from "../../../ffi/errno.ts";
import type { Calls } from "./calls.ts";
import type { Facts } from "./facts.ts";
import { nameOf } from "./names.ts";
import { ROOT_ID } from "../constants.ts";
import type { Readings } from "./uncached_reads.ts";
import type { Watch } from "./watches.ts";

export class FileNode {
  /** Lookups that the kernel has not forgotten. */
  lookups = 0;
  /** An O_PATH descriptor, or -1. */
  pathFd = -1;
  /** Open files of it, by descriptor. */
  handles: number[] | undefined;
  /** It has lost its name, so that its descriptor is all there is. */
  isPinned = false;
  /** Of a folder whose changes are told. */
  watch: Watch | undefined;
  /** The folder that is watched for it, and as what. */
  seenIn: Watch | undefined;
  seenAs = "";
  /** Until then the kernel believes that name, and these attributes; 0: it does not, or may ask any time. */
  toldUntil = 0;
  /** What was read of it past the kernel's cache (`isReadUncached`). */
  readings: Readings | undefined;

  constructor(
    readonly id: number,
    readonly key: number | string,
    readonly inoLow: number,
    readonly inoHigh: number,
    readonly device: number,
    readonly birth: number,
    readonly type: number,
    public parent: FileNode | undefined,
    public name: string | undefined,
  ) {}
}

const S_IFMT = 0o170000;

export class NodeTable {
  readonly root: FileNode;
  readonly #calls: Calls;
  readonly #facts: Facts;
  /** An id that the kernel has forgotten is given again. */
  readonly #byId: (FileNode | undefined)[] = [undefined];
  readonly #freeIds: number[] = [];
  readonly #byFile = new Map<number | string, FileNode>();
  /** Nodes with a descriptor that may be closed, the least recently opened first. */
  readonly #cached = new Set<FileNode>();
  readonly #maxCached: number;
  /** The last of them. */
  #latest: FileNode | undefined;
  #nextId = ROOT_ID + 1;

  /** `rootFd` stays open as long as the table. */
  constructor(calls: Calls, facts: Facts, rootFd: number, maxCached: number) {
    this.#calls = calls;
    this.#facts = facts;
    this.#maxCached = maxCached;
    if (!facts.ofDescriptor(rootFd)) throw new Error("the root of the mount cannot be looked at");
    this.root = this.#make(ROOT_ID, undefined, undefined);
    this.root.lookups = 1;
    this.root.pathFd = rootFd;
    this.root.isPinned = true;
  }

  get(id: number): FileNode | undefined {
    return this.#byId[id];
  }

  /** The node of what `facts` were just taken of, counted as one lookup more. */
  remember(parent: FileNode | undefined, name: string | undefined): FileNode {
    const node = this.find() ?? this.#make(this.#freeIds.pop() ?? this.#nextId++, parent, name);
    node.lookups++;
    if (name !== undefined && node !== this.root) this.#place(node, parent!, name);
    return node;
  }

  /** The node of what `facts` were just taken of, if the kernel knows it. */
  find(): FileNode | undefined {
    const { inoLow, inoHigh, device, birth, mode } = this.#facts;
    const node = this.#byFile.get(this.#keyOf(inoLow, inoHigh, device));
    // the number may be that of another file by now
    if (node === undefined || (node.birth === birth && node.type === (mode & S_IFMT))) return node;
    this.#byFile.delete(node.key);
    return undefined;
  }

  /** It has another name from now on. */
  #place(node: FileNode, parent: FileNode, name: string): void {
    node.parent = parent;
    node.name = name;
    this.unpin(node);
  }

  move(node: FileNode, parent: FileNode, name: string): void {
    if (node !== this.root) this.#place(node, parent, name);
  }

  /** Gives the node where the kernel does not know it any more. */
  forget(id: number, count: number): FileNode | undefined {
    const node = this.#byId[id];
    if (node === undefined || node === this.root) return;
    node.lookups -= count;
    if (node.lookups > 0) return;
    this.#byId[id] = undefined;
    this.#freeIds.push(id);
    if (this.#byFile.get(node.key) === node) this.#byFile.delete(node.key);
    this.#dropPath(node);
    return node;
  }

  /** A descriptor that stands for the node, which stays the table's; -errno where it is no longer there. */
  pathOf(node: FileNode): number {
    if (node.pathFd !== -1) {
      if (!node.isPinned && node !== this.#latest) this.#keepPath(node);
      return node.pathFd;
    }
    const { parent, name } = node;
    if (parent === undefined || name === undefined) return node.handles?.[0] ?? -ESTALE;
    const folder = this.pathOf(parent);
    if (folder < 0) return folder;
    const fd = this.#calls.openPath(folder, nameOf(name));
    if (fd === -1) {
      const code = errno();
      return node.handles?.[0] ?? -(code === ENOENT ? ESTALE : code);
    }
    if (!this.isOf(node, fd)) {
      this.#calls.close(fd);
      return node.handles?.[0] ?? -ESTALE;
    }
    node.pathFd = fd;
    this.#keepPath(node);
    if (this.#cached.size > this.#maxCached) this.#closeOldest();
    return fd;
  }

  /** Whether `fd` is open on the node's file; `facts` are of `fd` then. */
  isOf(node: FileNode, fd: number): boolean {
    return this.#facts.ofDescriptor(fd) && this.isFactOf(node);
  }

  /** Whether `facts` were just taken of the node's file. */
  isFactOf(node: FileNode): boolean {
    const facts = this.#facts;
    return facts.inoLow === node.inoLow && facts.inoHigh === node.inoHigh && facts.device === node.device &&
      facts.birth === node.birth;
  }

  /** Keeps what loses a name reachable: it may be open, mapped or somebody's working folder. */
  pin(node: FileNode): void {
    if (node.isPinned || this.pathOf(node) < 0 || node.pathFd === -1) return;
    node.isPinned = true;
    this.#cached.delete(node);
  }

  /** It has its name again, or still: the descriptor is one that may be closed. */
  unpin(node: FileNode): void {
    if (!node.isPinned || node === this.root) return;
    node.isPinned = false;
    if (node.pathFd !== -1) this.#keepPath(node);
  }

  /** As the one used last. */
  #keepPath(node: FileNode): void {
    this.#cached.delete(node);
    this.#cached.add(node);
    this.#latest = node;
  }

  #closeOldest(): void {
    for (const node of this.#cached) {
      this.#dropPath(node);
      return;
    }
  }

  #dropPath(node: FileNode): void {
    this.#cached.delete(node);
    if (node.pathFd === -1 || node === this.root) return;
    this.#calls.close(node.pathFd);
    node.pathFd = -1;
  }

  #make(id: number, parent: FileNode | undefined, name: string | undefined): FileNode {
    const { inoLow, inoHigh, device, birth, mode } = this.#facts;
    const key = this.#keyOf(inoLow, inoHigh, device);
    const node = new FileNode(id, key, inoLow, inoHigh, device, birth, mode & S_IFMT, parent, name);
    this.#byId[id] = node;
    this.#byFile.set(key, node);
    return node;
  }

  /** A number where it can be one: on the device of the root, and exact. */
  #keyOf(inoLow: number, inoHigh: number, device: number): number | string {
    if (inoHigh < 2 ** 21 && (this.root === undefined || device === this.root.device)) {
      return inoLow + inoHigh * 2 ** 32;
    }
    return `${device}:${inoHigh}:${inoLow}`;
  }
}
