/** `save`: writes images of the store into an archive or folder that docker, podman and skopeo read. */

import { ConflictError, InvalidArgumentError, SkiffError, VerificationError } from "../errors.ts";
import {
  dockerArchiveFiles,
  dockerDirFiles,
  ociLayoutFiles,
  type SavedFile,
  type SavedImage,
  type SaveFormat,
} from "../image/archive/saved_files.ts";
import { writeFolder, writeTar } from "../image/archive/write_files.ts";
import { parseManifestDocument } from "../image/manifest.ts";
import { findPlatformImage, getPlatformImage } from "../image/list.ts";
import { parsePlatform } from "../image/platform.ts";
import { formatReference, parseName, qualify, withDefaultTag } from "../image/reference.ts";
import { HOST_IMAGE, imagesLockPath } from "../image/store.ts";
import { type Digest, digestHex } from "../spec/digest.ts";
import { type Descriptor, DOCUMENT_LIMITS } from "../spec/image.ts";
import { printable } from "../spec/printable.ts";
import type { ImageRow } from "../state/images.ts";
import { recordEvent } from "../state/events.ts";
import { takeLock } from "../state/locks.ts";
import { warmUp } from "../storage/extract_task.ts";
import { runWorker } from "../storage/worker.ts";
import { close, open } from "../../ffi/file.ts";
import { O_CLOEXEC, O_CREAT, O_EXCL, O_TRUNC, O_WRONLY } from "../../ffi/constants/fcntl.ts";
import type { Engine } from "./engine.ts";
import { savedImage } from "./saved_image.ts";

export type { SaveFormat } from "../image/archive/saved_files.ts";

export interface SaveOptions {
  /** Default docker-archive. */
  format?: SaveFormat;
  /** A path, or an open descriptor, which only archives can be written to. */
  output: string | { fd: number };
  /** `linux/arm64`: of a list that image; one that is for another is refused. */
  platform?: string;
  /** Every word is an image; else one that names none of the store is one more name for the first, as for podman. */
  allAreImages?: boolean;
  /** Of a docker-dir: pack layers that are not packed. */
  packLayers?: boolean;
  signal?: AbortSignal;
  progress?: (
    event: { kind: "layer"; digest: Digest; status: "downloading" | "done"; current: number; total: number },
  ) => void;
}

/**
 * Saves images under the names that they are asked by (none where it was an id). Blobs are written as they came, so
 * that a digest stays what it is; a docker-archive has its layers unpacked.
 *
 * @throws {VerificationError} where the store's content has rotted; an archive of a path is then not touched
 */
export async function save(engine: Engine, words: readonly string[], options: SaveOptions): Promise<void> {
  const { format = "docker-archive" } = options;
  using _lock = (await takeLock(imagesLockPath(engine.folders), { shared: true, signal: options.signal }))!;
  const images = await chooseImages(engine, words, options);
  await saveImages(engine, format, images, options);
  const name = typeof options.output === "string" ? options.output : "stdout";
  for (const { configDigest } of images) {
    recordEvent(engine.folders, { type: "image", action: "save", id: digestHex(configDigest), name });
  }
}

async function saveImages(
  engine: Engine,
  format: SaveFormat,
  images: SavedImage[],
  options: SaveOptions,
): Promise<void> {
  if (format === "docker-dir" && images.length > 1) {
    throw new InvalidArgumentError("save images: a docker-dir holds one image");
  }
  const isFolder = format.endsWith("-dir");
  if (!isFolder) return await saveArchive(engine, await planArchive(format, images), options);
  if (typeof options.output !== "string") {
    throw new InvalidArgumentError(`save images: ${format} is a folder, which needs an output path`);
  }
  const before = await prepareFolder(options.output, format);
  if (format === "oci-dir") {
    return await saveFolder(engine, await ociLayoutFiles(images, before), options.output, options);
  }
  if (!options.packLayers) {
    return await saveFolder(engine, await dockerDirFiles(images[0]!), options.output, options);
  }
  const { packLayers } = await import("../image/archive/pack_layers.ts");
  await using packed = await packLayers(engine.folders, images[0]!, options.signal);
  await saveFolder(engine, await dockerDirFiles(packed.image), options.output, options);
}

async function planArchive(format: SaveFormat, images: SavedImage[]): Promise<SavedFile[]> {
  return format === "docker-archive" ? dockerArchiveFiles(images) : await ociLayoutFiles(images);
}

async function chooseImages(
  engine: Engine,
  words: readonly string[],
  { allAreImages = false, platform }: SaveOptions,
): Promise<SavedImage[]> {
  const wanted = platform === undefined ? undefined : parsePlatform(platform);
  const db = await engine.database();
  const chosen: { image: ImageRow; names: string[] }[] = [];
  for (const [at, word] of words.entries()) {
    if (word === HOST_IMAGE) {
      throw new ConflictError(
        `save image "${HOST_IMAGE}": it is built in, made of this machine's own folders`,
      );
    }
    const found = at === 0 || allAreImages
      ? getPlatformImage(db, word, wanted)
      : findPlatformImage(db, word, wanted);
    if (found !== undefined) {
      chosen.push({ image: found.image, names: found.name === undefined ? [] : [found.name] });
    } else chosen[0]!.names.push(formatReference(withDefaultTag(qualify(parseName(word), "localhost"))));
  }
  return await Promise.all(chosen.map(({ image, names }) => savedImage(engine, db, image, names)));
}

/** By way of a file beside it, so that what was there stays until the new one is whole. */
export async function saveArchive(engine: Engine, files: SavedFile[], options: SaveOptions): Promise<void> {
  const { output } = options;
  if (typeof output !== "string") {
    return await work(
      options,
      files,
      [output.fd],
      (report) => writeTar(engine.folders, files, output.fd, report),
    );
  }
  const info = await Deno.stat(output).catch(() => null);
  if (info?.isDirectory) throw new InvalidArgumentError(`save to "${printable(output)}": it is a folder`);
  const target = info === null ? output : await Deno.realPath(output);
  // a device or named pipe is written to, not replaced
  const isReplaced = info === null || info.isFile;
  const path = isReplaced ? `${target}.${crypto.randomUUID()}` : target;
  const fd = openOutput(output, path, isReplaced);
  try {
    await work(options, files, [fd], (report) => writeTar(engine.folders, files, fd, report));
    if (isReplaced) await Deno.rename(path, target);
  } catch (error) {
    if (isReplaced) await Deno.remove(path).catch(() => {});
    throw error;
  } finally {
    close(fd);
  }
}

function openOutput(output: string, path: string, isNew: boolean): number {
  try {
    return open(path, O_WRONLY | O_CLOEXEC | (isNew ? O_CREAT | O_EXCL : O_TRUNC), 0o644);
  } catch (cause) {
    const { message } = cause as Error;
    throw new SkiffError(`save to "${printable(output)}": ${message.slice(message.lastIndexOf(": ") + 2)}`, {
      cause,
    });
  }
}

export async function saveFolder(
  engine: Engine,
  files: SavedFile[],
  folder: string,
  options: SaveOptions,
): Promise<void> {
  await work(options, files, [], (report) => writeFolder(engine.folders, files, folder, report));
}

async function work(
  options: SaveOptions,
  files: SavedFile[],
  inherit: number[],
  action: (report: (bytes: number) => void) => void,
): Promise<void> {
  const largest =
    files.filter((file) => file.kind !== "bytes").toSorted((a, b) => (b.size ?? 0) - (a.size ?? 0))[0];
  const total = files.reduce(
    (sum, file) => sum + (file.kind === "bytes" ? file.bytes.length : file.size ?? 0),
    0,
  );
  const report = (status: "downloading" | "done", current: number) => {
    // one bar for all, named by what takes longest
    if (largest !== undefined) {
      options.progress?.({ kind: "layer", digest: largest.digest, status, current, total });
    }
  };
  warmUp();
  report("downloading", 0);
  await runWorker("save images", inherit, action, {
    signal: options.signal,
    onProgress: (bytes) => report("downloading", bytes),
  });
  report("done", total);
}

/** Makes the folder; a layout that is there already is added to, a docker-dir replaced. Returns what is in its index. */
export async function prepareFolder(folder: string, format: SaveFormat): Promise<Descriptor[]> {
  await Deno.mkdir(folder, { recursive: true });
  const mark = format === "oci-dir" ? "oci-layout" : "version";
  const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
  if (names.length === 0) return [];
  if (!names.includes(mark)) {
    throw new ConflictError(`save to "${printable(folder)}": the folder is not empty and no ${format}`);
  }
  if (format !== "oci-dir" || !names.includes("index.json")) return [];
  const path = `${folder}/index.json`;
  if ((await Deno.stat(path)).size > DOCUMENT_LIMITS.manifestBytes) {
    throw new VerificationError(`save to "${printable(folder)}": its index.json is too large`);
  }
  const document = parseManifestDocument(`index.json of ${printable(folder)}`, await Deno.readFile(path), "");
  return document.kind === "index" ? document.index.manifests : [];
}
