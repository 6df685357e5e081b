/** A lazy pull of a layer: its table of contents now, its content when it is read, all of it when it is needed. */
import { type LayerToc, TocError } from "../archive/toc/model.ts";
import { RegistryError, UnsupportedError, VerificationError } from "../errors.ts";
import type { ImageLayer } from "../image/manifest.ts";
import { hasLayer } from "../storage/layers.ts";
import {
  isDescribedBy,
  lazyFolder,
  lazyKey,
  type LazyRecord,
  readLazyRecord,
  whyNotLazy,
  writeLazyRecord,
} from "../storage/lazy/records.ts";
import { DEFAULT_LAYER_LIMIT_BYTES } from "../storage/layers.ts";
import { keptAccess } from "./access.ts";
import type { RegistryClient } from "./client.ts";
import { type LayerDescriptor, type ReadRange, readToc, remoteReader, tailReader } from "./layer_toc.ts";
import { tryPlaces } from "./places.ts";
import { type LayerContext, type LayerOptions, pullLayers } from "./pull_layers.ts";

/** Smaller layers are pulled whole: that takes no longer than their table. */
const MIN_LAZY_BYTES = 256 << 10;

/** @returns false where the layer is to be pulled whole, for a reason that is told */
export async function pullLazily(
  context: LayerContext,
  client: RegistryClient,
  layer: ImageLayer,
  options: LayerOptions & { signal: AbortSignal },
): Promise<boolean> {
  const { folders } = context;
  const whole = (why: string) => {
    const text = `layer ${layer.digest.slice(7, 19)} is pulled whole: ${why}`;
    options.progress?.({ kind: "status", text });
    return false;
  };
  if (layer.size < MIN_LAZY_BYTES) return false;
  const key = lazyKey(layer);
  if (key === undefined) return whole("it has no table of contents");
  if (client.options.credentials !== undefined) {
    return whole("this login will not be there later (use skiff login)");
  }
  const known = readLazyRecord(folders, key);
  if (known !== undefined) {
    return isDescribedBy(layer, known) || whole("another image says other things of it");
  }
  const folder = lazyFolder(folders, key);
  try {
    await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
    const limitBytes = context.layerLimitBytes ?? DEFAULT_LAYER_LIMIT_BYTES;
    const read = tailReader(layer, remoteReader(client, layer, options.signal));
    const toc = await readKeptToc(folder, layer, limitBytes, read);
    const why = toc === undefined ? "it has no table of contents" : whyNotLazy(toc);
    if (toc === undefined || why !== undefined) {
      await Deno.remove(folder, { recursive: true });
      return whole(why!);
    }
    await writeLazyRecord(folders, key, {
      version: 1,
      layer,
      from: client.options.imageName,
      ...keptAccess(client),
      rootMode: toc.entries.find(({ name }) => name === "")?.mode,
    });
    return true;
  } catch (error) {
    await Deno.remove(folder, { recursive: true }).catch(() => {});
    options.signal.throwIfAborted();
    if (
      error instanceof TocError || error instanceof VerificationError || error instanceof RegistryError ||
      error instanceof UnsupportedError
    ) return whole(error.message);
    throw error;
  }
}

/**
 * A layer's table, of which what was read is kept in the layer's folder. What comes from there is verified as what comes
 * from afar; where the disk has lost it, it is read once more.
 */
export async function readKeptToc(
  folder: string,
  layer: LayerDescriptor,
  limitBytes: number,
  read: ReadRange,
): Promise<LayerToc | undefined> {
  let mayBeKept = true, wasKept = false;
  const keptOrRead: ReadRange = async (range) => {
    const path = `${folder}/part-${range.start}-${range.end}`;
    const kept = mayBeKept ? await Deno.readFile(path).catch(() => undefined) : undefined;
    if (kept?.length === range.end - range.start) {
      wasKept = true;
      return kept;
    }
    const bytes = await read(range);
    // not the asynchronous one: the first of those brings the runtime's web streams along, for 16 ms
    Deno.writeFileSync(path, bytes, { mode: 0o600 });
    return bytes;
  };
  try {
    return await readToc(layer, limitBytes, keptOrRead);
  } catch (error) {
    if (!wasKept || !(error instanceof VerificationError || error instanceof TocError)) throw error;
    mayBeKept = false;
    return await readToc(layer, limitBytes, keptOrRead);
  }
}

/** Pulls layers whole that were pulled lazily: from then on they are like any other. */
export async function completeLayers(
  context: LayerContext,
  records: readonly LazyRecord[],
  options: LayerOptions = {},
): Promise<void> {
  for (const [at, { layer, from, tlsVerify, authFile, certDir }] of records.entries()) {
    if (hasLayer(context.folders, layer.diffId, context.form)) continue;
    try {
      await tryPlaces(
        from,
        { tlsVerify, authFile, certDir, signal: options.signal },
        (client) => pullLayers(context, client, [layer], options),
      );
    } catch (error) {
      options.signal?.throwIfAborted();
      // another process has got it meanwhile
      if (hasLayer(context.folders, layer.diffId, context.form)) continue;
      // an image may have said of its own layer that it is another's, who must not suffer from it
      if (!records.slice(at + 1).some((next) => next.layer.diffId === layer.diffId)) throw error;
    }
  }
}
