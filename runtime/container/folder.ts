/**
 * The folder of a container: made with its lock held, so that nobody takes an unfinished one for garbage.
 *
 * ```
 *  containers/<id>/  lock  config.json  hosts hostname resolv.conf containerenv    made by create
 *                    state.json  exit.json  ctr.log  exec/                         the monitor's
 *                    upper/ work/ merged/                                          the driver's
 * ```
 */

import { LOCK_EX, LOCK_NB, O_CLOEXEC, O_CREAT, O_RDWR } from "../../ffi/constants/fcntl.ts";
import { EAGAIN, isErrno } from "../../ffi/errno.ts";
import { close, flock, open } from "../../ffi/file.ts";
import { ConflictError, UnsupportedError } from "../errors.ts";
import { processStartTime, readExit, readState } from "../monitor/records.ts";
import { userModeAddresses } from "../network/user_mode.ts";
import type { ContainerConfig, NetworkChoice } from "./config.ts";
import type { GeneratedMount } from "./default_mounts.ts";
import { generateFiles, type HostFiles } from "./generated_files.ts";
import { HOST_GATEWAY, leadsOut } from "./network_choice.ts";
import { readMountRecord } from "./mounted.ts";
import { lockPath } from "./state.ts";

/** Makes the folder and takes its lock; the descriptor is the caller's, and later the monitor's. */
export function makeContainerFolder(dir: string): number {
  Deno.mkdirSync(dir, { mode: 0o700 });
  const fd = open(lockPath(dir), O_RDWR | O_CREAT | O_CLOEXEC, 0o600);
  flock(fd, LOCK_EX | LOCK_NB);
  return fd;
}

/** Nobody looks for so long, on however busy a machine. */
const LONGEST_LOOK_MS = 30_000;

/**
 * Takes the lock of an existing container; null where it runs. Whoever only looks holds the lock for
 * moments, so a held lock alone does not mean that a monitor lives.
 */
export async function takeContainerLock(dir: string, signal?: AbortSignal): Promise<number | null> {
  const fd = open(lockPath(dir), O_RDWR | O_CLOEXEC);
  try {
    for (let waitedMs = 0;;) {
      signal?.throwIfAborted();
      try {
        flock(fd, LOCK_EX | LOCK_NB);
        return fd;
      } catch (error) {
        if (!isErrno(error, EAGAIN)) throw error;
      }
      if (hasLiveMonitor(dir)) {
        close(fd);
        return null;
      }
      if (readMountRecord(dir) !== undefined) {
        throw new ConflictError(`use container ${dir.slice(-64).slice(0, 12)}: it is mounted`, {
          hint: `skiff unmount ${dir.slice(-64).slice(0, 12)}`,
        });
      }
      if (waitedMs > LONGEST_LOOK_MS) {
        throw new ConflictError(`lock container folder "${dir}": another skiff works on it`);
      }
      const pauseMs = Math.min(20, 1 + waitedMs / 4);
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      waitedMs += pauseMs;
    }
  } catch (error) {
    close(fd);
    throw error;
  }
}

function hasLiveMonitor(dir: string): boolean {
  const state = readState(dir);
  return state !== undefined && readExit(dir) === undefined && processStartTime(state.monitorPid) !== "";
}

/** Of this machine, as far as its files are a container's. */
export function readHostFiles(network: NetworkChoice): HostFiles {
  return {
    hosts: network.mode === "host" ? readText("/etc/hosts") : "",
    resolvConf: network.mode === "none" ? "" : readText("/etc/resolv.conf"),
    gateway: hostAddress(network),
  };
}

/** Writes config.json and the files that are bound into the container. */
export function writeContainerFiles(dir: string, config: ContainerConfig, rootless: boolean): void {
  const host = readHostFiles(config.network);
  if (host.gateway === undefined && config.hosts?.added.some(({ address }) => address === HOST_GATEWAY)) {
    throw new UnsupportedError("add host: host-gateway needs a network that leads to this machine");
  }
  for (const { name, content } of generateFiles(config, host, rootless)) {
    Deno.writeTextFileSync(`${dir}/${name}`, content, { mode: 0o644 });
  }
  // last: a folder without it is no container
  Deno.writeTextFileSync(`${dir}/config.json.tmp`, JSON.stringify(config), { mode: 0o600 });
  Deno.renameSync(`${dir}/config.json.tmp`, `${dir}/config.json`);
}

/** Waits until config.json is on the disk, so that a power cut damages no container whose id was told. @see fsync(2) */
export async function syncContainerFiles(dir: string): Promise<void> {
  for (const path of [`${dir}/config.json`, dir]) {
    using file = await Deno.open(path, { read: true });
    await file.sync();
  }
}

/** Target and source of every generated file that the folder has, and of those of the container it joins. */
export function generatedMounts(
  dir: string,
  config: ContainerConfig,
  joinedDir: string | undefined,
): GeneratedMount[] {
  const files = filesOf(dir, config, joinedDir);
  const named = files.filter(({ destination }) => NAME_FILES.includes(destination));
  const below = (config.chrootDirs ?? []).flatMap((root) =>
    named.map(({ source, destination }) => ({ source, destination: root + destination, isAsked: true }))
  );
  return [...files, ...below];
}

/** What programs that change their root find below the new one as well. @see podman-run(1), --chrootdirs */
const NAME_FILES = ["/etc/hosts", "/etc/resolv.conf"];

function filesOf(dir: string, config: ContainerConfig, joinedDir: string | undefined): GeneratedMount[] {
  const own = generateFiles(config, { hosts: "", resolvConf: "" }, true)
    .map(({ name, destination }) => ({ source: `${dir}/${name}`, destination }));
  if (config.timezoneFile) own.push({ source: config.timezoneFile, destination: "/etc/localtime" });
  if (joinedDir === undefined) return own;
  return [
    { source: `${joinedDir}/hosts`, destination: "/etc/hosts" },
    { source: `${joinedDir}/resolv.conf`, destination: "/etc/resolv.conf" },
    ...own,
  ];
}

/** What a previous run left; its end was folded into the database before. */
export function removeRecords(dir: string): void {
  for (const name of ["exit.json", "state.json", "health.json", "paused.json", "exec"]) {
    try {
      Deno.removeSync(`${dir}/${name}`, { recursive: true });
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

/** Where a container of this network reaches this machine, as podman tells it: the gateway stands for the loopback. */
function hostAddress(network: NetworkChoice): string | undefined {
  if (network.mode !== "bridge" && !leadsOut(network)) return undefined;
  if (network.mode !== "pasta" && network.mode !== "bridge" && network.options?.allowHostLoopback) {
    return userModeAddresses(network.options).ipv4.gateway;
  }
  return Deno.networkInterfaces().find(({ family, address }) =>
    family === "IPv4" && !address.startsWith("127.") && !address.startsWith("169.254.")
  )?.address;
}

function readText(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}
