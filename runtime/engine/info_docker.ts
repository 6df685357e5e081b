/** The keys of `docker info`, out of what podman's hold. @see Docker Engine API, SystemInfo */

import type { NamespaceContext } from "../namespaces/context.ts";
import type { Folders } from "../state/folders.ts";
import { findMaskedProc, readMountTable } from "../state/mount_table.ts";
import { readOsRelease, readText } from "./info_host.ts";
import { VERSION } from "./version.ts";

export interface DockerFacts {
  namespaces: NamespaceContext;
  folders: Folders;
  driver: string;
  driverStatus: Record<string, string>;
  counts: { all: number; running: number; paused: number; images: number };
  hostname: string;
  memTotal: number;
  cgroupVersion: string;
  logDrivers: string[];
}

export function dockerInfo(facts: DockerFacts) {
  const { namespaces, folders, driver, driverStatus, counts, hostname, memTotal, cgroupVersion, logDrivers } =
    facts;
  const os = readOsRelease();
  const proxy = (name: string) => Deno.env.get(name.toLowerCase()) ?? Deno.env.get(name.toUpperCase()) ?? "";
  return {
    ID: folders.data,
    Containers: counts.all,
    ContainersRunning: counts.running,
    ContainersPaused: counts.paused,
    ContainersStopped: counts.all - counts.running - counts.paused,
    Images: counts.images,
    Driver: driver,
    DriverStatus: Object.entries(driverStatus),
    Plugins: { Volume: ["local"], Network: ["none", "host"], Authorization: null, Log: logDrivers },
    MemoryLimit: false,
    SwapLimit: false,
    CpuCfsPeriod: false,
    CpuCfsQuota: false,
    CPUShares: false,
    CPUSet: false,
    PidsLimit: false,
    OomKillDisable: false,
    IPv4Forwarding: readText("/proc/sys/net/ipv4/ip_forward") === "1",
    Debug: false,
    SystemTime: new Date().toISOString(),
    LoggingDriver: "k8s-file",
    CgroupDriver: "none",
    CgroupVersion: cgroupVersion.replace(/^v/, ""),
    KernelVersion: Deno.osRelease(),
    OperatingSystem: os.PRETTY_NAME ?? "Linux",
    OSVersion: os.VERSION_ID ?? "",
    OSType: "linux",
    Architecture: Deno.build.arch,
    NCPU: navigator.hardwareConcurrency,
    MemTotal: memTotal,
    DockerRootDir: folders.data,
    HttpProxy: withoutPassword(proxy("http_proxy")),
    HttpsProxy: withoutPassword(proxy("https_proxy")),
    NoProxy: proxy("no_proxy"),
    Name: hostname,
    Labels: [],
    ExperimentalBuild: false,
    ServerVersion: VERSION,
    Runtimes: { skiff: { path: "skiff" } },
    DefaultRuntime: "skiff",
    LiveRestoreEnabled: true,
    InitBinary: "skiff",
    SecurityOptions: ["name=seccomp,profile=builtin", ...(namespaces.isRootless ? ["name=rootless"] : [])],
    Warnings: warnings(namespaces, folders),
  };
}

/** What `run` has told once. */
function warnings(namespaces: NamespaceContext, folders: Folders): string[] | null {
  const { isSingle, reason, remedy } = namespaces.maps;
  const hidden = namespaces.isRootless ? findMaskedProc(readMountTable()) : undefined;
  const told = [
    ...(isSingle ? [`only one user id is mapped: ${reason}; ${remedy}`] : []),
    ...(folders.obstacle === undefined ? [] : [`data is in ${folders.data}: ${folders.obstacle}`]),
    ...(hidden === undefined ? [] : [`${hidden} is hidden: containers see this container's /proc`]),
  ];
  return told.length > 0 ? told : null;
}

function withoutPassword(url: string): string {
  return url.replace(/^(\w+:\/\/)[^/@]*@/, "$1xxxxx:xxxxx@");
}
