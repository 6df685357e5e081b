/** What `info` tells of this machine, by podman's keys. */

import { readHostname, readLastCapability } from "../container/host_facts.ts";
import { isApparmorEnabled } from "../container/security_options.ts";
import { takeLaunch } from "../config/launch.ts";
import type { NamespaceContext } from "../namespaces/context.ts";
import { findProgram } from "../namespaces/subordinate_ids.ts";
import { resolveCapabilities } from "../security/capabilities.ts";
import type { Folders } from "../state/folders.ts";
import { VERSION } from "./version.ts";

export function hostInfo(namespaces: NamespaceContext, folders: Folders) {
  const memory = readMemory();
  const os = readOsRelease();
  const engine = { package: "skiff", path: takeLaunch().command.at(-1)!, version: VERSION };
  return {
    arch: Deno.build.arch === "aarch64" ? "arm64" : "amd64",
    buildahVersion: "",
    cgroupControllers: cgroupControllers(),
    cgroupManager: "none",
    cgroupVersion: isUnifiedCgroup() ? "v2" : "v1",
    conmon: engine,
    cpuUtilization: cpuUtilization(),
    cpus: navigator.hardwareConcurrency,
    databaseBackend: "sqlite",
    distribution: {
      codename: os.VERSION_CODENAME ?? "",
      distribution: os.ID ?? "",
      variant: os.VARIANT_ID ?? "",
      version: os.VERSION_ID ?? "",
    },
    eventLogger: "file",
    hostname: readHostname(),
    idMappings: { gidmap: namespaces.maps.gid.map(mapping), uidmap: namespaces.maps.uid.map(mapping) },
    kernel: Deno.osRelease(),
    linkmode: "dynamic",
    logDriver: "k8s-file",
    memFree: memory.MemFree ?? 0,
    memTotal: memory.MemTotal ?? 0,
    networkBackend: "skiff",
    networkBackendInfo: { backend: "skiff", ...engine, dns: {} },
    ociRuntime: { name: "skiff", ...engine },
    os: "linux",
    pasta: program("pasta"),
    remoteSocket: { exists: false, path: `${folders.run}/skiff.sock` },
    rootlessNetworkCmd: "slirp",
    security: {
      apparmorEnabled: isApparmorEnabled(Deno.readTextFileSync),
      capabilities: resolveCapabilities({ lastCapability: readLastCapability() }).join(","),
      rootless: namespaces.isRootless,
      seccompEnabled: true,
      seccompProfilePath: "",
      selinuxEnabled: false,
    },
    serviceIsRemote: false,
    slirp4netns: program("slirp4netns"),
    swapFree: memory.SwapFree ?? 0,
    swapTotal: memory.SwapTotal ?? 0,
    uptime: uptime(),
    variant: Deno.build.arch === "aarch64" ? "v8" : "",
  };
}

function mapping(line: { containerID: number; hostID: number; size: number }) {
  return { container_id: line.containerID, host_id: line.hostID, size: line.size };
}

function program(name: string) {
  return { executable: findProgram(name) ?? "", package: "", version: "" };
}

/** Bytes. @see proc_meminfo(5) */
function readMemory(): Record<string, number> {
  const lines = readText("/proc/meminfo").matchAll(/^(\w+):\s+(\d+) kB$/gm);
  return Object.fromEntries(Array.from(lines, ([, name, kib]) => [name!, Number(kib) * 1024]));
}

/** @see os-release(5) */
export function readOsRelease(): Record<string, string> {
  const lines = readText("/etc/os-release").matchAll(/^(\w+)="?(.*?)"?$/gm);
  return Object.fromEntries(Array.from(lines, ([, name, value]) => [name!, value!]));
}

function isUnifiedCgroup(): boolean {
  return readText("/sys/fs/cgroup/cgroup.controllers") !== "";
}

/** Of the own cgroup, as far as it is delegated; none of version 1, whose tree is not ours. */
function cgroupControllers(): string[] {
  const own = /^0::(.*)$/m.exec(readText("/proc/self/cgroup"))?.[1] ?? "";
  const text = isUnifiedCgroup() ? readText(`/sys/fs/cgroup${own}/cgroup.controllers`) : "";
  return text.split(/\s+/).filter((name) => name !== "");
}

/** Per cent since the start of the machine, of all processors. @see proc_stat(5) */
function cpuUtilization() {
  const [user = 0, nice = 0, system = 0, idle = 0, ...rest] = readText("/proc/stat").split("\n")[0]!
    .split(/\s+/).slice(1).map(Number);
  const total = [user, nice, system, idle, ...rest.slice(0, 4)].reduce((sum, one) => sum + one, 0);
  const percent = (ticks: number) => total === 0 ? 0 : Math.round(ticks * 10_000 / total) / 100;
  return { idlePercent: percent(idle), systemPercent: percent(system), userPercent: percent(user + nice) };
}

/** As podman words it: `0h 12m 48.00s`. */
function uptime(): string {
  const seconds = Math.floor(Deno.osUptime());
  return `${Math.floor(seconds / 3600)}h ${Math.floor(seconds / 60) % 60}m ${seconds % 60}.00s`;
}

export function readText(path: string): string {
  try {
    return Deno.readTextFileSync(path).trim();
  } catch {
    return "";
  }
}
