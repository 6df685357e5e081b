/**
 * The layers of an image as a push sends them: those that are not packed, or not in the way that was asked for, are
 * packed. What came out is remembered, so that a registry that has it already is asked before it is made again.
 */

import { compressionOf, type Packing } from "../archive/packing.ts";
import { ZSTD_CHUNKED } from "../archive/toc/annotations.ts";
import { packedMediaType, withLayers } from "../image/archive/image_form.ts";
import type { PackedLayer, PackLayerOptions } from "../image/archive/pack_layers.ts";
import type { SavedImage } from "../image/archive/saved_files.ts";
import { GrowingBlob } from "../registry/growing_blob.ts";
import type { Digest } from "../spec/digest.ts";
import { LAYER_COMPRESSION } from "../spec/image.ts";
import type { Database } from "../state/db.ts";
import { recallPacked, rememberPacked } from "../state/packed_layers.ts";
import type { Engine } from "./engine.ts";

type Layer = SavedImage["layers"][number];

/** A layer that was remembered has come out otherwise (of another zlib): the manifest has to be made again. */
export class PackedOtherwise extends Error {}

const AT_A_TIME = 2;

export interface PushLayersOptions {
  /** Of what is not packed, where the caller asks for nothing: gzip. */
  usual?: Packing;
  /** Gets a layer's blob that is not in the store. */
  fetched?: (digest: Digest) => (() => Promise<string>) | undefined;
  signal?: AbortSignal;
}

export class PushLayers implements AsyncDisposable {
  readonly #key: string;
  /** By diff id. */
  readonly #made = new Map<Digest, Promise<PackedLayer>>();
  /** Where a remembered digest comes from, and the digest of the store that a packed one stands for. */
  readonly #sources = new Map<Digest, Layer>();

  /** @param packing of what the caller asks for; undefined: only what is not packed at all is packed */
  constructor(
    private readonly engine: Engine,
    private readonly db: Database,
    private readonly packing: Packing | undefined,
    private readonly options: PushLayersOptions = {},
  ) {
    const { format, level } = this.#how;
    this.#key = level === undefined ? format : `${format}:${level}`;
  }

  get #how(): Packing {
    return this.packing ?? this.options.usual ?? { format: "gzip" };
  }

  /** The image with packed layers. @param isRecalled those that were made before have no file before `fileOf` is called */
  async pack(image: SavedImage, isRecalled: boolean): Promise<SavedImage> {
    const layers = [...image.layers];
    const hasTable = (at: number) =>
      image.manifest.layers[at]!.annotations?.[ZSTD_CHUNKED.manifestPosition] !== undefined;
    const waiting = layers.keys().filter((at) => this.#mustPack(layers[at]!, hasTable(at))).toArray();
    const work = async () => {
      for (let at = waiting.shift(); at !== undefined; at = waiting.shift()) {
        layers[at] = await this.#packed(layers[at]!, isRecalled);
      }
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, work));
    return withLayers(image, layers);
  }

  /** What gives the file of a packed layer, which may be sent while it is made: it ends with PackedOtherwise. */
  fileOf(digest: Digest): (() => Promise<string | GrowingBlob>) | undefined {
    const layer = this.#sources.get(digest);
    if (layer === undefined) return undefined;
    return async () => {
      const before = await this.#made.get(layer.diffId);
      if (before !== undefined) {
        if (before.digest !== digest) throw new PackedOtherwise();
        return before.path;
      }
      const begun = Promise.withResolvers<GrowingBlob>();
      let growing: GrowingBlob | undefined;
      const made = this.#make(layer, digest, (path, bytes) => {
        growing ??= new GrowingBlob(path);
        growing.grow(bytes);
        begun.resolve(growing);
      });
      made.then(({ digest: found, path, size }) => {
        growing ??= new GrowingBlob(path);
        growing.grow(size);
        growing.end(found === digest ? undefined : new PackedOtherwise());
        begun.resolve(growing);
      }, (error) => {
        growing?.end(error);
        begun.reject(error);
      });
      return await begun.promise;
    };
  }

  /** The digest by which the store knows a layer. */
  storedDigest(digest: Digest): Digest {
    return this.#sources.get(digest)?.digest ?? digest;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const made of this.#made.values()) {
      await made.then(({ path }) => Deno.remove(path)).catch(() => {});
    }
  }

  #mustPack({ mediaType }: Layer, hasTable: boolean): boolean {
    const compression = LAYER_COMPRESSION[mediaType];
    if (compression === undefined) return false;
    if (compression === "none" || this.packing === undefined) return compression === "none";
    return compression !== compressionOf(this.packing) || this.packing.format === "zstd:chunked" && !hasTable;
  }

  async #packed(layer: Layer, isRecalled: boolean): Promise<Layer> {
    const known = isRecalled && !this.#made.has(layer.diffId)
      ? recallPacked(this.db, layer.diffId, this.#key)
      : undefined;
    const made = known === undefined ? await this.#make(layer) : undefined;
    const { digest, size, annotations } = known ?? made!;
    this.#sources.set(digest, layer);
    const mediaType = packedMediaType(layer.mediaType, this.#how);
    return { ...layer, digest, size, mediaType, annotations, path: made?.path };
  }

  /** @param expected what came out before */
  #make(
    layer: Layer,
    expected?: Digest,
    onWritten?: PackLayerOptions["onWritten"],
  ): Promise<PackedLayer> {
    let made = this.#made.get(layer.diffId);
    if (made === undefined) {
      made = this.#pack(layer, { signal: this.options.signal, expected, onWritten });
      this.#made.set(layer.diffId, made);
    }
    return made;
  }

  async #pack(layer: Layer, options: PackLayerOptions): Promise<PackedLayer> {
    const { packLayer } = await import("../image/archive/pack_layers.ts");
    const path = await this.options.fetched?.(layer.digest)?.();
    const packed = await packLayer(this.engine.folders, { ...layer, path }, this.#how, options);
    if (packed.digest !== options.expected) rememberPacked(this.db, layer.diffId, this.#key, packed);
    return packed;
  }
}
