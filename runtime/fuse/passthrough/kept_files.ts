/**
 * Puts files into the kernel's cache that were read past it twice, while nobody asks for anything: the next reading
 * is as fast as that of any file, and no reading has waited for it.
 *
 * The kernel locks each page that it takes, and a page that somebody reads by way of the cache is locked until this
 * very process answers. So nothing is put in of a file that is open.
 *
 * @see linux/fuse.h, FUSE_NOTIFY_STORE
 */

import { O_RDONLY } from "../../../ffi/constants/fcntl.ts";
import { openNode } from "./files.ts";
import type { FileNode } from "./nodes.ts";
import type { Tree } from "./tree.ts";
import { versionOf } from "./uncached_reads.ts";

/** So long nobody has asked for anything. */
const QUIET_MS = 20;
/** In one go: whoever asks meanwhile waits for it. */
const PIECE_BYTES = 512 << 10;
/** Larger ones would push out what others have in the cache. */
const LARGEST_BYTES = 1 << 30;

interface Work {
  node: FileNode;
  offset: number;
}

export class KeptFiles {
  readonly #tree: Tree;
  /** Gives the kernel a piece of a node's content; false where it takes none. */
  readonly #store: (nodeid: number, offset: number, piece: Uint8Array<ArrayBuffer>) => boolean;
  readonly #works: Work[] = [];
  /** When nobody has asked for anything for long enough. */
  #quietAt = 0;
  #buffer: Uint8Array<ArrayBuffer> | undefined;

  constructor(
    tree: Tree,
    store: (nodeid: number, offset: number, piece: Uint8Array<ArrayBuffer>) => boolean,
  ) {
    this.#tree = tree;
    this.#store = store;
  }

  /** In how many ms `work` has something to do, -1: in none. */
  get waitMs(): number {
    if (this.#works.length === 0) return -1;
    return Math.max(0, this.#quietAt - Date.now());
  }

  /** Somebody asks for something. */
  disturb(): void {
    if (this.#works.length > 0) this.#quietAt = Date.now() + QUIET_MS;
  }

  /** An open file of the node is closed. */
  released(node: FileNode): void {
    const { readings } = node;
    if (readings === undefined || readings.isKept || readings.size > LARGEST_BYTES) return;
    if (readings.bytes < 2 * readings.size || this.#works.some((work) => work.node === node)) return;
    this.#works.push({ node, offset: 0 });
    this.disturb();
  }

  /** Puts the next piece in, if it has been quiet for long enough. */
  work(): void {
    const work = this.#works[0];
    if (work === undefined || Date.now() < this.#quietAt) return;
    if (!this.#putPiece(work)) this.#works.shift();
  }

  /** False where that was the last, or the file is not what it was. */
  #putPiece(work: Work): boolean {
    const { node } = work;
    const { readings } = node;
    const { calls, facts, nodes } = this.#tree;
    if (readings === undefined || readings.isKept || node.handles !== undefined) return false;
    if (nodes.get(node.id) !== node) return false;
    const fd = openNode(this.#tree, node, O_RDONLY);
    if (fd < 0) return false;
    const piece = this.#buffer ??= new Uint8Array(PIECE_BYTES);
    const isSame = facts.ofDescriptor(fd) && versionOf(facts.attributes) === readings.version;
    const length = isSame ? calls.pread(fd, piece, PIECE_BYTES, BigInt(work.offset)) : 0;
    calls.close(fd);
    if (length <= 0 || !this.#store(node.id, work.offset, piece.subarray(0, length))) return false;
    work.offset += length;
    if (work.offset < readings.size) return true;
    readings.isKept = true;
    return false;
  }
}
