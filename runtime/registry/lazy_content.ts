/** Gets pieces of a layer from its registry, or from its blob once that is here, and keeps those that are sound. */
import { GunzipSource } from "../archive/gzip.ts";
import { type ByteSource, readFully, sourceOf } from "../archive/chunks.ts";
import type { LayerToc } from "../archive/toc/model.ts";
import { ZstdSource } from "../archive/zstd.ts";
import { RegistryError, VerificationError } from "../errors.ts";
import { LAYER_COMPRESSION } from "../spec/image.ts";
import type { Folders } from "../state/folders.ts";
import { blobPath, hasBlob } from "../storage/blobs.ts";
import { type CachedChunk, isSound, LazyCache } from "../storage/lazy/cache.ts";
import type { LazyContent } from "../storage/lazy/handler.ts";
import { lazyFolder, type LazyRecord } from "../storage/lazy/records.ts";
import { fileReader, type ReadRange } from "./layer_toc.ts";

/** What lies behind a piece that is wanted comes with it, up to so much: files are read in the archive's order. */
const SPAN_BYTES = 512 << 10;

const SKIP_BYTES = 64 << 10;

const DOWN_MS = 10_000;

export class LazyLayerContent implements Disposable {
  readonly #cache: LazyCache;
  readonly #inFlight = new Map<number, Promise<void>>();
  readonly #isZstd: boolean;
  /** The registry failed, and until when nobody asks it: a program that reads on would wait each time. */
  #down: { error: RegistryError; until: number } | undefined;

  constructor(
    private readonly folders: Folders,
    key: string,
    private readonly record: LazyRecord,
    private readonly toc: LayerToc,
    private readonly remote: ReadRange,
    /** Called at each piece that somebody waits for. */
    private readonly onMiss: () => void,
  ) {
    this.#cache = new LazyCache(lazyFolder(folders, key), toc);
    this.#isZstd = LAYER_COMPRESSION[record.layer.mediaType] === "zstd";
  }

  [Symbol.dispose](): void {
    this.#cache[Symbol.dispose]();
  }

  readHere(chunks: CachedChunk[], offset: number, into: Uint8Array<ArrayBuffer>): boolean {
    if (!chunks.every((chunk) => this.#cache.has(chunk))) return false;
    return chunks.every((chunk) => {
      const from = Math.max(offset, chunk.fileOffset);
      const end = Math.min(offset + into.length, chunk.fileOffset + chunk.size);
      return this.#cache.read(chunk, from - chunk.fileOffset, into.subarray(from - offset, end - offset));
    });
  }

  chunksOf(...asked: Parameters<LazyCache["chunksOf"]>): CachedChunk[] {
    return this.#cache.chunksOf(...asked);
  }

  /** @throws VerificationError, RegistryError */
  async fetch(chunks: readonly CachedChunk[]): Promise<void> {
    for (const chunk of chunks) {
      if (this.#cache.has(chunk)) continue;
      this.onMiss();
      if (this.#down !== undefined && performance.now() < this.#down.until) throw this.#down.error;
      await this.#fetchFrom(chunk).catch((error) => {
        if (error instanceof RegistryError) this.#down = { error, until: performance.now() + DOWN_MS };
        throw error;
      });
    }
  }

  /** What the layer says is needed first. */
  async prefetch(): Promise<void> {
    for (const chunk of this.#cache.chunks) {
      if (chunk.offset >= this.toc.prefetchEnd) return;
      if (!this.#cache.has(chunk)) await this.#fetchFrom(chunk);
    }
  }

  #fetchFrom(chunk: CachedChunk): Promise<void> {
    const known = this.#inFlight.get(chunk.index);
    if (known !== undefined) return known;
    const span = this.#spanFrom(chunk);
    const fetched = this.#fetchSpan(span, chunk).finally(() => {
      for (const { index } of span) this.#inFlight.delete(index);
    });
    for (const { index } of span) this.#inFlight.set(index, fetched);
    return fetched;
  }

  /** The chunk, those in its member, and what is missing right behind. */
  #spanFrom(chunk: CachedChunk): CachedChunk[] {
    const all = this.#cache.chunks;
    let first = chunk.index;
    while (first > 0 && all[first - 1]!.offset === chunk.offset) first--;
    let end = chunk.index + 1;
    for (; end < all.length; end++) {
      const next = all[end]!;
      if (next.offset === all[end - 1]!.offset) continue;
      if (next.end - chunk.offset > SPAN_BYTES || this.#inFlight.has(end) || this.#cache.has(next)) break;
    }
    return all.slice(first, end).filter(({ index }) => !this.#inFlight.has(index));
  }

  async #fetchSpan(span: readonly CachedChunk[], wanted: CachedChunk): Promise<void> {
    const { digest, size } = this.record.layer;
    const start = span[0]!.offset, end = span.at(-1)!.end;
    const read = hasBlob(this.folders, digest, size)
      ? fileReader(blobPath(this.folders, digest))
      : this.remote;
    const packed = await read({ start, end });
    let member: Member | undefined;
    for (const chunk of span) {
      if (chunk.isZeros) continue;
      if (member?.offset !== chunk.offset) {
        member = new Member(
          chunk.offset,
          this.#unpacked(packed.subarray(chunk.offset - start, chunk.end - start)),
        );
      }
      const bytes = member.read(chunk);
      if (bytes !== undefined && isSound(chunk, bytes)) this.#cache.put(chunk, bytes);
    }
    // what was read along is nobody's loss
    if (this.#cache.has(wanted)) return;
    const short = digest.slice(0, 19);
    throw new VerificationError(
      `read layer ${short}…: what came for ${wanted.size} bytes at ${wanted.offset} is not what its table of ` +
        "contents says",
    );
  }

  #unpacked(packed: Uint8Array): ByteSource {
    return this.#isZstd
      ? new ZstdSource(sourceOf(packed))
      : new GunzipSource(sourceOf(packed), { checkCrc: false });
  }
}

/** A gzip member or zstd frame: unpacked once, however many pieces it has. They are read in their order. */
class Member {
  #at = 0;

  constructor(readonly offset: number, private readonly source: ByteSource) {}

  /** @returns undefined where it is damaged, which is no other than wrong */
  read({ innerOffset, size }: CachedChunk): Uint8Array<ArrayBuffer> | undefined {
    try {
      const passed = new Uint8Array(Math.min(innerOffset - this.#at, SKIP_BYTES));
      while (this.#at < innerOffset) {
        const length = this.source.read(passed.subarray(0, innerOffset - this.#at));
        if (length === 0) return undefined;
        this.#at += length;
      }
      const bytes = new Uint8Array(size);
      const length = readFully(this.source, bytes);
      this.#at += length;
      return length === size ? bytes : undefined;
    } catch {
      return undefined;
    }
  }
}

/** The content of all layers of one mount. */
export function contentOf(layers: readonly LazyLayerContent[]): LazyContent {
  return {
    readHere({ file }, offset, into) {
      if (file === undefined) return false;
      const layer = layers[file.layer]!;
      return layer.readHere(layer.chunksOf(file.entry.chunks, offset, into.length), offset, into);
    },
    async fetch({ file }, offset, length) {
      if (file === undefined) return;
      const layer = layers[file.layer]!;
      await layer.fetch(layer.chunksOf(file.entry.chunks, offset, length));
    },
  };
}
