/** `mount`, `unmount`: a container's root as a folder of the host, or of a session of `unshare`. */

import { close, pipe2, readAsync } from "../../ffi/file.ts";
import { openFamilies } from "../../ffi/libc.ts";
import { kill } from "../../ffi/process.ts";
import { O_CLOEXEC } from "../../ffi/constants/fcntl.ts";
import { ESRCH, isErrno } from "../../ffi/errno.ts";
import { SIGTERM } from "../../ffi/constants/signal.ts";
import { takeContainerLock } from "../container/folder.ts";
import { type MountRecord, mountRecordPath, readMountRecord } from "../container/mounted.ts";
import { ConflictError, HostError } from "../errors.ts";
import type { HolderMessage } from "../files/mount_holder.ts";
import { processStartTime } from "../monitor/records.ts";
import { readBootId } from "../state/boot.ts";
import { listContainers } from "../state/containers.ts";
import { recordContainerEvent } from "../state/events.ts";
import { prepareRoot } from "./container_root.ts";
import { loadConfig, observe } from "./containers.ts";
import type { Engine } from "./engine.ts";
import { nestedMaps } from "./nested_maps.ts";

export interface MountedContainer {
  id: string;
  Names: string[];
  mountpoint: string;
}

/** Mounts the root of a container that does not run, and gives the folder; of a running one it is that of its init. */
export async function mountContainer(engine: Engine, text: string, signal?: AbortSignal): Promise<string> {
  const { row } = await observe(engine, text);
  requireSession(engine, "mount");
  const dir = engine.containerDir(row.id);
  for (let attempt = 0; attempt < 10; attempt++) {
    const { status } = await observe(engine, row.id);
    if (status.pid > 0) return `/proc/${status.pid}/root`;
    const known = readMountRecord(dir);
    if (known !== undefined) return seenFrom(engine, known, text);
    const lock = await takeContainerLock(dir, signal);
    if (lock === null) continue; // started meanwhile
    try {
      const config = loadConfig(engine, row.id);
      const plan = await prepareRoot(engine, config, dir, nestedMaps(engine, config));
      const sessionPid = engine.namespaces.isInside?.sessionPid;
      const pid = await startHolder(engine, plan, lock, sessionPid);
      const record: MountRecord = {
        path: plan.target,
        pid,
        startTime: processStartTime(pid),
        bootId: readBootId(),
        sessionPid,
      };
      Deno.writeTextFileSync(`${mountRecordPath(dir)}.tmp`, JSON.stringify(record), { mode: 0o600 });
      Deno.renameSync(`${mountRecordPath(dir)}.tmp`, mountRecordPath(dir));
      recordContainerEvent(engine.folders, row, "mount");
      return plan.target;
    } finally {
      close(lock);
    }
  }
  throw new ConflictError(`mount container "${text}": it keeps starting and ending`);
}

/** As podman: an ordinary user has no place for mounts but a session of `unshare`. */
export function requireSession(engine: Engine, verb: string): void {
  const { isRootless, isInside } = engine.namespaces;
  if (!isRootless || isInside) return;
  throw new ConflictError(
    `cannot run command "skiff ${verb}" in rootless mode, must execute \`skiff unshare\` first`,
  );
}

function seenFrom(engine: Engine, record: MountRecord, text: string): string {
  if (record.sessionPid === engine.namespaces.isInside?.sessionPid) return record.path;
  throw new ConflictError(
    `mount container "${text}": it is mounted in another session of unshare (process ${record.sessionPid})`,
  );
}

/** Gives the pid of the process that keeps the mount, as fuse-overlayfs needs it; `lock` is kept open by it. */
export async function startHolder(
  engine: Engine,
  plan: Awaited<ReturnType<typeof prepareRoot>>,
  lock: number,
  sessionPid: number | undefined,
): Promise<number> {
  const [{ forkMountHolder }, { forkInUserNamespace }] = await Promise.all([
    import("../files/mount_holder.ts"),
    import("../namespaces/fork_task.ts"),
  ]);
  openFamilies(
    "fork",
    "file",
    "process",
    "credentials",
    "mount",
    "namespaces",
    "signal",
    "poll",
    "xattr",
  );
  const [told, ready] = pipe2(O_CLOEXEC);
  try {
    const task = await forkInUserNamespace(
      engine.namespaces,
      [lock, ready],
      () => forkMountHolder(plan, { lock, ready }, sessionPid),
    ).finally(() => close(ready));
    await task.wait();
    const buffer = new Uint8Array(65536);
    const length = await readAsync(told, buffer);
    if (length === 0) throw new HostError("mount container: the process that holds the mount has died");
    const message: HolderMessage = JSON.parse(new TextDecoder().decode(buffer.subarray(0, length)));
    if ("error" in message) throw new HostError(`mount container: ${message.error}`);
    return message.pid;
  } finally {
    close(told);
  }
}

/** Gives the id; one that is not mounted is no error. @throws {HostError} where something works in it still */
export async function unmountContainer(engine: Engine, text: string, force = false): Promise<string> {
  const { row } = await observe(engine, text);
  const dir = engine.containerDir(row.id);
  const record = readMountRecord(dir);
  if (record !== undefined) {
    if (record.sessionPid === engine.namespaces.isInside?.sessionPid) {
      const [{ unmount }, { runFileTask }] = await Promise.all([
        import("../files/mount_holder.ts"),
        import("../files/task.ts"),
      ]);
      await runFileTask(engine.namespaces, () => unmount(record.path, force));
    }
    // with it the mount of another session goes as well, once nobody works there
    await endHolder(record);
    recordContainerEvent(engine.folders, row, "unmount");
  }
  try {
    Deno.removeSync(mountRecordPath(dir));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return row.id;
}

async function endHolder({ pid, startTime }: MountRecord): Promise<void> {
  try {
    kill(pid, SIGTERM);
  } catch (error) {
    if (!isErrno(error, ESRCH)) throw error;
  }
  for (let waitedMs = 0; waitedMs < 5000 && processStartTime(pid) === startTime; waitedMs += 5) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** The containers that `mount` shows here. */
export async function listMounts(engine: Engine): Promise<MountedContainer[]> {
  const db = await engine.database();
  const session = engine.namespaces.isInside?.sessionPid;
  return listContainers(db).flatMap(({ id, name }) => {
    const record = readMountRecord(engine.containerDir(id));
    return record?.sessionPid === session && record ? [{ id, Names: [name], mountpoint: record.path }] : [];
  });
}
