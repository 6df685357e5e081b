/**
 * Hashes a layer on another core: its two digests cost as much time as inflating it.
 *
 * The archive is inflated right into slots of shared memory, a ring; a forked child hashes each slot while the
 * next is filled. The blob's own bytes the child reads itself, from the page cache.
 *
 * ```
 *  this process ── filled pipe, u32: slot's length │ BLOB + bytes of the blob │ 0 the end ──▶ child
 *               ◀── freed pipe: one zero byte a slot; at the end both digests, `hex:hex` ──
 * ```
 */

import { createHash } from "node:crypto";
import { type ByteSource, type ChunkSource, readFully } from "../archive/chunks.ts";
import { close, closeAllExcept, pipe2, pread, read, writeAll } from "../../ffi/file.ts";
import { forkChild } from "../../ffi/fork.ts";
import { mapShared } from "../../ffi/memory.ts";
import { waitpidBlocking } from "../../ffi/process.ts";
import { O_CLOEXEC } from "../../ffi/constants/fcntl.ts";
import { SkiffError } from "../errors.ts";
import type { DigestAlgorithm } from "../spec/digest.ts";

const SLOTS = 8;
const SLOT_SIZE = 1 << 18;
/** Marks a length as one of the blob. */
const BLOB = 0x80000000;

/** Both digests of a layer in hex. */
export interface LayerDigests {
  blob: string;
  archive: string;
}

/** The archive in pieces, hashed as they pass; the blob is hashed beside it. */
export interface LayerHasher extends ChunkSource {
  /** The next bytes of the blob, in order. */
  blobRead(bytes: Uint8Array): void;
  /** After the last piece of both. May be asked again. */
  digests(): LayerDigests;
}

export interface HashedLayer {
  /** The inflated archive. */
  archive: ByteSource;
  archiveAlgorithm: DigestAlgorithm;
  /** Null where the blob is the archive itself: it has the archive's digest then. */
  blob: { fd: number; algorithm: DigestAlgorithm } | null;
}

/** Hashes in this process: for what is small. */
export function hashHere(layer: HashedLayer): LayerHasher {
  const archive = createHash(layer.archiveAlgorithm);
  const blob = layer.blob === null ? null : createHash(layer.blob.algorithm);
  const buffer = new Uint8Array(SLOT_SIZE);
  let digests: LayerDigests | undefined;
  const finish = (): LayerDigests => {
    const hex = archive.digest("hex");
    return { blob: blob?.digest("hex") ?? hex, archive: hex };
  };
  return {
    blobRead: (bytes) => void blob?.update(bytes),
    next() {
      const length = readFully(layer.archive, buffer);
      if (length === 0) return null;
      const piece = buffer.subarray(0, length);
      archive.update(piece);
      return piece;
    },
    digests: () => digests ??= finish(),
  };
}

/** Hashes in a forked child; for a process that is itself single-threaded and synchronous. */
export function hashInChild(layer: HashedLayer): LayerHasher {
  const ring = mapShared(SLOTS * SLOT_SIZE);
  const slots = Array.from(
    { length: SLOTS },
    (_, index) => ring.subarray(index * SLOT_SIZE, (index + 1) * SLOT_SIZE),
  );
  const [filledEnd, filled] = pipe2(O_CLOEXEC);
  const [freed, freedEnd] = pipe2(O_CLOEXEC);
  const pid = forkChild(() => {
    closeAllExcept([filledEnd, freedEnd, ...(layer.blob === null ? [] : [layer.blob.fd])]);
    hashSlots(slots, layer, filledEnd, freedEnd);
    return 0;
  });
  close(filledEnd);
  close(freedEnd);

  let free = SLOTS;
  let slot = 0;
  let digests: LayerDigests | undefined;
  const credits = new Uint8Array(SLOTS);
  const message = new Uint32Array(1);
  const announce = (what: number) => {
    message[0] = what;
    writeAll(filled, new Uint8Array(message.buffer));
  };
  const finish = (): LayerDigests => {
    announce(0);
    let text = "";
    const buffer = new Uint8Array(512);
    for (let length = read(freed, buffer); length > 0; length = read(freed, buffer)) {
      // Credits that were not needed any more come before the digests.
      for (const byte of buffer.subarray(0, length)) if (byte !== 0) text += String.fromCharCode(byte);
    }
    close(filled);
    close(freed);
    const { status } = waitpidBlocking(pid);
    if (status !== 0) throw new SkiffError(`hash layer: the hashing process ended with status ${status}`);
    const [blob, archive] = text.split(":");
    return { blob: blob!, archive: archive! };
  };
  return {
    blobRead(bytes) {
      if (layer.blob !== null) announce(BLOB + bytes.length);
    },
    next() {
      if (free === 0) {
        free = read(freed, credits);
        if (free === 0) throw new SkiffError("hash layer: the hashing process died");
      }
      const buffer = slots[slot]!;
      const length = readFully(layer.archive, buffer);
      if (length === 0) return null;
      announce(length);
      free--;
      slot = (slot + 1) % SLOTS;
      return buffer.subarray(0, length);
    },
    digests: () => digests ??= finish(),
  };
}

/** The child's part. Returns early where the other side died: there is nobody to tell. */
function hashSlots(
  slots: Uint8Array<ArrayBuffer>[],
  layer: HashedLayer,
  filled: number,
  freed: number,
): void {
  const archive = createHash(layer.archiveAlgorithm);
  const blob = layer.blob === null ? null : createHash(layer.blob.algorithm);
  const buffer = new Uint8Array(SLOT_SIZE);
  const message = new Uint32Array(1);
  const bytes = new Uint8Array(message.buffer);
  const credit = new Uint8Array(1);
  let slot = 0, position = 0;
  while (read(filled, bytes) === 4) {
    const what = message[0]!;
    if (what === 0) {
      const hex = archive.digest("hex");
      writeAll(freed, new TextEncoder().encode(`${blob?.digest("hex") ?? hex}:${hex}`));
      return;
    }
    if (what >= BLOB) {
      for (const end = position + what - BLOB; position < end;) {
        const wanted = buffer.subarray(0, Math.min(buffer.length, end - position));
        const length = pread(layer.blob!.fd, wanted, position);
        if (length === 0) throw new SkiffError("hash layer: the blob has shrunk");
        blob!.update(wanted.subarray(0, length));
        position += length;
      }
    } else {
      archive.update(slots[slot]!.subarray(0, what));
      slot = (slot + 1) % SLOTS;
      writeAll(freed, credit);
    }
  }
}
