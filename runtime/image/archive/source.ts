/**
 * Where the files of an image archive come from: a folder, a plain tar that is read in place, or a stream (a pipe,
 * a compressed file) whose members are first written into files of ours. No name in an archive ever becomes a path.
 */

import { sniffCompression } from "../../archive/compression.ts";
import { FileChunks, fileRange } from "../../archive/file_chunks.ts";
import { listContents, plainName, TarContents } from "../../archive/tar/contents.ts";
import { NotFoundError, UnsupportedError, VerificationError } from "../../errors.ts";
import type { Digest } from "../../spec/digest.ts";
import { printable } from "../../spec/printable.ts";
import { readFully } from "../../archive/chunks.ts";
import { TarError } from "../../archive/tar.ts";
import { close, fstat, lseek, open, openat2 } from "../../../ffi/file.ts";
import { EISDIR, ELOOP, ENOENT, ENOTDIR, EXDEV, isErrno } from "../../../ffi/errno.ts";
import {
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOCTTY,
  O_NONBLOCK,
  O_RDONLY,
  RESOLVE_BENEATH,
} from "../../../ffi/constants/fcntl.ts";
import { S_IFMT, S_IFREG } from "../../../ffi/constants/stat.ts";
import type { Folders } from "../../state/folders.ts";

/** A stretch of an open file. */
export interface Part {
  fd: number;
  offset: number;
  size: number;
  /** Where the file is one of ours, which may be moved away. */
  spooled?: string;
}

export interface ImageSource extends Disposable {
  /** For messages: the path, or `stdin`. */
  readonly name: string;
  /** The real path, where it is a folder. */
  readonly folder?: string;
  /** The real path, where it is a file that was named. */
  readonly file?: string;
  /** The file of that name; undefined where there is none. */
  find(name: string): Part | undefined;
}

export interface SourceOptions {
  signal?: AbortSignal;
  /** Bytes of a stream that were written into files so far. */
  onSpooled?: (bytes: number) => void;
}

/** Opens a file or folder by its path, or the descriptor of a stream. */
export async function openImageSource(
  folders: Folders,
  input: string | { fd: number },
  options: SourceOptions = {},
): Promise<ImageSource> {
  if (typeof input !== "string") return await openArchive(folders, "stdin", input.fd, options);
  const info = await Deno.stat(input).catch((cause) => {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    throw new NotFoundError("file", input, {
      cause,
      message: `load "${printable(input)}": no such file or directory`,
    });
  });
  if (info.isDirectory) return new FolderSource(input);
  const fd = open(input, O_RDONLY | O_NOCTTY | O_CLOEXEC);
  try {
    const source = await openArchive(folders, input, fd, options);
    return {
      name: source.name,
      file: Deno.realPathSync(input),
      find: (name) => source.find(name),
      [Symbol.dispose]() {
        source[Symbol.dispose]();
        close(fd);
      },
    };
  } catch (error) {
    close(fd);
    throw error;
  }
}

async function openArchive(
  folders: Folders,
  name: string,
  fd: number,
  options: SourceOptions,
): Promise<ImageSource> {
  const isSeekable = (fstat(fd).mode & S_IFMT) === S_IFREG && lseek(fd, 0, 1) === 0;
  try {
    if (isSeekable && isPlainTar(name, fd)) return readInPlace(name, fd);
    const { spoolArchive } = await import("./spool.ts");
    return await spoolArchive(folders, name, fd, options);
  } catch (error) {
    if (!(error instanceof TarError)) throw error;
    throw noImageArchive(name, error.message);
  }
}

function isPlainTar(name: string, fd: number): boolean {
  const start = new Uint8Array(8);
  const length = readFully(fileRange(fd), start);
  return sniffCompression(`load "${printable(name)}"`, start.subarray(0, length)) === "none";
}

function readInPlace(name: string, fd: number): ImageSource {
  const contents = new TarContents(listContents(new FileChunks(fd)));
  return {
    name,
    find(member) {
      const file = contents.find(member);
      return file && { fd, offset: file.place, size: file.size };
    },
    [Symbol.dispose]: () => {},
  };
}

/** What `load` says of anything it cannot read, as podman words it. */
export function noImageArchive(name: string, why: string): VerificationError {
  return new VerificationError(
    `load "${printable(name)}": payload does not match any of the supported image formats: ${why}`,
    {
      hint:
        "these are docker-archive, oci-archive, oci-dir and docker-dir; a root filesystem is for `import`",
    },
  );
}

/** A layout on disk. Nothing outside of it is read, whatever links it holds. */
class FolderSource implements ImageSource {
  readonly folder: string;
  readonly #dir: number;
  readonly #open = new Map<string, Part>();

  constructor(readonly name: string) {
    this.folder = Deno.realPathSync(name);
    this.#dir = open(this.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  }

  find(name: string): Part | undefined {
    const plain = plainName(name);
    if (plain === null || plain.includes("\0")) return undefined;
    const known = this.#open.get(plain);
    if (known) return known;
    let fd: number;
    try {
      // without O_NONBLOCK a named pipe would hold us up
      fd = openat2(this.#dir, plain, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, RESOLVE_BENEATH);
    } catch (error) {
      if (isErrno(error, ENOENT, ENOTDIR, EISDIR)) return undefined;
      if (!isErrno(error, EXDEV, ELOOP)) throw error;
      throw new VerificationError(
        `load "${printable(this.name)}": ${printable(plain)} is a link that leads out of it`,
      );
    }
    const { mode, size } = fstat(fd);
    if ((mode & S_IFMT) !== S_IFREG) {
      close(fd);
      throw new UnsupportedError(`load "${printable(this.name)}": ${printable(plain)} is no plain file`);
    }
    const part = { fd, offset: 0, size };
    this.#open.set(plain, part);
    return part;
  }

  [Symbol.dispose](): void {
    for (const { fd } of this.#open.values()) close(fd);
    close(this.#dir);
  }
}

/** Reads a document whole. @throws {VerificationError} where it is larger than the limit */
export function readDocument(what: string, part: Part, limitBytes: number): Uint8Array<ArrayBuffer> {
  if (part.size > limitBytes) {
    throw new VerificationError(`read ${what}: it is larger than ${limitBytes} bytes`);
  }
  const bytes = new Uint8Array(part.size);
  if (readFully(fileRange(part.fd, part.offset, part.size), bytes) !== part.size) {
    throw new VerificationError(`read ${what}: it is shorter than its archive says`);
  }
  return bytes;
}

/** The file of a blob. @throws {VerificationError} where it is not there, or has another size */
export function findBlob(
  source: ImageSource,
  path: string,
  { digest, size }: { digest: Digest; size: number },
): Part {
  const part = source.find(path);
  const what = `load "${printable(source.name)}"`;
  if (part === undefined) throw new VerificationError(`${what}: blob ${digest} is not in it`);
  if (part.size !== size) {
    throw new VerificationError(`${what}: blob ${digest} has ${part.size} bytes instead of ${size}`);
  }
  return part;
}
