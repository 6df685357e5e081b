/**
 * Fetches a blob into a file that somebody may already be reading, and goes on where a connection broke.
 *
 * @see OCI distribution-spec, "Pulling blobs"; RFC 9110, 14 Range Requests
 */
import { HostError, RegistryError, VerificationError } from "../errors.ts";
import type { Digest } from "../spec/digest.ts";
import type { RegistryClient } from "./client.ts";
import { TransientError } from "./retry.ts";
import type { HttpResponse } from "./transport.ts";

const BUFFER_BYTES = 256 << 10;
/** So much progress makes earlier failures forgotten. */
const PROGRESS_BYTES = 1 << 20;

export interface BlobDownload {
  digest: Digest;
  size: number;
  /** Grows only; what is in it from an earlier download is kept. */
  path: string;
  /** So many bytes are in the file. */
  onGrow: (totalBytes: number) => void;
  onRetry?: (why: string) => void;
  signal?: AbortSignal;
}

/**
 * Downloads until the file has `size` bytes. The digest is not checked here: the reader of the file does.
 * @returns how many bytes were there before
 * @throws VerificationError for a body of another size; RegistryError; HostError when the disk is full
 */
export async function downloadBlob(client: RegistryClient, blob: BlobDownload): Promise<number> {
  using file = await Deno.open(blob.path, { read: true, write: true, create: true, mode: 0o600 });
  const before = (await file.stat()).size;
  const resumed = before <= blob.size ? before : 0;
  if (resumed !== before) await file.truncate(0);
  const sink = new Sink(file, resumed, blob);
  if (resumed > 0) blob.onGrow(resumed);
  for (let failures = 0; sink.size < blob.size;) {
    const start = sink.size;
    try {
      await receive(await client.openBlob(blob.digest, start, blob.signal), blob, sink);
    } catch (error) {
      await sink.settle();
      if (!(error instanceof TransientError)) throw error;
      if (sink.size - start >= PROGRESS_BYTES) failures = 0;
      if (!(await client.waitToRetry(failures++, error.message, blob))) throw error;
      blob.onRetry?.(error.message);
    }
  }
  return resumed;
}

async function receive(response: HttpResponse, blob: BlobDownload, sink: Sink): Promise<void> {
  try {
    // A server that ignores Range starts again: what is there already is read over.
    let skip = response.status === 206 ? 0 : sink.size;
    checkExtent(response, blob, sink.size);
    let left = blob.size - (sink.size - skip);
    while (left > 0) {
      const into = await sink.buffer();
      const n = await response.read(into.subarray(0, Math.min(into.length, left)));
      // The connection ended in good order but early, as a proxy in between may do it.
      if (n === null) {
        throw new TransientError(`fetch blob ${short(blob.digest)}: it ended ${left} bytes early`, 0);
      }
      left -= n;
      const skipped = Math.min(skip, n);
      skip -= skipped;
      if (n > skipped) sink.write(into.subarray(skipped, n));
    }
    await sink.settle();
    if ((await response.read(new Uint8Array(1))) !== null) {
      throw wrongSize(blob, `it is longer than ${blob.size} bytes`);
    }
  } finally {
    response.release();
  }
}

function checkExtent(response: HttpResponse, blob: BlobDownload, have: number): void {
  let start = 0;
  if (response.status === 206) {
    const range = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/.exec(
      response.head.get("content-range") ?? "",
    );
    start = Number(range?.[1] ?? -1);
    if (range === null || start !== have || (range[3] !== "*" && Number(range[3]) !== blob.size)) {
      throw new RegistryError(
        `fetch blob ${short(blob.digest)}: the registry sends another range than asked for`,
        206,
      );
    }
  }
  if (response.length !== undefined && start + response.length !== blob.size) {
    throw wrongSize(blob, `it has ${start + response.length} bytes instead of ${blob.size}`);
  }
}

function wrongSize(blob: BlobDownload, why: string): VerificationError {
  return new VerificationError(`fetch blob ${short(blob.digest)}: ${why}`);
}

function short(digest: Digest): string {
  return digest.slice(0, digest.indexOf(":") + 13);
}

/** Writes one buffer while the next is filled. */
class Sink {
  #buffers = [new Uint8Array(BUFFER_BYTES), new Uint8Array(BUFFER_BYTES)] as const;
  #next = 0;
  #writing: Promise<void> = Promise.resolve();
  /** The last write from each buffer. */
  readonly #busy: [Promise<void>, Promise<void>] = [this.#writing, this.#writing];

  constructor(
    private readonly file: Deno.FsFile,
    /** Bytes in the file, those on their way included. */
    public size: number,
    private readonly blob: BlobDownload,
  ) {
    file.seekSync(size, Deno.SeekMode.Start);
  }

  /** A buffer that nobody is writing from. */
  async buffer(): Promise<Uint8Array> {
    await this.#explained(this.#busy[this.#next]!);
    return this.#buffers[this.#next]!;
  }

  /** Queues bytes of the buffer handed out last. */
  write(bytes: Uint8Array): void {
    this.size += bytes.length;
    const total = this.size;
    this.#writing = this.#writing.then(async () => {
      for (let done = 0; done < bytes.length;) done += await this.file.write(bytes.subarray(done));
      this.blob.onGrow(total);
    });
    this.#writing.catch(() => {}); // whoever waits next is told
    this.#busy[this.#next] = this.#writing;
    this.#next ^= 1;
  }

  /** Waits until everything is in the file. @throws HostError */
  settle(): Promise<void> {
    return this.#explained(this.#writing);
  }

  async #explained(writing: Promise<void>): Promise<void> {
    try {
      await writing;
    } catch (cause) {
      const isFull = (cause as { code?: string }).code === "ENOSPC" ||
        /space left|quota/i.test(String(cause));
      const why = isFull ? "the disk is full" : (cause as Error).message;
      throw new HostError(`write ${this.blob.path}: ${why}`, { cause });
    }
  }
}
