/** Roots of layers that were pulled lazily: served while they are fetched, or pulled whole where that will not do. */

import { SOCK_STREAM } from "../../ffi/constants/socket.ts";
import { close, fcntl, open, pipe2, writeAll } from "../../ffi/file.ts";
import { openFamilies } from "../../ffi/libc.ts";
import { listenUnix } from "../../ffi/socket.ts";
import { posix_spawn } from "../../ffi/spawn.ts";
import { F_DUPFD_CLOEXEC, O_CLOEXEC, O_RDWR } from "../../ffi/constants/fcntl.ts";
import { openFuse } from "../fuse/mount.ts";
import { SkiffError } from "../errors.ts";
import { pairLayers, parseManifestDocument } from "../image/manifest.ts";
import type { LazyLower } from "../monitor/plan.ts";
import type { Digest } from "../spec/digest.ts";
import type { ImageConfig } from "../spec/image.ts";
import { blobPath } from "../storage/blobs.ts";
import type { LazyLayers } from "../storage/drivers/driver.ts";
import { hasLayer, layerForm } from "../storage/layers.ts";
import { type HeldLazyLayer, holdLazyLayer } from "../storage/lazy/hold.ts";
import { isDescribedBy, lazyKey, lazyRecords } from "../storage/lazy/records.ts";
import type { Engine } from "./engine.ts";
import { FIRST_HELD_FD, type LazyServeRequest, LISTEN_FD } from "./lazy_request.ts";
import { ownCommand } from "./remote.ts";

/** What a root needs to have served. */
interface Missing {
  diffId: Digest;
  key: string;
  layer: HeldLazyLayer;
}

/**
 * Starts the server of what is missing of an image's layers.
 *
 * @param digest of the image's manifest, which says by which table each layer is to be served
 * @returns undefined where nothing is missing that could be served
 */
export async function serveMissing(
  engine: Engine,
  digest: Digest,
  diffIds: readonly string[],
  containerDir: string,
): Promise<LazyLayers | undefined> {
  using held = new DisposableStack();
  const missing = await findMissing(engine, digest, diffIds, held);
  if (missing.length === 0) return undefined;
  const lower: LazyLower = {
    target: `${containerDir}/lazy`,
    socket: `${engine.folders.run}/lazy-${crypto.randomUUID().slice(0, 13)}`,
  };
  Deno.mkdirSync(lower.target, { recursive: true, mode: 0o755 });
  spawnServer(engine, lower.socket, missing);
  return {
    lower,
    folders: new Map(missing.map(({ diffId, layer: { record } }, at) => [
      diffId,
      { path: `${lower.target}/${at}`, rootMode: record.rootMode },
    ])),
  };
}

async function findMissing(
  engine: Engine,
  digest: Digest,
  diffIds: readonly string[],
  held: DisposableStack,
): Promise<Missing[]> {
  const form = layerForm(engine.namespaces);
  const what = `manifest ${digest.slice(0, 19)}…`;
  const bytes = await Deno.readFile(blobPath(engine.folders, digest)).catch(() => null);
  if (bytes === null) return [];
  const document = parseManifestDocument(what, bytes, "");
  if (document.kind !== "manifest") return [];
  const config = { rootfs: { type: "layers", diff_ids: diffIds } } as ImageConfig;
  const found = new Map<Digest, Missing>();
  for (const layer of pairLayers(what, document.manifest, config)) {
    if (hasLayer(engine.folders, layer.diffId, form)) continue;
    const key = lazyKey(layer);
    const lazy = key === undefined ? undefined : held.use(holdLazyLayer(engine.folders, key));
    // it has come whole since it was looked for
    if (hasLayer(engine.folders, layer.diffId, form)) continue;
    // it cannot be served whole, and is told as missing
    if (lazy === undefined || !isDescribedBy(layer, lazy.record)) return [];
    found.set(layer.diffId, { diffId: layer.diffId, key: key!, layer: lazy });
  }
  return [...found.values()];
}

/** @throws {HostError} where this machine does not let the user mount what would show the layers */
export function checkLazyWorks(): void {
  openFamilies("file", "mount");
  close(openFuse());
}

/** A skiff of its own: what is forked could not speak to a registry. It listens before this returns. */
function spawnServer(engine: Engine, socket: string, missing: readonly Missing[]): void {
  // for who mounts, in a forked child
  openFamilies("file", "socket", "mount", "spawn");
  const { data, run } = engine.folders;
  const listen = listenUnix(socket, 1, SOCK_STREAM);
  const [input, output] = pipe2(O_CLOEXEC);
  const nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
  const opened: number[] = [];
  try {
    const request: LazyServeRequest = { keys: missing.map(({ key }) => key), data, run, socket };
    writeAll(output, new TextEncoder().encode(`${JSON.stringify(request)}\n`));
    const [path, ...words] = ownCommand();
    const env = Object.entries(Deno.env.toObject()).map(([name, value]) => `${name}=${value}`);
    // above all numbers that are given out, lest one is taken by another before its turn
    const above = FIRST_HELD_FD + missing.length;
    for (const { layer } of missing) opened.push(fcntl(layer.fd, F_DUPFD_CLOEXEC, above));
    const held = Object.fromEntries(opened.map((fd, at) => [FIRST_HELD_FD + at, fd]));
    posix_spawn(path!, [path!, ...words, "__lazy"], env, {
      ...{ 0: input, 1: nothing, 2: nothing, [LISTEN_FD]: listen },
      ...held,
    });
  } catch (cause) {
    throw new SkiffError(`start the server of lazy layers: ${(cause as Error).message}`, { cause });
  } finally {
    for (const fd of [listen, input, output, nothing, ...opened]) close(fd);
  }
}

/**
 * Pulls whole what of these layers was pulled lazily, for who needs all of it.
 *
 * @throws RegistryError, VerificationError where its registry does not give it any more
 */
export async function completeMissing(engine: Engine, diffIds: readonly string[]): Promise<void> {
  const form = layerForm(engine.namespaces);
  const missing = new Set(diffIds.filter((id) => !hasLayer(engine.folders, id as Digest, form)));
  if (missing.size === 0) return;
  const records = lazyRecords(engine.folders).map(({ record }) => record)
    .filter(({ layer }) => missing.has(layer.diffId));
  if (records.length === 0) return;
  const { completeLayers } = await import("../registry/lazy_layer.ts");
  const { folders, namespaces } = engine;
  await completeLayers({ folders, namespaces, form }, records);
}
