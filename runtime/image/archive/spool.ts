/**
 * Writes the members of a stream into files of ours, `blobs/partial/load-<random>-<number>`: what then is a layer
 * becomes a blob by being renamed. A killed load's files go with the next garbage collection.
 */

import { type ByteSource, chunksOf, readFully, sourceOf } from "../../archive/chunks.ts";
import { sniffCompression } from "../../archive/compression.ts";
import { GunzipSource, GzipError } from "../../archive/gzip.ts";
import { TarError, type TarReader } from "../../archive/tar.ts";
import { listContents, type TarContentList, TarContents } from "../../archive/tar/contents.ts";
import { ZstdError, ZstdSource } from "../../archive/zstd.ts";
import { VerificationError } from "../../errors.ts";
import { printable } from "../../spec/printable.ts";
import type { Folders } from "../../state/folders.ts";
import { warmUp } from "../../storage/extract_task.ts";
import { DEFAULT_LAYER_LIMIT_BYTES } from "../../storage/layers.ts";
import { runWorker } from "../../storage/worker.ts";
import { close, open, read, writeAll } from "../../../ffi/file.ts";
import { O_CLOEXEC, O_CREAT, O_EXCL, O_NOFOLLOW, O_RDONLY, O_WRONLY } from "../../../ffi/constants/fcntl.ts";
import { type ImageSource, noImageArchive, type Part, type SourceOptions } from "./source.ts";

const PROGRESS_STEP = 4 << 20;

/** What the child answers: the contents, or why the stream is no archive. */
type Spooled = { list: TarContentList } | { notTar: string };

export async function spoolArchive(
  folders: Folders,
  name: string,
  fd: number,
  options: SourceOptions,
): Promise<ImageSource> {
  const prefix = `load-${crypto.randomUUID()}-`;
  const base = `${folders.blobs}/partial/${prefix}`;
  const what = `load "${printable(name)}"`;
  warmUp();
  try {
    const spooled = await runWorker<Spooled>(what, [fd], (report) => spool(what, fd, base, report), {
      signal: options.signal,
      onProgress: options.onSpooled,
    });
    if ("notTar" in spooled) throw noImageArchive(name, spooled.notTar);
    return new SpooledSource(name, base, new TarContents(spooled.list), () => removeSpooled(folders, prefix));
  } catch (error) {
    removeSpooled(folders, prefix);
    throw error;
  }
}

class SpooledSource implements ImageSource {
  readonly #parts = new Map<number, Part>();

  constructor(
    readonly name: string,
    readonly base: string,
    readonly contents: TarContents,
    readonly remove: () => void,
  ) {}

  find(name: string): Part | undefined {
    const file = this.contents.find(name);
    if (file === undefined) return undefined;
    let part = this.#parts.get(file.place);
    if (part === undefined) {
      const spooled = `${this.base}${file.place}`;
      const fd = open(spooled, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
      this.#parts.set(file.place, part = { fd, offset: 0, size: file.size, spooled });
    }
    return part;
  }

  [Symbol.dispose](): void {
    for (const { fd } of this.#parts.values()) close(fd);
    this.remove();
  }
}

/** The child's part. */
function spool(what: string, fd: number, base: string, report: (bytes: number) => void): Spooled {
  let count = 0, total = 0, reported = 0;
  const keep = (reader: TarReader) => {
    const number = count++;
    const out = open(`${base}${number}`, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600);
    for (let piece = reader.read(); piece !== null; piece = reader.read()) {
      total += piece.length;
      if (total > DEFAULT_LAYER_LIMIT_BYTES) {
        throw new VerificationError(`${what}: it holds more than ${DEFAULT_LAYER_LIMIT_BYTES} bytes`);
      }
      writeAll(out, piece);
      if (total - reported >= PROGRESS_STEP) report(reported = total);
    }
    close(out);
    return number;
  };
  try {
    return { list: listContents(chunksOf(inflated(what, fd), 1 << 18), keep) };
  } catch (error) {
    if (error instanceof TarError || error instanceof GzipError || error instanceof ZstdError) {
      return { notTar: error.message };
    }
    throw error;
  }
}

function inflated(what: string, fd: number): ByteSource {
  const stream: ByteSource = { read: (into) => read(fd, into) };
  const start = new Uint8Array(8);
  const known = start.subarray(0, readFully(stream, start));
  const head = sourceOf(known);
  const whole: ByteSource = { read: (into) => head.read(into) || stream.read(into) };
  switch (sniffCompression(what, known)) {
    case "gzip":
      return new GunzipSource(whole);
    case "zstd":
      return new ZstdSource(whole);
    case "none":
      return whole;
  }
}

function removeSpooled(folders: Folders, prefix: string): void {
  const folder = `${folders.blobs}/partial`;
  for (const { name } of Deno.readDirSync(folder)) {
    if (name.startsWith(prefix)) Deno.removeSync(`${folder}/${name}`);
  }
}
