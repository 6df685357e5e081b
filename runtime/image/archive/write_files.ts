/** Writes what saved_files.ts has planned: as a tar to a descriptor, or as files into a folder. */

import { type ByteSource, chunksOf } from "../../archive/chunks.ts";
import { fileRange } from "../../archive/file_chunks.ts";
import { GunzipSource, GzipError } from "../../archive/gzip.ts";
import { TarWriter } from "../../archive/tar.ts";
import { ZstdError, ZstdSource } from "../../archive/zstd.ts";
import { VerificationError } from "../../errors.ts";
import { type Digest, digestAlgorithm } from "../../spec/digest.ts";
import { LAYER_COMPRESSION } from "../../spec/image.ts";
import type { Folders } from "../../state/folders.ts";
import { blobPath } from "../../storage/blobs.ts";
import { hashHere, hashInChild } from "../../storage/hash_child.ts";
import { close, fcntl, open, writeAll } from "../../../ffi/file.ts";
import {
  F_SETPIPE_SZ,
  O_CLOEXEC,
  O_CREAT,
  O_EXCL,
  O_NOFOLLOW,
  O_RDONLY,
  O_WRONLY,
} from "../../../ffi/constants/fcntl.ts";
import type { SavedFile } from "./saved_files.ts";

/** Bytes of blobs and layers written so far. */
type Report = (bytes: number) => void;

const PROGRESS_STEP = 4 << 20;
/** Smaller content is hashed in the same process: a fork costs more. */
const HASH_CHILD_FROM = 1 << 20;

/** To be called in a forked child: all of it is synchronous. What does not have its digest is not written to its end. */
export function writeTar(folders: Folders, files: readonly SavedFile[], out: number, report: Report): void {
  widenPipe(out);
  const progress = counter(report);
  const writer = new TarWriter((bytes) => writeAll(out, bytes as Uint8Array<ArrayBuffer>));
  // an unprivileged skopeo unpacks layouts, and would give folders that are only implied to root
  for (const name of foldersOf(files)) writer.header({ name: `${name}/`, type: "directory", mode: 0o755 });
  for (const file of files) {
    using content = openContent(folders, file);
    writer.header({ name: file.name, type: "file", mode: 0o444, size: content.size });
    content.copy((bytes) => {
      writer.write(bytes);
      progress(bytes.length);
    });
  }
  writer.finish();
}

/** A file that is there already and has its digest for a name is kept; the others are replaced whole. */
export function writeFolder(
  folders: Folders,
  files: readonly SavedFile[],
  folder: string,
  report: Report,
): void {
  const progress = counter(report);
  for (const name of foldersOf(files)) Deno.mkdirSync(`${folder}/${name}`, { recursive: true });
  for (const file of files) {
    const path = `${folder}/${file.name}`;
    using content = openContent(folders, file);
    const temporary = `${path}.${crypto.randomUUID()}`;
    const out = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644);
    try {
      content.copy((bytes) => {
        writeAll(out, bytes);
        progress(bytes.length);
      });
      Deno.renameSync(temporary, path);
    } catch (error) {
      Deno.removeSync(temporary);
      throw error;
    } finally {
      close(out);
    }
  }
}

/** `blobs`, `blobs/sha256`: what the names lie in, from the top. */
function foldersOf(files: readonly SavedFile[]): string[] {
  const folders = new Set<string>();
  for (const { name } of files) {
    for (let end = name.indexOf("/"); end !== -1; end = name.indexOf("/", end + 1)) {
      folders.add(name.slice(0, end));
    }
  }
  return [...folders];
}

/** The bytes of a file: how many, and each of them once, checked at the end. */
interface Content extends Disposable {
  size: number;
  copy(sink: (bytes: Uint8Array<ArrayBuffer>) => void): void;
}

function openContent(folders: Folders, file: SavedFile): Content {
  if (file.kind === "bytes") {
    const bytes = new Uint8Array(file.bytes);
    return { size: bytes.length, copy: (sink) => sink(bytes), [Symbol.dispose]: () => {} };
  }
  const path = file.kind === "blob" ? file.path : undefined;
  const fd = open(path ?? blobPath(folders, file.digest), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  const expected = file.kind === "blob" ? file.digest : file.diffId;
  const source = () => file.kind === "blob" ? fileRange(fd) : unpacked(fd, file.mediaType);
  try {
    const size = file.size ?? countBytes(file.digest, source());
    return {
      size,
      copy: (sink) => copyVerified({ digest: file.digest, source: source(), expected, size }, sink),
      [Symbol.dispose]: () => close(fd),
    };
  } catch (error) {
    close(fd);
    throw error;
  }
}

/** The archive in a packed layer. */
export function unpacked(fd: number, mediaType: string): ByteSource {
  const blob = fileRange(fd);
  return LAYER_COMPRESSION[mediaType] === "zstd" ? new ZstdSource(blob) : new GunzipSource(blob);
}

interface Copied {
  digest: Digest;
  source: ByteSource;
  /** Digest of what comes out of `source`. */
  expected: Digest;
  size: number;
}

/** gzip has a checksum of its own, which tells rot at a tenth of a digest's time; all else is hashed beside. */
function copyVerified(copied: Copied, sink: (bytes: Uint8Array<ArrayBuffer>) => void): void {
  const { digest, source, expected, size } = copied;
  const archiveAlgorithm = digestAlgorithm(expected);
  const layer = { archive: source, archiveAlgorithm, blob: null };
  const isChecked = source instanceof GunzipSource;
  const hasher = isChecked ? undefined : size >= HASH_CHILD_FROM ? hashInChild(layer) : hashHere(layer);
  const pieces = hasher ?? chunksOf(source);
  let total = 0;
  explained(digest, () => {
    for (let piece = pieces.next(); piece !== null; piece = pieces.next()) {
      total += piece.length;
      if (total > size) throw new VerificationError(`save blob ${digest}: it is longer than ${size} bytes`);
      sink(piece);
    }
  });
  if (total !== size) {
    throw new VerificationError(`save blob ${digest}: it has ${total} bytes instead of ${size}`);
  }
  if (hasher === undefined) return;
  const found = `${archiveAlgorithm}:${hasher.digests().archive}`;
  if (found !== expected) throw rotten(digest, `its digest is ${found}`);
}

function countBytes(digest: Digest, source: ByteSource): number {
  const buffer = new Uint8Array(1 << 18);
  let total = 0;
  explained(digest, () => {
    for (let length = source.read(buffer); length > 0; length = source.read(buffer)) total += length;
  });
  return total;
}

function explained(digest: Digest, action: () => void): void {
  try {
    action();
  } catch (error) {
    if (error instanceof GzipError || error instanceof ZstdError) throw rotten(digest, error.message);
    throw error;
  }
}

function rotten(digest: Digest, why: string): VerificationError {
  return new VerificationError(`save blob ${digest}: its content was changed: ${why}`, {
    hint: "pull or load the image again",
  });
}

function counter(report: Report): (bytes: number) => void {
  let total = 0, reported = 0;
  return (bytes) => {
    total += bytes;
    if (total - reported >= PROGRESS_STEP) report(reported = total);
  };
}

/** A reader that is slower than we are then wakes us less often. Where `out` is no pipe it stays as it is. */
function widenPipe(out: number): void {
  try {
    fcntl(out, F_SETPIPE_SZ, 1 << 20);
  } catch {
    // no pipe, or the user has all that the system allows
  }
}
