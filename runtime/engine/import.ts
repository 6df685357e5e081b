/** `import`: makes an image of a root filesystem's tar, packed or not, from a file, a stream or a web address. */

import { type ByteSource, readFully } from "../archive/chunks.ts";
import { type Compression, sniffCompression } from "../archive/compression.ts";
import { fileRange } from "../archive/file_chunks.ts";
import { GunzipSource, GzipError } from "../archive/gzip.ts";
import { ZstdError, ZstdSource } from "../archive/zstd.ts";
import { NotFoundError, VerificationError } from "../errors.ts";
import type { Part } from "../image/archive/source.ts";
import { type LayerProgress, storeLayers } from "../image/archive/store_layers.ts";
import { applyChanges } from "../build/changes.ts";
import { hostPlatform, parsePlatform } from "../image/platform.ts";
import { formatReference, parseName, qualify, withDefaultTag } from "../image/reference.ts";
import { imagesLockPath, recordNamedImage } from "../image/store.ts";
import { writeImage } from "../image/write_image.ts";
import type { Digest } from "../spec/digest.ts";
import { type ImageConfig, MEDIA_TYPE } from "../spec/image.ts";
import { printable } from "../spec/printable.ts";
import { recordEvent } from "../state/events.ts";
import { takeLock } from "../state/locks.ts";
import { copyStream } from "../storage/copy_stream.ts";
import { warmUp } from "../storage/extract_task.ts";
import { hashHere } from "../storage/hash_child.ts";
import { DEFAULT_LAYER_LIMIT_BYTES, layerBytes, layerForm } from "../storage/layers.ts";
import { runWorker } from "../storage/worker.ts";
import { close, fstat, lseek, open } from "../../ffi/file.ts";
import { O_CLOEXEC, O_CREAT, O_EXCL, O_NOCTTY, O_RDONLY, O_RDWR } from "../../ffi/constants/fcntl.ts";
import { S_IFMT, S_IFREG } from "../../ffi/constants/stat.ts";
import { admitTarball } from "./archive_policy.ts";
import type { Engine } from "./engine.ts";

export interface ImportOptions {
  /** A name for the image; without one it has only its id. */
  reference?: string;
  /** `CMD /bin/sh`, `ENV A=b` … */
  changes?: readonly string[];
  /** The comment in its history. */
  message?: string;
  /** `linux/arm64`; by default this machine's. */
  platform?: string;
  signal?: AbortSignal;
  progress?: (event: LayerProgress | { kind: "status"; text: string }) => void;
}

const LAYER_TYPES: Record<Compression, string> = {
  none: MEDIA_TYPE.ociLayer,
  gzip: MEDIA_TYPE.ociLayerGzip,
  zstd: MEDIA_TYPE.ociLayerZstd,
};

/**
 * @param input a path, an http or https address, or an open descriptor
 * @returns the id, 64 hex digits
 */
export async function importImage(
  engine: Engine,
  input: string | { fd: number },
  options: ImportOptions = {},
): Promise<string> {
  // what cannot be is said before anything is read
  const run = applyChanges({}, options.changes ?? []);
  const names = options.reference === undefined
    ? []
    : [formatReference(withDefaultTag(qualify(parseName(options.reference), "localhost")))];
  const platform = options.platform === undefined ? hostPlatform() : parsePlatform(options.platform);
  // podman's name for what comes through a pipe
  await admitTarball(typeof input === "string" ? input : "-");
  using _lock = (await takeLock(imagesLockPath(engine.folders), { shared: true, signal: options.signal }))!;
  using tar = await openTar(engine, input, options);
  const { folders, namespaces } = engine;
  const layer = await measure(tar.part, tar.what, options.signal);
  const form = layerForm(namespaces);
  const layers = await storeLayers({ folders, namespaces, form }, [layer], options).catch((error) => {
    // what is wrong with the archive is told with its name, not with that of a layer which nobody gave
    if (!(error instanceof VerificationError)) throw error;
    throw new VerificationError(`${tar.what}: ${error.message.replace(/^unpack layer: /, "")}`, {
      cause: error,
    });
  });
  const created = new Date().toISOString();
  const config: ImageConfig = {
    created,
    architecture: platform.architecture,
    ...(platform.variant === undefined ? {} : { variant: platform.variant }),
    os: platform.os,
    config: run,
    rootfs: { type: "layers", diff_ids: [layer.diffId] },
    history: [{
      created,
      created_by: `/bin/sh -c #(nop) ADD file:${layer.diffId.replace(/^.*:/, "")} in /`,
      comment: options.message ?? "imported from tarball",
    }],
  };
  const { digest, configDigest } = await writeImage(folders, config, layers);
  const id = await recordNamedImage(await engine.database(), {
    names,
    digest,
    imageId: configDigest,
    config,
    layers,
    size: layerBytes(folders, layer.diffId, form) ?? layer.part.size,
  });
  recordEvent(folders, { type: "image", action: "import", id, name: names[0] ?? "" });
  return id;
}

/** The tar as a file that can be read twice: in place, or in one of ours. */
async function openTar(
  engine: Engine,
  input: string | { fd: number },
  options: ImportOptions,
): Promise<{ part: Part; what: string } & Disposable> {
  const isUrl = typeof input === "string" && /^https?:\/\//.test(input);
  const what = `import "${typeof input === "string" ? printable(input) : "stdin"}"`;
  if (!isUrl) {
    const fd = typeof input === "string" ? openPath(input, what) : input.fd;
    const isOurs = typeof input === "string";
    const { mode, size } = fstat(fd);
    if ((mode & S_IFMT) === S_IFREG && lseek(fd, 0, 1) === 0) {
      return { part: { fd, offset: 0, size }, what, [Symbol.dispose]: () => isOurs && close(fd) };
    }
    try {
      return await spooled(
        engine,
        what,
        (file) => runWorker(what, [fd, file], () => copyStream(fd, file, what), { signal: options.signal }),
      );
    } finally {
      if (isOurs) close(fd);
    }
  }
  options.progress?.({ kind: "status", text: `Downloading from "${printable(input)}"` });
  return await spooled(engine, what, async (_fd, path) => {
    const { fetchUrl } = await import("../registry/fetch_url.ts");
    using file = await Deno.open(path, { write: true });
    await fetchUrl(input, file, { signal: options.signal, limitBytes: DEFAULT_LAYER_LIMIT_BYTES });
  });
}

/** @throws {NotFoundError} that begins with `what` */
export function openPath(path: string, what: string): number {
  try {
    return open(path, O_RDONLY | O_NOCTTY | O_CLOEXEC);
  } catch (cause) {
    const { message } = cause as Error;
    throw new NotFoundError("file", path, {
      cause,
      message: `${what}: ${message.slice(message.lastIndexOf(": ") + 2)}`,
    });
  }
}

async function spooled(
  engine: Engine,
  what: string,
  fill: (fd: number, path: string) => Promise<void>,
): Promise<{ part: Part; what: string } & Disposable> {
  const path = `${engine.folders.blobs}/partial/load-${crypto.randomUUID()}`;
  const fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600);
  const dispose = () => {
    close(fd);
    Deno.removeSync(path);
  };
  try {
    await fill(fd, path);
    return { part: { fd, offset: 0, size: fstat(fd).size, spooled: path }, what, [Symbol.dispose]: dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}

/** Its two digests, which nothing else names. */
async function measure(part: Part, what: string, signal?: AbortSignal) {
  const start = new Uint8Array(8);
  const compression = sniffCompression(what, start.subarray(0, readFully(fileRange(part.fd), start)));
  warmUp();
  const { digest, diffId } = await runWorker(what, [part.fd], () => hashBoth(part, compression, what), {
    signal,
  });
  return { part, mediaType: LAYER_TYPES[compression], digest: digest as Digest, diffId: diffId as Digest };
}

function hashBoth(part: Part, compression: Compression, what: string): { digest: string; diffId: string } {
  const raw = fileRange(part.fd, 0, part.size);
  const watched: ByteSource = {
    read(into) {
      const length = raw.read(into);
      hasher.blobRead(into.subarray(0, length));
      return length;
    },
  };
  const archive = compression === "gzip"
    ? new GunzipSource(watched)
    : compression === "zstd"
    ? new ZstdSource(watched)
    : raw;
  const hasher = hashHere({
    archive,
    archiveAlgorithm: "sha256",
    blob: compression === "none" ? null : { fd: part.fd, algorithm: "sha256" },
  });
  try {
    let total = 0;
    for (let piece = hasher.next(); piece !== null; piece = hasher.next()) {
      total += piece.length;
      if (total > DEFAULT_LAYER_LIMIT_BYTES) {
        throw new VerificationError(`${what}: it unpacks to more than ${DEFAULT_LAYER_LIMIT_BYTES} bytes`);
      }
    }
  } catch (error) {
    if (!(error instanceof GzipError || error instanceof ZstdError)) throw error;
    throw new VerificationError(`${what}: ${error.message}`);
  }
  const { blob, archive: hex } = hasher.digests();
  return { digest: `sha256:${blob}`, diffId: `sha256:${hex}` };
}
