/**
 * The server of one container's lazy layers: a skiff of its own, which ends when their mount does.
 *
 * ```
 *  command ── stdin: LazyServeRequest; 3: listens; 4…: locks ──▶ skiff __lazy
 *  monitor ── FUSE descriptor by the socket ───────────────────▶ answers, fetches; once it is quiet, pulls the whole layer
 * ```
 * A registry that stalls costs a reader twenty seconds and EIO. A server that is killed takes the mount's connection with it:
 * who reads then is told so at once.
 */

import { accept4, receiveWithFds } from "../../ffi/socket.ts";
import { SOCK_CLOEXEC } from "../../ffi/constants/socket.ts";
import { F_SETFD, FD_CLOEXEC, O_CLOEXEC } from "../../ffi/constants/fcntl.ts";
import { POLLIN } from "../../ffi/constants/poll.ts";
import { close, fcntl, readAll } from "../../ffi/file.ts";
import { libc, openFamilies } from "../../ffi/libc.ts";
import { pollBlocking } from "../../ffi/poll.ts";
import { setProcessName, setsid } from "../../ffi/process.ts";
import { fillStoreHead, serveAsync, Session, STORE_HEAD_BYTES } from "../fuse/session.ts";
import { FUSE_ASYNC_READ, FUSE_PARALLEL_DIROPS } from "../fuse/constants.ts";
import { HeldClient } from "../registry/held_client.ts";
import { completeLayers, readKeptToc } from "../registry/lazy_layer.ts";
import { contentOf, LazyLayerContent } from "../registry/lazy_content.ts";
import { type ByteRange, fetchRange, fetchRanges } from "../registry/ranges.ts";
import type { StreamRange } from "../registry/layer_toc.ts";
import { DEFAULT_LAYER_LIMIT_BYTES, hasLayer, layerForm } from "../storage/layers.ts";
import { lazyHandler } from "../storage/lazy/handler.ts";
import { removeUnheldLayer } from "../storage/lazy/hold.ts";
import { lazyFolder, type LazyRecord, readLazyRecord } from "../storage/lazy/records.ts";
import { PagePush, type StoreMessage } from "../storage/lazy/page_push.ts";
import { buildTree } from "../storage/lazy/tree.ts";
import { SkiffError } from "../errors.ts";
import type { LayerToc } from "../archive/toc/model.ts";
import type { Folders } from "../state/folders.ts";
import { openEngine } from "./engine.ts";
import { FIRST_HELD_FD, type LazyServeRequest, LISTEN_FD } from "./lazy_request.ts";

/** Nobody mounts after so long: the command has failed. */
const MOUNT_LIMIT_MS = 60_000;
/** A registry that is silent for so long is asked once more, as are all other places of the image. */
const IDLE_LIMIT_MS = 10_000;
/** So long nothing was missing: then the rest is fetched. */
const QUIET_MS = 3_000;
const MAX_LOG_LINES = 100;

/** Serves until the mount is gone. */
export async function serveLazily(): Promise<void> {
  openFamilies("file", "poll", "socket", "process");
  setsid();
  setProcessName("skiff: lazy");
  const request: LazyServeRequest = JSON.parse(new TextDecoder().decode(readAll(0, 1 << 20)));
  closeInherited(request.keys.length);
  const engine = openEngine({ dataFolder: request.data, runtimeFolder: request.run });
  const { folders, namespaces } = engine;
  const form = layerForm(namespaces);
  const end = new AbortController();
  let lastMiss = performance.now();
  const onMiss = () => void (lastMiss = performance.now());
  const onError = logTo(`${lazyFolder(folders, request.keys[0]!)}/log`);

  let opened: OpenLayers;
  try {
    opened = await openLayers(folders, request.keys, { signal: end.signal, onMiss });
  } catch (error) {
    // nobody sees what this process says; who would mount is refused, as nobody listens any more
    onError(error);
    Deno.removeSync(request.socket);
    throw error;
  }
  const { records, layers, tocs, clients } = opened;
  const nodes = buildTree(tocs, {
    overlayXattrs: form.startsWith("root") ? "trusted." : "user.",
    makeDevices: form.startsWith("root"),
    isSingle: form.startsWith("single"),
  });

  const fuse = receiveMount(request.socket);
  if (fuse === undefined) return;
  const content = contentOf(layers);
  const push = new PagePush(content, (length) => storeMessage(fuse, length), onError);
  const handler = lazyHandler(nodes, content, () => session, onError, (...read) => push.wasRead(...read));
  const session: Session = new Session(fuse, handler, { wanted: FUSE_ASYNC_READ | FUSE_PARALLEL_DIROPS });
  const background = (async () => {
    for (const layer of layers) await layer.prefetch().catch((error) => end.signal.aborted || onError(error));
    await untilQuiet(() => lastMiss, end.signal);
    await completeLayers({ folders, namespaces, form }, records.map(({ record }) => record), {
      signal: end.signal,
      parallel: 1,
    });
  })().catch((error) => end.signal.aborted || onError(error));
  await serveAsync(session, fuse);
  end.abort(new SkiffError("the container has ended"));
  await background;
  for (const client of clients) client.release();
  for (const [at, { key, record }] of records.entries()) {
    close(FIRST_HELD_FD + at);
    if (hasLayer(folders, record.layer.diffId, form)) removeUnheldLayer(folders, key);
  }
}

/**
 * What the command was given open, and passed on: a pipe whose reader waits for its end, a lock. All that this process
 * opens itself is closed on exec; of what Deno does, a /dev/null is not.
 */
function closeInherited(heldLayers: number): void {
  for (const { name } of [...Deno.readDirSync("/proc/self/fd")]) {
    const fd = Number(name);
    if (fd <= 2) continue;
    if (fd < FIRST_HELD_FD + heldLayers) {
      fcntl(fd, F_SETFD, FD_CLOEXEC);
      continue;
    }
    try {
      const flags = /^flags:\s+([0-7]+)$/m.exec(Deno.readTextFileSync(`/proc/self/fdinfo/${name}`))![1]!;
      if ((parseInt(flags, 8) & O_CLOEXEC) !== 0) continue;
      if (Deno.readLinkSync(`/proc/self/fd/${name}`) !== "/dev/null") close(fd);
    } catch (error) {
      // that of the listing
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

interface OpenLayers {
  records: { key: string; record: LazyRecord }[];
  layers: LazyLayerContent[];
  tocs: LayerToc[];
  clients: HeldClient[];
}

/** @throws SkiffError where a layer is gone, or its table cannot be had any more */
async function openLayers(
  folders: Folders,
  keys: readonly string[],
  { signal, onMiss }: { signal: AbortSignal; onMiss: () => void },
): Promise<OpenLayers> {
  const opened: OpenLayers = { records: [], layers: [], tocs: [], clients: [] };
  for (const key of keys) {
    const record = readLazyRecord(folders, key);
    if (record === undefined) throw new SkiffError(`serve lazy layer ${key}: it is not here`);
    const { from, layer, tlsVerify, authFile, certDir } = record;
    const client = new HeldClient(from, {
      ...{ tlsVerify, authFile, certDir, signal },
      idleTimeoutMs: IDLE_LIMIT_MS,
      retry: { attempts: 1 },
    });
    client.reach();
    const remote = (range: ByteRange) =>
      client.use((client) => fetchRange(client, { ...layer, signal }, range));
    const stream: StreamRange = async ({ start, end }, onBytes) => {
      await client.use(async (client) => {
        // another place goes on where the one before it failed
        if (start === end) return;
        await fetchRanges(client, {
          ...{ ...layer, signal, ranges: [{ start, end }] },
          async onBytes(bytes) {
            await onBytes(bytes);
            start += bytes.length;
          },
        });
      });
    };
    const toc = (await readKeptToc(lazyFolder(folders, key), layer, DEFAULT_LAYER_LIMIT_BYTES, remote))!;
    opened.records.push({ key, record });
    opened.clients.push(client);
    opened.tocs.push(toc);
    opened.layers.push(new LazyLayerContent(folders, key, record, toc, stream, onMiss));
  }
  return opened;
}

/** Written by another thread: it waits for pages that somebody reads, whom this one answers. */
function storeMessage(fuse: number, contentBytes: number): StoreMessage {
  const message = new Uint8Array(STORE_HEAD_BYTES + contentBytes);
  return {
    content: message.subarray(STORE_HEAD_BYTES),
    send(nodeid, offset, length) {
      fillStoreHead(message, nodeid, offset, length);
      // a kernel that does not take it asks for what it needs
      return libc("file").writeAsync(fuse, message, STORE_HEAD_BYTES + length);
    },
  };
}

/** Descriptor of /dev/fuse of the mount; undefined where nobody has mounted. */
function receiveMount(path: string): number | undefined {
  const isThere = pollBlocking(LISTEN_FD, POLLIN, MOUNT_LIMIT_MS) !== 0;
  try {
    if (!isThere) return undefined;
    const connection = accept4(LISTEN_FD, SOCK_CLOEXEC);
    const { fds } = receiveWithFds(connection, new Uint8Array(1), 1);
    close(connection);
    return fds[0];
  } finally {
    close(LISTEN_FD);
    Deno.removeSync(path);
  }
}

async function untilQuiet(lastMiss: () => number, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    const leftMs = lastMiss() + QUIET_MS - performance.now();
    if (leftMs <= 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, leftMs);
      signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
    });
  }
}

function logTo(path: string): (error: unknown) => void {
  let lines = 0;
  return (error) => {
    if (++lines > MAX_LOG_LINES) return;
    const text = `${new Date().toISOString()} ${(error as Error).message}\n`;
    try {
      Deno.writeTextFileSync(path, text, { append: true, mode: 0o600 });
    } catch {
      // the image is gone
    }
  };
}
