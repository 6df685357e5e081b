/**
 * `manifest push`, and `push` of a list: its images with the index over them. Those of the store go as any push sends
 * them; of those at a registry a blob is fetched where the destination neither has it nor takes it over.
 */

import type { Packing } from "../archive/packing.ts";
import { InvalidArgumentError, NotFoundError, UnsupportedError, VerificationError } from "../errors.ts";
import { convertedImage, manifestAsImage } from "../image/archive/image_form.ts";
import { dockerDirListFiles, ociListFiles, type SavedIndex } from "../image/archive/list_files.ts";
import type { SavedImage } from "../image/archive/saved_files.ts";
import { dialectOf, mediaTypeIn } from "../image/convert_manifest.ts";
import { encodeIndex } from "../image/index_document.ts";
import { imageOfEntry, indexOf, type ListEntry, listOf } from "../image/list.ts";
import { pairLayers } from "../image/manifest.ts";
import { parseReference, type Reference } from "../image/reference.ts";
import { imagesLockPath } from "../image/store.ts";
import { admitImage, fetchBlob, fetchDocument } from "../registry/remote_manifest.ts";
import { type Digest, digestOf } from "../spec/digest.ts";
import { parseImageConfig } from "../spec/image_parse.ts";
import { type Descriptor, LAYER_COMPRESSION, MEDIA_TYPE } from "../spec/image.ts";
import { printable } from "../spec/printable.ts";
import type { Database } from "../state/db.ts";
import { recordEvent } from "../state/events.ts";
import type { ImageRow } from "../state/images.ts";
import { takeLock } from "../state/locks.ts";
import { hasBlob, readBlob, writeBlob } from "../storage/blobs.ts";
import { fileDigest } from "../storage/file_digest.ts";
import { formatOf, type Instance, markZstd, missingVariants } from "./compression_variants.ts";
import type { Engine } from "./engine.ts";
import { manifestOfEntry } from "./manifest_add.ts";
import { getList } from "./manifest_list.ts";
import { nothingToSign, type Pushed, type PushOptions, sendToRegistry } from "./push.ts";
import { pushDefaults } from "./push_defaults.ts";
import { parsePushDestination } from "./push_destination.ts";
import { PushLayers } from "./push_layers.ts";
import { prepareFolder, saveArchive, saveFolder } from "./save.ts";
import { savedImage } from "./saved_image.ts";

/** @param options `all: false` pushes the index alone: its images have to be there already */
export async function manifestPush(
  engine: Engine,
  list: string,
  destination: string = list,
  options: PushOptions = {},
): Promise<{ digest: Digest }> {
  const db = await engine.database();
  const { row } = getList(db, list);
  using _lock = (await takeLock(imagesLockPath(engine.folders), { shared: true, signal: options.signal }))!;
  return await pushList(engine, db, row, destination, options);
}

/** The same of its row, where `images` is held. */
export async function pushList(
  engine: Engine,
  db: Database,
  row: ImageRow,
  destination: string,
  options: PushOptions,
): Promise<{ digest: Digest }> {
  const target = parsePushDestination(destination);
  if (target.transport === "docker-archive") {
    throw new UnsupportedError(
      `push to "${printable(destination)}": a docker-archive has no list of images`,
      {
        hint: "push to oci-archive:",
      },
    );
  }
  if (target.transport !== "docker" && options.sign !== undefined) throw nothingToSign(destination);
  const isLayout = target.transport.startsWith("oci");
  if (isLayout && options.format === "docker") {
    throw new InvalidArgumentError(`push to "${printable(destination)}": an OCI layout has OCI manifests`);
  }
  if (options.all === false && options.addPacking?.length) {
    throw new InvalidArgumentError("an index that is pushed alone gets no images packed in other ways");
  }
  const format = isLayout ? "oci" : options.format;
  const { signal } = options;
  const { packing: usual, addPacking } = await pushDefaults({ format });
  await using remote = new RemoteBlobs(engine, options);
  await using open = new AsyncDisposableStack();
  const packer = (packing: Packing | undefined) =>
    open.use(
      new PushLayers(engine, db, packing, { usual, fetched: (digest) => remote.fileOf(digest), signal }),
    );
  const layers = packer(options.packing);
  const added = options.addPacking ?? (options.all === false ? [] : addPacking ?? []);
  const variants = new Map(added.map((format) => [format, packer({ format })]));
  const context: Context = { engine, db, layers, variants, remote, options: { ...options, format } };
  const digest = target.transport === "docker"
    ? await sendToRegistry(
      { ...context, mountFrom, fileOf },
      row.id,
      target.reference,
      async () => await chooseAll(context, row, true),
    )
    : await writeFiles(target);
  recordEvent(engine.folders, { type: "image", action: "push", id: row.id, name: destination });
  return { digest };

  function mountFrom(blob: Digest, reference: Reference): string[] {
    return remote.repositoriesOf(blob, reference);
  }
  function fileOf(blob: Digest) {
    for (const packed of variants.values()) {
      const file = packed.fileOf(blob);
      if (file !== undefined) return file;
    }
    return remote.fileOf(blob);
  }
  async function writeFiles({ transport, path, name }: { transport: string; path: string; name?: string }) {
    const { images, index } = await chooseAll(context, row, false);
    const local: SavedImage[] = [];
    for (const image of images) local.push(await remote.fetched(image));
    const how = { output: path, signal: options.signal, progress: options.progress };
    const names = name === undefined ? [] : [name];
    if (transport === "oci-archive") {
      await saveArchive(engine, await ociListFiles(local, index, names), how);
    } else if (transport === "oci") {
      const before = await prepareFolder(path, "oci-dir");
      await saveFolder(engine, await ociListFiles(local, index, names, before), path, how);
    } else {
      await prepareFolder(path, "docker-dir");
      await saveFolder(engine, await dockerDirListFiles(local, index), path, how);
    }
    return await digestOf(index.bytes);
  }
}

interface Context {
  engine: Engine;
  db: Database;
  layers: PushLayers;
  /** What packs images once more. */
  variants: ReadonlyMap<Packing["format"], PushLayers>;
  remote: RemoteBlobs;
  options: PushOptions;
}

/** The images as they are pushed, and the index over what they have become. */
async function chooseAll(
  context: Context,
  row: ImageRow,
  isRecalled: boolean,
): Promise<Pushed & { index: SavedIndex }> {
  const { options } = context;
  const list = listOf(row);
  const instances: Instance[] = [];
  if (options.all !== false) {
    for (const entry of list.entries) {
      const { source, isStored } = await imageFor(context, entry);
      // what is elsewhere stays what it is, but for who asks for another form
      const isPacked = isStored || (options.packing !== undefined && isPackable(source));
      const image = isPacked ? await context.layers.pack(source, isRecalled) : source;
      instances.push({ entry, image: convertedImage(image, options.format) });
    }
    for (
      const missing of missingVariants(
        instances,
        [...context.variants.keys()],
        ({ image }) => isPackable(image),
      )
    ) {
      const { entry } = missing.instance;
      const { source } = await imageFor(context, entry);
      const image = await context.variants.get(missing.format)!.pack(source, isRecalled);
      instances.push({ entry, image: convertedImage(image, options.format) });
    }
  }
  const mediaType = mediaTypeIn(options.format ?? "oci", MEDIA_TYPE.ociIndex);
  const manifests = options.all === false ? list.entries : await entriesOf(instances);
  const isAnnotated = list.annotations !== undefined || list.entries.some(({ annotations }) => annotations);
  if (dialectOf(mediaType) === "docker" && isAnnotated) {
    options.progress?.({ kind: "status", text: "Annotations are left out: a v2s2 list has none" });
  }
  const bytes = encodeIndex({ ...indexOf(list), manifests }, mediaType);
  return { images: instances.map(({ image }) => image), index: { bytes, mediaType } };
}

async function entriesOf(instances: readonly Instance[]): Promise<Descriptor[]> {
  const entries: { entry: Descriptor; isZstd: boolean }[] = [];
  for (const { entry, image } of instances) {
    const digest = await digestOf(image.manifestBytes);
    const own = { mediaType: image.manifestType, digest, size: image.manifestBytes.length };
    entries.push({ entry: { ...entry, ...own }, isZstd: formatOf(image) !== "gzip" });
  }
  return markZstd(entries);
}

/** Not what has layers that are no archives, or nobody knows the content of. */
function isPackable({ manifest, layers }: SavedImage): boolean {
  const { mediaType } = manifest.config;
  const isImage = mediaType === MEDIA_TYPE.ociConfig || mediaType === MEDIA_TYPE.dockerConfig;
  return isImage && layers.every(({ mediaType }) => LAYER_COMPRESSION[mediaType] !== undefined);
}

async function imageFor(
  { engine, db, remote }: Context,
  entry: ListEntry,
): Promise<{ source: SavedImage; isStored: boolean }> {
  const row = entry.blobs === undefined ? imageOfEntry(db, engine.folders, entry) : undefined;
  if (row !== undefined) return { source: await savedImage(engine, db, row, []), isStored: true };
  if (entry.blobs === undefined && entry.source === undefined) {
    throw new NotFoundError("image", entry.digest, {
      message: `push list: its image ${entry.digest} is not in the store any more`,
      hint: "pull or load it again, or take it out of the list: skiff manifest remove",
    });
  }
  const { bytes, mediaType, manifest } = await manifestOfEntry(engine, entry);
  const source = manifestAsImage(manifest, bytes, mediaType);
  if (entry.blobs !== undefined) return { source, isStored: false };
  await remote.add(entry, source);
  if (!isPackable(source)) return { source, isStored: false };
  const what = `image ${entry.digest.slice(0, 19)}… of the list`;
  const config = parseImageConfig(what, await readBlob(engine.folders, manifest.config.digest));
  return { source: { ...source, layers: pairLayers(what, manifest, config) }, isStored: false };
}

/** Blobs of images that are at a registry, each in a file of its own for as long as the push takes. */
class RemoteBlobs implements AsyncDisposable {
  readonly #places = new Map<Digest, { size: number; source: string; tlsVerify?: boolean }>();
  readonly #files = new Map<Digest, Promise<string>>();

  constructor(private readonly engine: Engine, private readonly options: PushOptions) {}

  /** The config comes at once, into the store: it is small. */
  async add({ source, tlsVerify, digest }: ListEntry, image: SavedImage): Promise<void> {
    const { layers, manifest: { config }, manifestBytes } = image;
    await admitImage(source!, manifestBytes, digest, this.#access(tlsVerify));
    for (const { digest, size } of layers) {
      if (!hasBlob(this.engine.folders, digest, size)) {
        this.#places.set(digest, { size, source: source!, tlsVerify });
      }
    }
    if (hasBlob(this.engine.folders, config.digest, config.size)) return;
    const bytes = await fetchDocument(source!, config, this.#access(tlsVerify));
    await writeBlob(this.engine.folders, bytes, config.digest);
  }

  /** Where the destination's registry may have it already. */
  repositoriesOf(digest: Digest, { domain, path }: Reference): string[] {
    const place = this.#places.get(digest);
    if (place === undefined) return [];
    const from = parseReference(place.source);
    return from.domain === domain && from.path !== path ? [from.path] : [];
  }

  fileOf(digest: Digest): (() => Promise<string>) | undefined {
    return this.#places.has(digest) ? () => this.#file(digest) : undefined;
  }

  /** The image with its layers in files. */
  async fetched(image: SavedImage): Promise<SavedImage> {
    const layers: SavedImage["layers"] = [];
    for (const layer of image.layers) {
      layers.push(
        this.#places.has(layer.digest) ? { ...layer, path: await this.#file(layer.digest) } : layer,
      );
    }
    return { ...image, layers };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const file of this.#files.values()) await file.then((path) => Deno.remove(path)).catch(() => {});
  }

  #file(digest: Digest): Promise<string> {
    let file = this.#files.get(digest);
    if (file === undefined) {
      const path = `${this.engine.folders.blobs}/partial/list-${crypto.randomUUID()}`;
      file = this.#download(digest, path).catch(async (error) => {
        await Deno.remove(path).catch(() => {});
        throw error;
      });
      this.#files.set(digest, file);
    }
    return file;
  }

  async #download(digest: Digest, path: string): Promise<string> {
    const { size, source, tlsVerify } = this.#places.get(digest)!;
    await fetchBlob(source, { digest, size }, path, {
      ...this.#access(tlsVerify),
      onGrow: (current) =>
        this.options.progress?.({ kind: "layer", digest, status: "downloading", current, total: size }),
    });
    if (await fileDigest(path, digest) === digest) return path;
    throw new VerificationError(`fetch blob ${digest.slice(0, 19)}… of ${source}: its digest is another`);
  }

  /** What is let pass of the destination is not of other registries: these are reached as when they were added. */
  #access(tlsVerify: boolean | undefined) {
    const { authFile, signal } = this.options;
    return { authFile, signal, tlsVerify: this.options.tlsVerify || tlsVerify };
  }
}
