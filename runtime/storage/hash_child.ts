/**
 * Hashes a stream on another core: a layer's diff id costs as much time as inflating it.
 *
 * The stream is produced right into slots of shared memory, a ring; a forked child hashes each slot while
 * the next is filled.
 *
 * ```
 *  this process ── filled pipe: slot's length, u32 (0: the end) ──▶ child
 *               ◀── freed pipe: one byte a slot; at the end the digest in hex ──
 * ```
 */

import { createHash } from "node:crypto";
import { type ByteSource, type ChunkSource, readFully } from "../archive/chunks.ts";
import { close, closeAllExcept, pipe2, read, writeAll } from "../../ffi/file.ts";
import { forkChild } from "../../ffi/fork.ts";
import { mapShared } from "../../ffi/memory.ts";
import { waitpid } from "../../ffi/process.ts";
import { O_CLOEXEC } from "../../ffi/constants/fcntl.ts";
import { SkiffError } from "../errors.ts";
import type { DigestAlgorithm } from "../spec/digest.ts";

const SLOTS = 8;
const SLOT_SIZE = 1 << 18;

/** Pieces of a stream, hashed as they pass. */
export interface HashedChunks extends ChunkSource {
  /** Hex, after the last piece. */
  digest(): string;
}

/** Hashes in this process: for what is small. */
export function hashHere(source: ByteSource, algorithm: DigestAlgorithm): HashedChunks {
  const hash = createHash(algorithm);
  const buffer = new Uint8Array(SLOT_SIZE);
  return {
    next() {
      const length = readFully(source, buffer);
      if (length === 0) return null;
      const piece = buffer.subarray(0, length);
      hash.update(piece);
      return piece;
    },
    digest: () => hash.digest("hex"),
  };
}

/** Hashes in a forked child; in a process that is itself single-threaded and synchronous. */
export function hashInChild(source: ByteSource, algorithm: DigestAlgorithm): HashedChunks {
  const ring = mapShared(SLOTS * SLOT_SIZE);
  const slots = Array.from(
    { length: SLOTS },
    (_, index) => ring.subarray(index * SLOT_SIZE, (index + 1) * SLOT_SIZE),
  );
  const [filledEnd, filled] = pipe2(O_CLOEXEC);
  const [freed, freedEnd] = pipe2(O_CLOEXEC);
  const pid = forkChild(() => {
    closeAllExcept([filledEnd, freedEnd]);
    hashSlots(slots, algorithm, filledEnd, freedEnd);
    return 0;
  });
  close(filledEnd);
  close(freedEnd);

  let free = SLOTS;
  let slot = 0;
  const credits = new Uint8Array(SLOTS);
  const message = new Uint32Array(1);
  const announce = (length: number) => {
    message[0] = length;
    writeAll(filled, new Uint8Array(message.buffer));
  };
  return {
    next() {
      if (free === 0) {
        free = read(freed, credits);
        if (free === 0) throw new SkiffError("hash layer: the hashing process died");
      }
      const buffer = slots[slot]!;
      const length = readFully(source, buffer);
      if (length === 0) return null;
      announce(length);
      free--;
      slot = (slot + 1) % SLOTS;
      return buffer.subarray(0, length);
    },
    digest() {
      announce(0);
      const bytes: number[] = [];
      const buffer = new Uint8Array(256);
      for (let length = read(freed, buffer); length > 0; length = read(freed, buffer)) {
        // Credits that were not needed any more come before the digest.
        for (const byte of buffer.subarray(0, length)) if (byte !== 0) bytes.push(byte);
      }
      close(filled);
      close(freed);
      const { status } = waitpid(pid, 0)!;
      if (status !== 0) throw new SkiffError(`hash layer: the hashing process ended with status ${status}`);
      return String.fromCharCode(...bytes);
    },
  };
}

function hashSlots(
  slots: Uint8Array<ArrayBuffer>[],
  algorithm: DigestAlgorithm,
  filled: number,
  freed: number,
): void {
  const hash = createHash(algorithm);
  const message = new Uint32Array(1);
  const bytes = new Uint8Array(message.buffer);
  const credit = new Uint8Array(1);
  for (let slot = 0; read(filled, bytes) === 4; slot = (slot + 1) % SLOTS) {
    if (message[0] === 0) {
      writeAll(freed, new TextEncoder().encode(hash.digest("hex")));
      return;
    }
    hash.update(slots[slot]!.subarray(0, message[0]));
    writeAll(freed, credit);
  }
  // The other side died; there is nobody to tell.
}
