/**
 * The archive of a layer put together: pieces of its blob that were fetched, and files that other layers here have.
 * Synchronous, for the child that unpacks; the layer's diff id is checked over all of it as over any other.
 */

import { createHash, type Hash } from "node:crypto";
import { bytesOf, displayName } from "../archive/byte_string.ts";
import type { ByteSource } from "../archive/chunks.ts";
import { ZstdSource } from "../archive/zstd.ts";
import { VerificationError } from "../errors.ts";
import { Fd, fstat, open, read, tryOpenat2 } from "../../ffi/file.ts";
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

/** In the archive's order: so many bytes of what is fetched, whole frames; or a file's content. */
export type SplicePart = { fetched: number } | LocalFile;

/** @param fetched the pieces, one behind the other. @throws {VerificationError} where a file is not what it was */
export function spliced(fetched: ByteSource, parts: readonly SplicePart[]): ByteSource {
  let left = 0;
  let hasFetched = false;
  let file: OpenFile | undefined;
  const limited: ByteSource = {
    read(into) {
      if (left === 0) return 0;
      const length = fetched.read(left < into.length ? into.subarray(0, left) : into);
      left -= length;
      return length;
    },
  };
  // one for all pieces: at the end of each it is between two frames
  const frames = new ZstdSource(limited);
  const queue = [...parts].reverse();
  return {
    read(into) {
      for (;;) {
        const length = file !== undefined ? file.read(into) : hasFetched ? frames.read(into) : 0;
        if (length > 0) return length;
        file = undefined;
        const part = queue.pop();
        if (part === undefined) return 0;
        if ("fetched" in part) left = part.fetched, hasFetched = true;
        else file = new OpenFile(part);
      }
    },
  };
}

class OpenFile {
  readonly #fd: Fd;
  readonly #hash: Hash = createHash("sha256");
  #left: number;

  constructor(private readonly file: LocalFile) {
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
    this.#left = file.size;
  }

  read(into: Uint8Array<ArrayBuffer>): number {
    if (this.#left === 0) {
      this.#fd[Symbol.dispose]();
      if (this.#hash.digest("hex") !== this.file.sha256) throw this.#changed();
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
