/**
 * `RUN --mount=type=cache`: folders that outlast the build, each under its own lock.
 *
 * ```
 *  build-cache/<sha256 of the id>[.<n>]/   in the data folder; `.n` where `private` found the others in use
 *    lock       held shared or exclusive by the builds that use it
 *    content/   what the step sees
 * ```
 *
 * @see Dockerfile reference, RUN --mount=type=cache
 */

import { digestOf } from "../../spec/digest.ts";
import { type HeldLock, takeLock, tryLock } from "../../state/locks.ts";
import { flattenLayers } from "../../storage/flatten.ts";
import { layerForm, layerPath } from "../../storage/layers.ts";
import { runInNamespace } from "../../storage/namespace_task.ts";
import { fchmodat, fchownat, mkdirat, renameat2 } from "../../../ffi/file.ts";
import { AT_FDCWD, RENAME_NOREPLACE } from "../../../ffi/constants/fcntl.ts";
import { EEXIST, ENOTEMPTY, isErrno } from "../../../ffi/errno.ts";
import type { BuildServices, SolvedMount } from "../services.ts";

export type CacheMount = SolvedMount & { type: "cache" };

export interface OpenedCache extends Disposable {
  mount: CacheMount;
  /** The folder to bind. */
  path: string;
}

type Services = Pick<BuildServices, "folders" | "namespaces">;

/** Where all of them are. */
export function cacheMountsFolder({ data }: { data: string }): string {
  return `${data}/build-cache`;
}

/**
 * Waits for the locks of all these mounts, always in the same order, so that two builds never wait for each other.
 * What the one in the middle fails at lets go of those before it.
 */
export async function openCacheMounts(
  services: Services,
  mounts: readonly CacheMount[],
  signal: AbortSignal,
): Promise<OpenedCache[]> {
  const named = await Promise.all(mounts.map(async (mount) => ({ mount, name: await nameOf(mount) })));
  named.sort((one, other) => one.name < other.name ? -1 : one.name > other.name ? 1 : 0);
  const opened: OpenedCache[] = [];
  const byName = new Map<string, { path: string; lock: HeldLock }>();
  try {
    for (const { mount, name } of named) {
      // a step that mounts the same one twice has it once
      let held = byName.get(name);
      const isFirst = held === undefined;
      if (held === undefined) byName.set(name, held = await takeFolder(services, name, mount, signal));
      const { path, lock } = held;
      opened.push({ mount, path, [Symbol.dispose]: () => isFirst && lock[Symbol.dispose]() });
      await fill(services, path, mount);
    }
    return opened;
  } catch (error) {
    for (const one of opened) one[Symbol.dispose]();
    throw error;
  }
}

/** What `from` shows at first is part of the name: another beginning is another cache. */
async function nameOf({ id, tree, source }: CacheMount): Promise<string> {
  const layers = tree?.kind === "snapshot" ? tree.snapshot.layers.map(({ diffId }) => diffId) : [];
  const from = layers.length === 0 ? [] : [...layers, source];
  const digest = await digestOf(new TextEncoder().encode(JSON.stringify([id, ...from])));
  return digest.slice(digest.indexOf(":") + 1);
}

async function takeFolder(
  { folders }: Services,
  name: string,
  { sharing }: CacheMount,
  signal: AbortSignal,
): Promise<{ path: string; lock: HeldLock }> {
  for (let number = 0;; number++) {
    const dir = `${cacheMountsFolder(folders)}/${name}${number === 0 ? "" : `.${number}`}`;
    Deno.mkdirSync(dir, { recursive: true, mode: 0o700 });
    try {
      const lock = sharing === "private"
        ? tryLock(`${dir}/lock`)
        : await takeLock(`${dir}/lock`, { shared: sharing === "shared", signal });
      if (lock === null) continue;
      if (lock.isCurrent()) {
        // what was used last is told by it
        const now = new Date();
        Deno.utimeSync(lock.path, now, now);
        return { path: `${dir}/content`, lock };
      }
      lock[Symbol.dispose]();
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    // a prune has removed the folder meanwhile
    number--;
  }
}

/** Makes the folder where it is new; of two builds that do so at once the first is as good. */
async function fill(services: Services, path: string, mount: CacheMount): Promise<void> {
  try {
    Deno.lstatSync(path);
    return;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const dir = path.slice(0, path.lastIndexOf("/"));
  const layers = mount.tree?.kind === "snapshot" ? mount.tree.snapshot.layers : [];
  if (layers.length > 0) {
    const form = layerForm(services.namespaces);
    const paths = layers.toReversed().map(({ diffId }) => layerPath(services.folders, diffId, form));
    return await flattenLayers(services, paths, dir, "content");
  }
  const fresh = `${dir}/new-${crypto.randomUUID()}`;
  await runInNamespace(services, "make cache mount", () => {
    mkdirat(AT_FDCWD, fresh, 0o700);
    fchownat(AT_FDCWD, fresh, mount.uid, mount.gid);
    fchmodat(AT_FDCWD, fresh, mount.mode);
    try {
      renameat2(AT_FDCWD, fresh, AT_FDCWD, path, RENAME_NOREPLACE);
    } catch (error) {
      if (!isErrno(error, EEXIST, ENOTEMPTY)) throw error;
      Deno.removeSync(fresh);
    }
  });
}
