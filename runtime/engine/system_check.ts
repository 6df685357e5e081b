/**
 * `system check`: whether what skiff keeps is whole, and repair. A damaged layer is unpacked again from its blob;
 * an image whose blobs are damaged has to be pulled again.
 */

import { observeContainers } from "../container/state.ts";
import { listOf } from "../image/list.ts";
import { listCached } from "../state/build_cache.ts";
import { listContainers, listContainersOfImage } from "../state/containers.ts";
import { type ImageRow, listImages, listLayers, listNames, listReferencedContent } from "../state/images.ts";
import { type Digest, digestHex } from "../spec/digest.ts";
import { blobPath, hasBlob, readBlob } from "../storage/blobs.ts";
import { fileDigest } from "../storage/file_digest.ts";
import { isLazy } from "../storage/lazy/records.ts";
import { namesIn } from "../state/listing.ts";
import { hasPartialMark } from "../storage/file_index.ts";
import {
  DEFAULT_LAYER_LIMIT_BYTES,
  hasLayer,
  layerForm,
  type LayerJob,
  layerPath,
  startExtraction,
} from "../storage/layers.ts";
import { loadConfig } from "./containers.ts";
import type { Engine } from "./engine.ts";
import { collectImageGarbage, discard, emptyTrash } from "./garbage.ts";
import { rm } from "./rm.ts";
import { removeUnusedImages } from "./system_prune.ts";

export interface CheckOptions {
  /** Do not read contents: what is there, and how large, must do. */
  quick?: boolean;
  /** Mend what can be mended, and remove damaged images that nothing uses. */
  repair?: boolean;
  /** With `repair`: also what containers use; they are removed with their image, or ended for a layer. */
  force?: boolean;
  /** Content that nothing refers to is damage once it is that old; by default a day. */
  maxAgeMs?: number;
  signal?: AbortSignal;
}

/** One damaged thing. */
export interface Damage {
  kind: "database" | "image" | "layer" | "container" | "unreferenced";
  /** 64 hex digits of an image, layer or container; else a path. */
  id: string;
  /** For the reader: the image's name, the container's. */
  name?: string;
  problems: string[];
  /** What was done; undefined where nothing was. */
  repaired?: string;
}

const DAY_MS = 24 * 3600_000;

export async function systemCheck(engine: Engine, options: CheckOptions = {}): Promise<Damage[]> {
  const found = [
    ...await checkDatabase(engine, options),
    // before a removal takes it along
    ...await checkUnreferenced(engine, options),
    ...await checkLayers(engine, options),
    ...await checkImages(engine, options),
    ...await checkContainers(engine),
  ];
  if (options.repair && found.some(({ kind, repaired }) => kind === "unreferenced" || repaired)) {
    await collectImageGarbage(engine);
    await emptyTrash(engine);
  }
  return found;
}

async function checkDatabase(engine: Engine, { quick }: CheckOptions): Promise<Damage[]> {
  const db = await engine.database();
  const rows = db.all(quick ? "PRAGMA quick_check" : "PRAGMA integrity_check");
  const problems = rows.map((row) => String(Object.values(row)[0])).filter((text) => text !== "ok");
  return problems.length === 0 ? [] : [{ kind: "database", id: engine.folders.db, problems }];
}

/** Every layer once, whatever number of images have it. A damaged blob is the images' damage. */
async function checkLayers(engine: Engine, options: CheckOptions): Promise<Damage[]> {
  const db = await engine.database();
  const found: Damage[] = [];
  const jobs = new Map<string, LayerJob>();
  for (const job of cachedJobs(engine, db)) jobs.set(job.diffId, job);
  for (const { id } of listImages(db)) for (const job of jobsOf(engine, id, db)) jobs.set(job.diffId, job);
  for (const job of jobs.values()) {
    options.signal?.throwIfAborted();
    const { problems, isBlobWhole } = await examine(engine, job, options.quick ?? false);
    if (problems.length === 0 || !isBlobWhole) continue;
    const damage: Damage = { kind: "layer", id: digestHex(job.diffId), problems };
    if (options.repair) damage.repaired = await unpackAgain(engine, job, options);
    found.push(damage);
  }
  return found;
}

function jobsOf(engine: Engine, imageId: string, db: Awaited<ReturnType<Engine["database"]>>): LayerJob[] {
  return listLayers(db, imageId).map((layer) => jobOf(engine, layer));
}

/** Layers of steps of builds, where they are unpacked: one that is gone is only a step to be done again. */
function cachedJobs(engine: Engine, db: Awaited<ReturnType<Engine["database"]>>): LayerJob[] {
  return listCached(db).flatMap(({ layer }) => layer === null ? [] : [jobOf(engine, layer)])
    .filter(({ diffId, form }) => hasLayer(engine.folders, diffId, form));
}

function jobOf(
  engine: Engine,
  { digest, diffId, size, mediaType }: { digest: string; diffId: string; size: number; mediaType: string },
): LayerJob {
  return {
    digest: digest as Digest,
    diffId: diffId as Digest,
    size,
    mediaType,
    form: layerForm(engine.namespaces),
    blobFile: blobPath(engine.folders, digest as Digest),
    limitBytes: DEFAULT_LAYER_LIMIT_BYTES,
  };
}

interface Examination {
  problems: string[];
  isBlobWhole: boolean;
}

async function examine(engine: Engine, job: LayerJob, quick: boolean): Promise<Examination> {
  if (!hasBlob(engine.folders, job.digest, job.size)) return { problems: [], isBlobWhole: false };
  if (!hasLayer(engine.folders, job.diffId, job.form)) {
    return { problems: ["it is not unpacked"], isBlobWhole: true };
  }
  if (quick) return { problems: [], isBlobWhole: true };
  const { compareLayer } = await import("../storage/verify.ts");
  const { blob, files, count } = await compareLayer(engine, job);
  if (blob !== undefined) return { problems: [], isBlobWhole: false };
  const more = count > files.length ? [`${count - files.length} more`] : [];
  return { problems: [...files, ...more], isBlobWhole: true };
}

/** Gives what was done, or undefined where containers that run with it stand in the way. */
async function unpackAgain(
  engine: Engine,
  job: LayerJob,
  { force, signal }: CheckOptions,
): Promise<string | undefined> {
  const users = await runningWith(engine, job.diffId);
  if (users.length > 0 && !force) return undefined;
  for (const id of users) {
    const { stop } = await import("./stop.ts");
    await stop(engine, id, { timeoutSeconds: 0, ignore: true });
  }
  // with the copies of it that nested user namespaces have
  discard(engine, layerPath(engine.folders, job.diffId, job.form).replace(/\/[^/]*$/, ""));
  const extraction = await startExtraction(engine, job);
  extraction.grow(job.size);
  await extraction.finish(signal);
  return "unpacked again";
}

async function runningWith(engine: Engine, diffId: Digest): Promise<string[]> {
  const db = await engine.database();
  const rows = listImages(db).filter(({ id }) => listLayers(db, id).some((layer) => layer.diffId === diffId))
    .flatMap(({ id }) => listContainersOfImage(db, id));
  const observed = await observeContainers(db, engine.folders.containers, rows);
  return observed.filter(({ status }) => status.pid > 0).map(({ row }) => row.id);
}

/** Images whose manifest, config or layers' blobs are not whole: nothing here can mend them. */
async function checkImages(engine: Engine, options: CheckOptions): Promise<Damage[]> {
  const db = await engine.database();
  const found: Damage[] = [];
  const whole = new Map<Digest, Promise<boolean>>();
  for (const image of listImages(db)) {
    const problems = [
      ...await checkDocuments(engine, image, options.quick ?? false),
      ...await checkBlobs(engine, jobsOf(engine, image.id, db), options.quick ? undefined : whole),
    ];
    if (problems.length === 0) continue;
    const damage: Damage = { kind: "image", id: image.id, name: listNames(db, image.id)[0], problems };
    if (options.repair) damage.repaired = await removeDamaged(engine, image, options.force ?? false);
    found.push(damage);
  }
  return found;
}

async function checkDocuments(engine: Engine, image: ImageRow, quick: boolean): Promise<string[]> {
  const documents = image.list === undefined
    ? [image.digest, image.indexDigest, `sha256:${image.id}`].filter((one) => one !== null) as Digest[]
    : [
      image.digest as Digest,
      ...listOf(image).entries.flatMap(({ digest, blobs = [] }) => [digest, ...blobs]),
    ];
  const problems: string[] = [];
  for (const digest of documents) {
    try {
      if (!hasBlob(engine.folders, digest)) problems.push(`blob ${digest} is missing`);
      else if (!quick) await readBlob(engine.folders, digest);
    } catch (error) {
      problems.push((error as Error).message);
    }
  }
  return problems;
}

/** Contents are read where there is a `whole` to remember each in: images share their layers. */
async function checkBlobs(
  engine: Engine,
  jobs: readonly LayerJob[],
  whole: Map<Digest, Promise<boolean>> | undefined,
): Promise<string[]> {
  const problems: string[] = [];
  for (const { digest, size, diffId, form } of jobs) {
    if (!hasBlob(engine.folders, digest, size)) {
      if (hasPartialMark(engine.folders, diffId, form, digest) || isLazy(engine.folders, digest)) continue;
      problems.push(`layer ${digest} is missing or has another size`);
    } else if (whole !== undefined) {
      if (!whole.has(digest)) whole.set(digest, isBlobWhole(engine, digest));
      if (!await whole.get(digest)) problems.push(`layer ${digest}: its content was changed`);
    }
  }
  return problems;
}

async function isBlobWhole(engine: Engine, digest: Digest): Promise<boolean> {
  return await fileDigest(blobPath(engine.folders, digest), digest) === digest;
}

async function removeDamaged(engine: Engine, image: ImageRow, force: boolean): Promise<string | undefined> {
  const db = await engine.database();
  const users = listContainersOfImage(db, image.id);
  if (users.length > 0 && !force) return undefined;
  for (const { id } of users) await rm(engine, id, { force: true, volumes: true, ignore: true });
  await removeUnusedImages(engine, [image.id]);
  return "removed, pull it again";
}

async function checkContainers(engine: Engine): Promise<Damage[]> {
  const db = await engine.database();
  const found: Damage[] = [];
  for (const { id, name } of listContainers(db)) {
    try {
      loadConfig(engine, id);
    } catch (error) {
      found.push({ kind: "container", id, name, problems: [(error as Error).message] });
    }
  }
  return found;
}

/** Blobs and layers that no image refers to: of a pull that was given up. */
async function checkUnreferenced(
  engine: Engine,
  { maxAgeMs = DAY_MS, repair }: CheckOptions,
): Promise<Damage[]> {
  const { blobs, diffIds } = listReferencedContent(await engine.database());
  const layers = new Set(Array.from(diffIds, (one) => digestHex(one as Digest)));
  const { folders } = engine;
  const candidates = [
    ...["sha256", "sha512"].flatMap((algorithm) =>
      namesIn(`${folders.blobs}/${algorithm}`).filter((hex) => !blobs.has(`${algorithm}:${hex}`))
        .map((hex) => `${folders.blobs}/${algorithm}/${hex}`)
    ),
    ...namesIn(folders.layers).filter((hex) => !layers.has(hex)).map((hex) => `${folders.layers}/${hex}`),
  ];
  return candidates.filter((path) => ageMs(path) >= maxAgeMs).map((path): Damage => ({
    kind: "unreferenced",
    id: path,
    problems: ["no image refers to it"],
    repaired: repair ? "removed" : undefined,
  }));
}

function ageMs(path: string): number {
  try {
    return Date.now() - (Deno.lstatSync(path).mtime?.getTime() ?? 0);
  } catch {
    return -1; // gone meanwhile
  }
}
