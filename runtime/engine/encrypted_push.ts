/**
 * `push --encryption-key`: layers are encrypted into files of their own, each by a key made for it, which is in the
 * manifest for who it is encrypted for.
 *
 * @see podman-push(1); containers/ocicrypt
 */

import { encryptedType } from "../encryption/descriptor.ts";
import { readRecipients, type Recipients } from "../encryption/keys.ts";
import { encryptBytes } from "../encryption/layer_cipher.ts";
import { wrapLayerKey } from "../encryption/layer_keys.ts";
import { InvalidArgumentError } from "../errors.ts";
import { convertedImage, withLayers } from "../image/archive/image_form.ts";
import type { SavedImage } from "../image/archive/saved_files.ts";
import { digestHex } from "../spec/digest.ts";
import type { Folders } from "../state/folders.ts";
import { blobPath } from "../storage/blobs.ts";

export interface Encryption {
  /** `jwe:FILE`, `pkcs7:FILE`, `pgp:NAME`. */
  keys: readonly string[];
  /** From 0, or from the end with -1; by default all. */
  layers?: readonly number[];
}

type Layer = SavedImage["layers"][number];

/** Its files live until it is disposed of. */
export class LayerEncryption implements AsyncDisposable {
  readonly #made: string[] = [];

  private constructor(
    private readonly folders: Folders,
    private readonly recipients: Recipients,
    private readonly chosen: readonly number[] | undefined,
    private readonly signal?: AbortSignal,
  ) {}

  /** Reads the keys. @throws {InvalidArgumentError} */
  static async open(
    folders: Folders,
    { keys, layers }: Encryption,
    signal?: AbortSignal,
  ): Promise<LayerEncryption> {
    return new LayerEncryption(folders, await readRecipients(keys), layers, signal);
  }

  /** The image over encrypted layers, whose manifest is one of OCI: no other has names for them. */
  async encrypt(image: SavedImage): Promise<SavedImage> {
    const oci = convertedImage(image, "oci");
    const numbers = this.#numbers(oci.layers.length);
    const layers: Layer[] = [];
    for (const [at, layer] of oci.layers.entries()) {
      layers.push(numbers.has(at) ? await this.#encrypted(layer) : layer);
    }
    return withLayers(oci, layers);
  }

  #numbers(count: number): Set<number> {
    if (this.chosen === undefined) return new Set(Array.from({ length: count }, (_, at) => at));
    const strange = this.chosen.find((number) => number >= count || number < -count);
    if (strange !== undefined) {
      throw new InvalidArgumentError(`encrypt layer ${strange}: the image has ${count} layers`);
    }
    return new Set(this.chosen.map((number) => number < 0 ? number + count : number));
  }

  async #encrypted(layer: Layer): Promise<Layer> {
    const { folders, recipients, signal } = this;
    const target = `${folders.blobs}/partial/${digestHex(layer.digest)}.${crypto.randomUUID()}`;
    this.#made.push(target);
    using source = await Deno.open(layer.path ?? blobPath(folders, layer.digest), { read: true });
    const what = `layer ${layer.digest.slice(0, 19)} of the image`;
    const job = { source, target, signal };
    const { digest, size, layerKey } = await encryptBytes(what, job, layer.digest);
    // what else its descriptor said was of its content, which nobody can read in part any more
    const annotations = await wrapLayerKey(layerKey, layer.digest, recipients, signal);
    return { ...layer, digest, size, annotations, mediaType: encryptedType(layer.mediaType), path: target };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const path of this.#made) await Deno.remove(path).catch(() => {});
  }
}
