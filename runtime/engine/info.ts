/** `info`: this engine and this machine, as podman groups it, with docker's keys beside. */

import { observeContainers } from "../container/state.ts";
import { readHostname, readLastCapability } from "../container/host_facts.ts";
import { resolveCapabilities } from "../security/capabilities.ts";
import { listContainers } from "../state/containers.ts";
import { listImages } from "../state/images.ts";
import { chooseDriver } from "../storage/drivers/choose.ts";
import type { Engine } from "./engine.ts";
import { version } from "./version.ts";

export type InfoDocument = Awaited<ReturnType<typeof info>>;

export async function info(engine: Engine) {
  const db = await engine.database();
  const observed = await observeContainers(db, engine.folders.containers, listContainers(db));
  const running = observed.filter(({ status }) => status.status === "running").length;
  const images = listImages(db).length;
  const { namespaces, folders } = engine;
  const memory = readMemory();
  const arch = Deno.build.arch === "aarch64" ? "arm64" : "amd64";
  const os = readOsRelease();
  const driver = await chooseDriver(engine, engine.storageDriver);
  return {
    host: {
      arch,
      cgroupManager: "none",
      cgroupVersion: cgroupVersion(),
      cpus: navigator.hardwareConcurrency,
      distribution: {
        distribution: os.ID ?? "",
        version: os.VERSION_ID ?? "",
        codename: os.VERSION_CODENAME ?? "",
      },
      hostname: readHostname(),
      idMappings: { uidmap: namespaces.maps.uid.map(mapping), gidmap: namespaces.maps.gid.map(mapping) },
      kernel: Deno.osRelease(),
      logDriver: "k8s-file",
      memFree: memory.MemFree ?? 0,
      memTotal: memory.MemTotal ?? 0,
      networkBackend: "none",
      ociRuntime: { name: "skiff", path: "", version: version().Client.Version },
      os: "linux",
      rootlessNetworkCmd: "",
      serviceIsRemote: false,
      security: {
        apparmorEnabled: false,
        capabilities: resolveCapabilities({ lastCapability: readLastCapability() }).join(","),
        rootless: namespaces.isRootless,
        seccompEnabled: true,
        seccompProfilePath: "",
        selinuxEnabled: false,
      },
      swapFree: memory.SwapFree ?? 0,
      swapTotal: memory.SwapTotal ?? 0,
      uptime: uptime(),
    },
    store: {
      configFile: "",
      containerStore: { number: observed.length, paused: 0, running, stopped: observed.length - running },
      graphDriverName: driver.name,
      graphOptions: {},
      graphRoot: folders.data,
      graphStatus: {},
      imageStore: { number: images },
      runRoot: folders.run,
      volumePath: folders.volumes,
    },
    plugins: {
      volume: ["local"],
      network: ["none", "host"],
      log: ["k8s-file", "json-file", "none", "passthrough"],
      authorization: null,
    },
    version: version().Client,
    // docker's keys
    ID: folders.data,
    Containers: observed.length,
    ContainersRunning: running,
    ContainersPaused: 0,
    ContainersStopped: observed.length - running,
    Images: images,
    Driver: driver.name,
    KernelVersion: Deno.osRelease(),
    OperatingSystem: os.PRETTY_NAME ?? "Linux",
    OSType: "linux",
    Architecture: Deno.build.arch,
    NCPU: navigator.hardwareConcurrency,
    MemTotal: memory.MemTotal ?? 0,
    DockerRootDir: folders.data,
    Name: readHostname(),
    ServerVersion: version().Client.Version,
    SecurityOptions: ["name=seccomp,profile=builtin", ...(namespaces.isRootless ? ["name=rootless"] : [])],
    Warnings: namespaces.maps.isSingle ? [`only one user id is mapped: ${namespaces.maps.reason}`] : null,
  };
}

function mapping(line: { containerID: number; hostID: number; size: number }) {
  return { container_id: line.containerID, host_id: line.hostID, size: line.size };
}

/** Bytes. @see proc_meminfo(5) */
function readMemory(): Record<string, number> {
  const lines = Deno.readTextFileSync("/proc/meminfo").matchAll(/^(\w+):\s+(\d+) kB$/gm);
  return Object.fromEntries(Array.from(lines, ([, name, kib]) => [name!, Number(kib) * 1024]));
}

/** @see os-release(5) */
function readOsRelease(): Record<string, string> {
  try {
    const lines = Deno.readTextFileSync("/etc/os-release").matchAll(/^(\w+)="?(.*?)"?$/gm);
    return Object.fromEntries(Array.from(lines, ([, name, value]) => [name!, value!]));
  } catch {
    return {};
  }
}

function cgroupVersion(): string {
  try {
    Deno.statSync("/sys/fs/cgroup/cgroup.controllers");
    return "v2";
  } catch {
    return "v1";
  }
}

/** As podman words it: `0h 12m 48.00s`. */
function uptime(): string {
  const seconds = Math.floor(Deno.osUptime());
  return `${Math.floor(seconds / 3600)}h ${Math.floor(seconds / 60) % 60}m ${seconds % 60}.00s`;
}
