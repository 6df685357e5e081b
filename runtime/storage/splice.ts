/**
 * The archive of a layer put together: pieces of its blob that were fetched, and files that other layers here have.
 * Synchronous, for the child that unpacks; the layer's diff id is checked over all of it as over any other.
 */

import { createHash, type Hash } from "node:crypto";
import { bytesOf, displayName } from "../archive/byte_string.ts";
import { type ByteSource, sourceOf } from "../archive/chunks.ts";
import { VerificationError } from "../errors.ts";
import { Fd, fstat, lseek, open, read, tryOpenat2 } from "../../ffi/file.ts";
import {
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  RESOLVE_NO_SYMLINKS,
} from "../../ffi/constants/fcntl.ts";
import { SyscallError } from "../../ffi/errno.ts";
import { S_IFMT, S_IFREG } from "../../ffi/constants/stat.ts";
import type { LocalFile } from "./file_index.ts";

/**
 * In the archive's order: so many bytes of what is fetched, whole frames or members; a file's content, or a part of it;
 * bytes that are known.
 */
export type SplicePart = { fetched: number } | LocalPart | { bytes: Uint8Array };
export type LocalPart = LocalFile & { from?: number; length?: number };

/**
 * @param fetched the pieces, one behind the other
 * @param unpack what makes of frames or members what is in them
 * @throws {VerificationError} where a file is not what it was
 */
export function spliced(
  fetched: ByteSource,
  parts: readonly SplicePart[],
  unpack: (packed: ByteSource) => ByteSource,
): ByteSource {
  let left = 0;
  let hasFetched = false;
  let local: ByteSource | undefined;
  const limited: ByteSource = {
    read(into) {
      if (left === 0) return 0;
      const length = fetched.read(left < into.length ? into.subarray(0, left) : into);
      left -= length;
      return length;
    },
  };
  // one for all pieces: at the end of each it is between two frames
  const frames = unpack(limited);
  const queue = [...parts].reverse();
  return {
    read(into) {
      for (;;) {
        const length = local !== undefined ? local.read(into) : hasFetched ? frames.read(into) : 0;
        if (length > 0) return length;
        local = undefined;
        const part = queue.pop();
        if (part === undefined) return 0;
        if ("fetched" in part) left = part.fetched, hasFetched = true;
        else local = "bytes" in part ? sourceOf(part.bytes) : new OpenFile(part);
      }
    },
  };
}

class OpenFile implements ByteSource {
  readonly #fd: Fd;
  readonly #hash: Hash = createHash("sha256");
  #left: number;

  constructor(private readonly file: LocalPart) {
    using layer = new Fd(open(file.layer, O_PATH | O_DIRECTORY | O_CLOEXEC));
    const flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    let found: number | undefined;
    try {
      found = tryOpenat2(layer.number, bytesOf(file.path), flags, RESOLVE_NO_SYMLINKS);
    } catch (error) {
      // a link or folder in the way
      if (!(error instanceof SyscallError)) throw error;
    }
    if (found === undefined) throw this.#changed();
    this.#fd = new Fd(found);
    const { mode, size } = fstat(found);
    if ((mode & S_IFMT) !== S_IFREG || size !== file.size) throw this.#changed();
    this.#left = file.length ?? file.size;
    if (file.from) lseek(found, file.from, 0);
  }

  read(into: Uint8Array<ArrayBuffer>): number {
    if (this.#left === 0) {
      this.#fd[Symbol.dispose]();
      // a part of it is checked as the archive is
      const isWhole = (this.file.length ?? this.file.size) === this.file.size;
      if (isWhole && this.#hash.digest("hex") !== this.file.sha256) throw this.#changed();
      return 0;
    }
    const length = read(this.#fd.number, this.#left < into.length ? into.subarray(0, this.#left) : into);
    if (length === 0) throw this.#changed();
    this.#left -= length;
    this.#hash.update(into.subarray(0, length));
    return length;
  }

  #changed(): VerificationError {
    return new VerificationError(
      `use file "${displayName(this.file.path)}" of another layer: its content was changed`,
    );
  }
}
