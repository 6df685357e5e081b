/**
 * gzip on every processor. The content is cut into blocks, each of which is packed by itself; together they are one
 * member, and the same one however many processes made it.
 *
 * ```
 *  this process ── u32: length of the block in the slot ──▶ child   (block n is child n modulo their number's)
 *               ◀── u32: length of what it was packed to ──
 * ```
 *
 * @see RFC 1952; pigz(1), --independent
 */

import { crc32 } from "node:zlib";
import { SkiffError } from "../errors.ts";
import { close, closeAllExcept, pipe2, read, writeAll } from "../../ffi/file.ts";
import { forkChild } from "../../ffi/fork.ts";
import { mapShared } from "../../ffi/memory.ts";
import { waitpidBlocking } from "../../ffi/process.ts";
import { O_CLOEXEC } from "../../ffi/constants/fcntl.ts";
import { chunksOf, type ChunkSource } from "./chunks.ts";
import { DeflateBlocks } from "./deflate_handle.ts";

/**
 * Without a level: the lowest by which programs become no larger than by podman's pgzip (100 MB of them 42.5 MB, not 42.65), in
 * two thirds of its processor time. zlib's 2 takes a fifth less for 3 % more, its own default 6 a third more for 3 % less.
 */
export const DEFAULT_GZIP_LEVEL = 3;
export const BLOCK_BYTES = 1 << 20;

const ROOM = BLOCK_BYTES + (1 << 14);
const MAX_CHILDREN = 8;
/** Each child has one block to pack and one that waits. */
const SLOTS = 2;

const HEADER = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3);
/** An empty block that is the last. */
const END = Uint8Array.of(3, 0);

type Sink = (bytes: Uint8Array<ArrayBuffer>) => void;

export interface GzipOptions {
  level?: number;
  /** Default: a child for each processor. */
  children?: number;
}

/**
 * Packs all of `content`; for a process that is single-threaded and synchronous.
 *
 * @param content in pieces of BLOCK_BYTES, the last may be shorter
 * @param sink takes what comes out, valid until it returns
 */
export function gzipBlocks(content: ChunkSource, sink: Sink, options: GzipOptions = {}): void {
  const level = options.level ?? DEFAULT_GZIP_LEVEL;
  let crc = 0, length = 0;
  const next = () => {
    const block = content.next();
    if (block !== null) [crc, length] = [crc32(block, crc), (length + block.length) % 2 ** 32];
    return block;
  };
  sink(HEADER);
  const first = next();
  if (first !== null) {
    const isOne = first.length < BLOCK_BYTES;
    const children = isOne ? 0 : Math.min(options.children ?? navigator.hardwareConcurrency, MAX_CHILDREN);
    if (children < 2) packHere(first, next, level, sink);
    else packInChildren(first, next, { level, children }, sink);
  }
  const trailer = new DataView(new ArrayBuffer(8));
  trailer.setUint32(0, crc, true);
  trailer.setUint32(4, length, true);
  sink(END);
  sink(new Uint8Array(trailer.buffer));
}

/** A source's bytes as `gzipBlocks` wants them. */
export function blocksOf(source: Parameters<typeof chunksOf>[0]): ChunkSource {
  return chunksOf(source, BLOCK_BYTES);
}

type Next = () => Uint8Array<ArrayBuffer> | null;

function packHere(first: Uint8Array<ArrayBuffer>, next: Next, level: number, sink: Sink): void {
  const blocks = new DeflateBlocks(level);
  const output = new Uint8Array(ROOM);
  for (let block: Uint8Array<ArrayBuffer> | null = first; block !== null; block = next()) {
    sink(output.subarray(0, blocks.pack(block, output)));
  }
}

function packInChildren(
  first: Uint8Array<ArrayBuffer>,
  next: Next,
  { level, children: count }: { level: number; children: number },
  sink: Sink,
): void {
  const children = Array.from({ length: count }, () => startChild(level));
  try {
    let made = 0, taken = 0;
    const take = () => {
      sink(children[taken % count]!.take());
      taken++;
    };
    for (let block: Uint8Array<ArrayBuffer> | null = first; block !== null; block = next()) {
      if (made - taken === count * SLOTS) take();
      children[made % count]!.give(block);
      made++;
    }
    while (taken < made) take();
  } finally {
    for (const child of children) child.end();
  }
}

interface Child {
  give(block: Uint8Array<ArrayBuffer>): void;
  /** What the oldest block that was given has become. */
  take(): Uint8Array<ArrayBuffer>;
  end(): void;
}

function startChild(level: number): Child {
  const memory = mapShared(SLOTS * (BLOCK_BYTES + ROOM));
  const input = (slot: number, length: number) =>
    memory.subarray(slot * BLOCK_BYTES, slot * BLOCK_BYTES + length);
  const output = (slot: number, length: number) => {
    const at = SLOTS * BLOCK_BYTES + slot * ROOM;
    return memory.subarray(at, at + length);
  };
  const [jobs, jobsEnd] = pipe2(O_CLOEXEC);
  const [results, resultsEnd] = pipe2(O_CLOEXEC);
  const pid = forkChild(() => {
    closeAllExcept([jobs, resultsEnd]);
    const blocks = new DeflateBlocks(level);
    const message = new Uint32Array(1);
    const bytes = new Uint8Array(message.buffer);
    for (let slot = 0; read(jobs, bytes) === 4; slot = (slot + 1) % SLOTS) {
      message[0] = blocks.pack(input(slot, message[0]!), output(slot, ROOM));
      writeAll(resultsEnd, bytes);
    }
    return 0;
  });
  close(jobs);
  close(resultsEnd);
  const message = new Uint32Array(1);
  const bytes = new Uint8Array(message.buffer);
  let given = 0, taken = 0;
  return {
    give(block) {
      input(given++ % SLOTS, block.length).set(block);
      message[0] = block.length;
      writeAll(jobsEnd, bytes);
    },
    take() {
      if (read(results, bytes) !== 4) throw new SkiffError("pack layer: a packing process died");
      return output(taken++ % SLOTS, message[0]!);
    },
    end() {
      close(jobsEnd);
      close(results);
      waitpidBlocking(pid);
    },
  };
}
