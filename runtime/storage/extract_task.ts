/**
 * What the forked child does that unpacks a layer: follow the blob, hash, inflate, unpack, verify, rename,
 * sync. All synchronous. The layer appears under its name only when both digests are right.
 */

import { createHash } from "node:crypto";
import { type ByteSource, type ChunkSource, sourceOf } from "../archive/chunks.ts";
import { GunzipSource, GzipError } from "../archive/gzip.ts";
import { ZstdError, ZstdSource } from "../archive/zstd.ts";
import { HostError, VerificationError } from "../errors.ts";
import { type Digest, digestAlgorithm, digestHex } from "../spec/digest.ts";
import { LAYER_COMPRESSION } from "../spec/image.ts";
import { errnoText, SyscallError } from "../../ffi/errno.ts";
import { close, open, openat, writeAll } from "../../ffi/file.ts";
import { prctl, umask } from "../../ffi/process.ts";
import { PR_SET_PDEATHSIG } from "../../ffi/constants/prctl.ts";
import { O_CLOEXEC, O_CREAT, O_EXCL, O_NOFOLLOW, O_RDONLY, O_WRONLY } from "../../ffi/constants/fcntl.ts";
import { type ExtractSummary, extractTar } from "./extract.ts";
import { DownloadAborted, GrowingFile } from "./growing_file.ts";
import { hashHere, hashInChild } from "./hash_child.ts";
import type { LayerJob } from "./layers.ts";
import { OwnerRecorder } from "./owners.ts";
import { spliced } from "./splice.ts";
import { makeTree, openWork, publishLayer, syncLayer, tidy } from "./work_folder.ts";

/** Lines of JSON on the result pipe: any number of progress, then one of the others. */
export type ExtractionMessage =
  | { kind: "progress"; bytes: number }
  | { kind: "done"; summary: ExtractSummary }
  | { kind: "failed"; error: "verification" | "host" | "aborted" | "engine"; message: string; hint?: string };

/** Smaller blobs are hashed in the same process: a fork costs more. */
const HASH_CHILD_FROM = 1 << 20;
/** Far above real images (the largest known have about a million files). */
const MAX_ENTRIES = 4_000_000;
const PROGRESS_STEP = 2 << 20;

/**
 * Runs everything once that Deno loads at its first use; to be called before the fork. In the child such a
 * load would wait ten seconds for a lock on the code cache's database, whose descriptor is closed there.
 */
export function warmUp(): void {
  for (const algorithm of ["sha256", "sha512"]) createHash(algorithm).update(new Uint8Array(1)).digest("hex");
  const room = new Uint8Array(16);
  // Empty streams: a gzip member and a zstd frame of no bytes.
  const gzip = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];
  const zstd = [0x28, 0xb5, 0x2f, 0xfd, 0x20, 0, 1, 0, 0];
  new GunzipSource(sourceOf(new Uint8Array(gzip))).read(room);
  new ZstdSource(sourceOf(new Uint8Array(zstd))).read(room);
  crypto.randomUUID();
}

/** Unpacks one layer; reports on `resultFd`. Never throws; the status is for the exit of the child. */
export function extractLayer(
  layersDir: string,
  job: LayerJob,
  io: { controlFd: number; resultFd: number },
): number {
  const send = (message: ExtractionMessage) =>
    writeAll(io.resultFd, new TextEncoder().encode(`${JSON.stringify(message)}\n`));
  try {
    umask(0);
    const layerDir = `${layersDir}/${digestHex(job.diffId)}`;
    const onProgress = (bytes: number) => send({ kind: "progress", bytes });
    const summary = unpackInto(layerDir, job, io.controlFd, onProgress);
    // From here on the layer is there: the parent goes on, and its end must not stop the sync.
    prctl(PR_SET_PDEATHSIG, 0);
    send({ kind: "done", summary });
    syncLayer(layerDir, job.form);
    return 0;
  } catch (error) {
    try {
      send(describeFailure(error));
    } catch {
      // The parent is gone, and so is whoever would read it.
    }
    return 1;
  }
}

function describeFailure(error: unknown): ExtractionMessage {
  const message = (error as Error).message;
  if (error instanceof DownloadAborted) return { kind: "failed", error: "aborted", message };
  if (error instanceof VerificationError) return { kind: "failed", error: "verification", message };
  if (error instanceof HostError) return { kind: "failed", error: "host", message, hint: error.hint };
  if (error instanceof SyscallError) {
    const text = `unpack layer: ${error.syscall} ${error.path ?? ""}: ${errnoText(error.errno)}`;
    return { kind: "failed", error: "host", message: text };
  }
  return { kind: "failed", error: "engine", message };
}

function unpackInto(
  layerDir: string,
  job: LayerJob,
  controlFd: number,
  onProgress: (bytes: number) => void,
): ExtractSummary {
  const { layerFd, work } = openWork(layerDir, job.form);
  try {
    const rootFd = makeTree(work.fd);
    const ownersFd = job.form.startsWith("single")
      ? openat(work.fd, "owners", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
      : -1;
    const { summary, bytes } = unpackVerified(job, rootFd, controlFd, ownersFd, onProgress);
    publishLayer(work.fd, layerFd, job.form, { bytes, hasOwners: ownersFd !== -1 });
    return summary;
  } finally {
    tidy(layerDir, layerFd, work.name);
  }
}

/** Reads, hashes and unpacks, and checks size and both digests. */
function unpackVerified(
  job: LayerJob,
  rootFd: number,
  controlFd: number,
  ownersFd: number,
  onProgress: (bytes: number) => void,
): { summary: ExtractSummary; bytes: number } {
  const blobFd = open(job.blobFile, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  let reported = 0;
  const blob = new GrowingFile(blobFd, controlFd, (bytes) => {
    if (blob.position > job.size) {
      refuseBlob(job, `it is longer than the ${job.size} bytes of its descriptor`);
    }
    hasher.blobRead(bytes);
    if (blob.position - reported >= PROGRESS_STEP) onProgress(reported = blob.position);
  });
  const blobAlgorithm = digestAlgorithm(job.digest);
  const archiveAlgorithm = digestAlgorithm(job.diffId);
  const isOneStream = LAYER_COMPRESSION[job.mediaType] === "none" && blobAlgorithm === archiveAlgorithm;
  const layer = {
    archive: countArchive(
      job.splice === undefined
        ? decompressed(blob, job)
        : spliced(blob, job.splice, (packed) => decompressed(packed, job)),
      job,
    ),
    archiveAlgorithm,
    blob: isOneStream || job.splice !== undefined ? null : { fd: blobFd, algorithm: blobAlgorithm },
  };
  const hasher = job.size >= HASH_CHILD_FROM ? hashInChild(layer) : hashHere(layer);
  const checkBlob = () => {
    if (isOneStream) readToEnd(hasher);
    else drain(blob);
    if (blob.position !== job.size) refuseBlob(job, `it has ${blob.position} bytes instead of ${job.size}`);
    if (job.splice !== undefined) return; // its diff id says all
    const found = `${blobAlgorithm}:${hasher.digests().blob}`;
    if (found !== job.digest) refuseBlob(job, `its digest is ${found}`);
  };
  let summary: ExtractSummary;
  try {
    const owners = ownersFd === -1 ? undefined : new OwnerRecorder(ownersFd);
    summary = extractTar(hasher, rootFd, {
      overlayXattrs: job.form.startsWith("root") ? "trusted." : "user.",
      makeDevices: job.form.startsWith("root"),
      owners,
      maxEntries: MAX_ENTRIES,
    });
    owners?.flush();
    readToEnd(hasher);
  } catch (error) {
    if (error instanceof GzipError || error instanceof ZstdError) {
      checkBlob(); // A blob that is not what it should be explains more than where its stream broke.
      refuseBlob(job, error.message);
    }
    if (error instanceof VerificationError && !(error instanceof LimitError)) checkBlob();
    throw error;
  }
  checkBlob();
  const diffId = `${archiveAlgorithm}:${hasher.digests().archive}`;
  if (diffId !== job.diffId) refuseBlob(job, `its content has diff id ${diffId} instead of ${job.diffId}`);
  close(blobFd);
  return { summary, bytes: layer.archive.total };
}

class LimitError extends VerificationError {}

/** The archive in a blob. */
export function decompressed(blob: ByteSource, job: Pick<LayerJob, "digest" | "mediaType">): ByteSource {
  switch (LAYER_COMPRESSION[job.mediaType]) {
    case "gzip":
      // The diff id is checked over every byte, so the CRC would say nothing new.
      return new GunzipSource(blob, { checkCrc: false });
    case "zstd":
      return new ZstdSource(blob);
    case "none":
      return blob;
    default:
      throw new VerificationError(`unpack layer ${short(job.digest)}: unknown media type ${job.mediaType}`);
  }
}

/** Stops a bomb: whatever the ratio, no more than the limit is ever unpacked. */
function countArchive(source: ByteSource, job: LayerJob): ByteSource & { total: number } {
  const counted = {
    total: 0,
    read(into: Uint8Array<ArrayBuffer>) {
      const length = source.read(into);
      counted.total += length;
      if (counted.total > job.limitBytes) {
        throw new LimitError(
          `unpack layer ${short(job.digest)}: it unpacks to more than the limit of ${job.limitBytes} bytes`,
        );
      }
      return length;
    },
  };
  return counted;
}

function drain(blob: GrowingFile): void {
  const buffer = new Uint8Array(1 << 18);
  while (blob.read(buffer) > 0);
}

/** The archive's padding after its end, which belongs to the diff id. */
function readToEnd(chunks: ChunkSource): void {
  while (chunks.next() !== null);
}

function refuseBlob(job: LayerJob, why: string): never {
  throw new VerificationError(`unpack layer ${short(job.digest)}: ${why}`);
}

function short(digest: Digest): string {
  return digest.slice(0, digest.indexOf(":") + 13);
}
