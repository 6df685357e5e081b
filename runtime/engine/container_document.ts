/**
 * The document of `container inspect`: the keys of Docker's and of Podman's, with Podman's (5) spelling where
 * the two differ for one key. Pure.
 *
 * @see podman-inspect(1); Docker Engine API, ContainerInspect
 */

import { argvOf } from "../container/argv.ts";
import type { ContainerConfig } from "../container/config.ts";
import type { ChosenNamespace } from "../container/extras.ts";
import type { ContainerMount } from "../container/mount_options.ts";
import type { ContainerSecret } from "../container/secret_option.ts";
import { networkModeText } from "../container/network_choice.ts";
import { planCapabilities } from "../container/plan.ts";
import type { FaultRecord } from "../monitor/faults.ts";
import type { HealthConfig } from "../container/lifecycle_options.ts";
import type { HealthRecord } from "../monitor/health_record.ts";
import type { ContainerSize } from "./container_size.ts";
import { networkSettings } from "./network_view.ts";
import type { NetworkDocument } from "./network_endpoints.ts";
import type { PortDocument } from "./port_view.ts";
import { type ContainerStatus, isLive } from "../container/state.ts";
import { DEFAULT_CAPABILITIES } from "../security/capabilities.ts";
import { resolveProtectedPaths } from "../security/paths.ts";
import type { IdMapping } from "../spec/runtime.ts";
import { signalName } from "../spec/signal.ts";
import { ZERO_TIME } from "./clock.ts";

export interface DocumentFacts {
  status: ContainerStatus;
  containerDir: string;
  volumePath: (name: string) => string;
  execIds: string[];
  lastCapability: number;
  health?: HealthRecord;
  restartCount?: number;
  size?: ContainerSize;
  ports?: PortDocument;
  pod?: { id: string; isInfra: boolean; published: PortDocument["ports"] };
  /** Of the user-mode network stack. */
  faults?: FaultRecord;
  networks?: NetworkDocument;
  /** Mount points and folders of the storage driver. */
  driverData: Record<string, string>;
}

export type ContainerDocument = ReturnType<typeof containerDocument>;

export function containerDocument(config: ContainerConfig, facts: DocumentFacts) {
  const { containerDir, status } = facts;
  const argv = argvOf(config);
  const capabilities = planCapabilities(config, facts.lastCapability);
  const isImage = config.root.kind === "image";
  return {
    Id: config.id,
    Created: config.createdAt,
    Path: argv[0] ?? "",
    Args: argv.slice(1),
    State: stateOf(status, facts.health),
    Image: config.root.kind === "image" ? config.root.id : "",
    ImageDigest: config.root.kind === "image" ? config.root.digest : "",
    ImageName: config.imageName,
    Rootfs: config.root.kind === "rootfs" ? config.root.path : "",
    Pod: facts.pod?.id ?? "",
    ResolvConfPath: `${containerDir}/resolv.conf`,
    HostnamePath: `${containerDir}/hostname`,
    HostsPath: `${containerDir}/hosts`,
    StaticDir: containerDir,
    LogPath: config.log.driver === "none" || config.log.driver === "passthrough" ? "" : config.log.path,
    OCIConfigPath: `${containerDir}/config.json`,
    OCIRuntime: "skiff",
    ConmonPidFile: config.conmonPidFile ?? "",
    PidFile: config.pidFile ?? "",
    Name: config.name,
    RestartCount: facts.restartCount ?? 0,
    Driver: config.storageDriver,
    Platform: "linux",
    MountLabel: "",
    ProcessLabel: "",
    AppArmorProfile: config.security.apparmor ?? "",
    EffectiveCaps: capabilities,
    BoundingCaps: capabilities,
    ExecIDs: facts.execIds,
    GraphDriver: { Name: config.storageDriver, Data: isImage ? facts.driverData : null },
    ...(facts.size && { SizeRw: facts.size.rwSize }),
    SizeRootFs: facts.size?.rootFsSize ?? 0,
    Mounts: config.mounts.filter((mount) => mount.kind !== "tmpfs").map((mount) => mountOf(mount, facts)),
    Dependencies: dependencies(config),
    NetworkSettings: {
      ...networkSettings(config, status, facts.faults),
      ...facts.networks?.only,
      ...(facts.ports && { Ports: facts.ports.ports }),
      ...(facts.pod && { Ports: facts.pod.published }),
      ...(facts.networks && { Networks: facts.networks.networks }),
    },
    Namespace: "",
    IsInfra: facts.pod?.isInfra ?? false,
    IsService: false,
    KubeExitCodePropagation: "invalid",
    Config: { ...configOf(config), ...(facts.ports && { ExposedPorts: facts.ports.exposed }) },
    HostConfig: { ...hostConfigOf(config, capabilities), PortBindings: facts.ports?.bindings ?? {} },
  };
}

function stateOf(status: ContainerStatus, health: HealthRecord | undefined) {
  const isRunning = isLive(status.status) && status.status !== "restarting";
  return {
    OciVersion: "1.2.0",
    Status: status.status,
    Running: isRunning,
    Paused: status.status === "paused",
    Restarting: status.status === "restarting",
    OOMKilled: status.oomKilled,
    Dead: false,
    Pid: status.pid,
    ConmonPid: status.monitorPid,
    ExitCode: status.exitCode,
    Error: status.error,
    StartedAt: status.startedAt || ZERO_TIME,
    FinishedAt: status.finishedAt || ZERO_TIME,
    Health: health ?? { Status: "", FailingStreak: 0, Log: null },
    CheckpointedAt: ZERO_TIME,
    RestoredAt: ZERO_TIME,
  };
}

function mountOf(mount: Exclude<ContainerMount, { kind: "tmpfs" }>, facts: DocumentFacts) {
  const propagation = mount.options.find((word) => /^r?(private|shared|slave|unbindable)$/.test(word));
  const options = mount.options.filter((word) => word !== propagation);
  if (mount.kind !== "devpts" && mount.idmap !== undefined) {
    options.push(mount.idmap === "" ? "idmap" : `idmap=${mount.idmap}`);
  }
  return {
    Type: mount.kind,
    ...(mount.kind === "volume" && { Name: mount.name }),
    Source: sourceOf(mount, facts.volumePath),
    Destination: mount.destination,
    Driver: mount.kind === "volume" ? mount.driver ?? "local" : "",
    Mode: "",
    Options: options.includes("bind") || options.includes("rbind") ? options : [...options, "rbind"],
    RW: !mount.readOnly,
    Propagation: propagation ?? "rprivate",
  };
}

function sourceOf(
  mount: Exclude<ContainerMount, { kind: "tmpfs" }>,
  volume: (name: string) => string,
): string {
  if (mount.kind === "volume") return volume(mount.name);
  return mount.kind === "bind" ? mount.source : mount.kind === "image" ? mount.image : "devpts";
}

/** Times in nanoseconds; what is zero is left out. */
function healthOf({ test, intervalMs, timeoutMs, startPeriodMs, retries, startup, log }: HealthConfig) {
  return {
    ...(startup && {
      StartupHealthCheck: {
        Test: startup.test,
        ...(startup.intervalMs && { Interval: startup.intervalMs * 1e6 }),
        Timeout: startup.timeoutMs * 1e6,
        ...(startup.retries && { Retries: startup.retries }),
        ...(startup.successes && { Successes: startup.successes }),
      },
    }),
    Healthcheck: {
      Test: test,
      ...(startPeriodMs && { StartPeriod: startPeriodMs * 1e6 }),
      ...(intervalMs && { Interval: intervalMs * 1e6 }),
      Timeout: timeoutMs * 1e6,
      Retries: retries,
    },
    ...(log && {
      HealthLogDestination: log.destination,
      HealthcheckMaxLogCount: log.maxCount,
      HealthcheckMaxLogSize: log.maxSize,
    }),
  };
}

function configOf(config: ContainerConfig) {
  const { lifecycle } = config;
  return {
    Hostname: config.hostname,
    Domainname: config.domainName ?? "",
    User: config.user,
    AttachStdin: config.interactive,
    AttachStdout: false,
    AttachStderr: false,
    Tty: config.tty,
    OpenStdin: config.interactive,
    StdinOnce: false,
    Env: config.env,
    Cmd: config.cmd,
    Image: config.imageName,
    Volumes: null,
    WorkingDir: config.workdir,
    Entrypoint: config.entrypoint.length > 0 ? config.entrypoint : null,
    OnBuild: null,
    Labels: config.labels,
    Annotations: {
      ...config.annotations,
      "io.container.manager": "skiff",
      "org.opencontainers.image.stopSignal": String(config.stopSignal),
    },
    StopSignal: signalName(config.stopSignal),
    ...(lifecycle?.health && healthOf(lifecycle.health)),
    ...(lifecycle?.healthIsOff && { Healthcheck: { Test: ["NONE"] } }),
    HealthcheckOnFailureAction: lifecycle?.health?.onFailure ?? "none",
    CreateCommand: config.createCommand ?? null,
    Umask: (config.umask ?? 0o022).toString(8).padStart(4, "0"),
    Timeout: lifecycle?.timeoutSeconds ?? 0,
    StopTimeout: config.stopTimeout,
    Passwd: config.accounts?.isListed ?? true,
    ...(config.secrets && { Secrets: config.secrets.flatMap(secretOf) }),
    ...(config.chrootDirs && { ChrootDirs: config.chrootDirs }),
    sdNotifyMode: lifecycle?.sdnotify ?? "container",
  };
}

/** podman does not tell of those that are variables. */
function secretOf(secret: ContainerSecret) {
  if (secret.kind === "env") return [];
  return [{ Name: secret.name, ID: secret.id, UID: secret.uid, GID: secret.gid, Mode: secret.mode }];
}

function hostConfigOf(config: ContainerConfig, capabilities: string[]) {
  const protection = resolveProtectedPaths({
    privileged: config.privileged,
    mask: config.security.mask,
    unmask: config.security.unmask,
  });
  return {
    Binds: config.mounts.filter((mount) => mount.kind !== "tmpfs").map(bindText),
    CgroupManager: "",
    CgroupMode: namespaceText(config, "cgroup"),
    CgroupnsMode: namespaceText(config, "cgroup"),
    ContainerIDFile: config.cidfile ?? "",
    LogConfig: {
      Type: config.log.allowsTerminal ? "passthrough-tty" : config.log.driver,
      Config: config.log.maxSize > 0 ? { "max-size": String(config.log.maxSize) } : null,
      Path: config.log.path,
      Tag: config.log.tag ?? "",
      Size: `${config.log.maxSize}B`,
    },
    NetworkMode: networkModeText(config.network),
    RestartPolicy: {
      Name: config.lifecycle?.restart?.policy ?? "",
      MaximumRetryCount: config.lifecycle?.restart?.retries ?? 0,
    },
    AutoRemove: config.autoRemove,
    VolumeDriver: "",
    VolumesFrom: null,
    CapAdd: capabilities.filter((name) => !DEFAULT_CAPABILITIES.includes(name)),
    CapDrop: DEFAULT_CAPABILITIES.filter((name) => !capabilities.includes(name)),
    Dns: config.resolver?.servers ?? [],
    DnsOptions: config.resolver?.options ?? [],
    DnsSearch: config.resolver?.search ?? [],
    ExtraHosts: (config.hosts?.added ?? []).map(({ names, address }) => `${names.join(";")}:${address}`),
    GroupAdd: config.keepGroups ? ["keep-groups"] : config.groupAdd,
    IpcMode: config.namespaces?.ipc ? namespaceText(config, "ipc") : "shareable",
    Cgroup: "",
    Cgroups: "default",
    Links: null,
    OomScoreAdj: config.oomScoreAdj ?? 0,
    PidMode: namespaceText(config, "pid"),
    Privileged: config.privileged,
    PublishAllPorts: false,
    ReadonlyRootfs: config.readOnly,
    SecurityOpt: config.securityOpt,
    MaskedPaths: protection.maskedPaths,
    ReadonlyPaths: protection.readonlyPaths,
    Tmpfs: Object.fromEntries(
      config.mounts.filter((mount) => mount.kind === "tmpfs")
        .map((mount) => [mount.destination, [mount.readOnly ? "ro" : "rw", ...mount.options].join(",")]),
    ),
    UTSMode: namespaceText(config, "uts"),
    UsernsMode: usernsText(config),
    ...(config.idMaps && {
      IDMappings: { UidMap: config.idMaps.uid.map(lineOf), GidMap: config.idMaps.gid.map(lineOf) },
    }),
    ShmSize: config.shmBytes,
    Runtime: "skiff",
    ConsoleSize: [config.size?.rows ?? 0, config.size?.cols ?? 0],
    Isolation: "",
    Init: config.init,
    Ulimits: config.rlimits.map(({ type, soft, hard }) => ({ Name: type, Soft: soft, Hard: hard })),
    Devices: (config.devices ?? []).map(({ source, destination, permissions }) => ({
      PathOnHost: source,
      PathInContainer: destination,
      CgroupPermissions: permissions,
    })),
    ...UNLIMITED_RESOURCES,
  };
}

function usernsText({ userns, joinedUserns }: ContainerConfig): string {
  if (joinedUserns) {
    return joinedUserns.mode === "path" ? `ns:${joinedUserns.path}` : `container:${joinedUserns.id}`;
  }
  if (userns === "maps") return "private";
  return userns === "host" ? "" : userns;
}

function lineOf({ containerID, hostID, size }: IdMapping): string {
  return `${containerID}:${hostID}:${size}`;
}

/** As it was asked for: `private`, `host`, `container:ID`, `ns:PATH`. */
function namespaceText(config: ContainerConfig, type: ChosenNamespace): string {
  const choice = config.namespaces?.[type];
  if (choice?.mode === "container") return `container:${choice.id}`;
  return choice?.mode === "path" ? `ns:${choice.path}` : choice?.mode ?? "private";
}

/** The containers that it cannot start without. */
function dependencies(config: ContainerConfig): string[] {
  const ids = Object.values(config.namespaces ?? {}).flatMap((choice) =>
    choice.mode === "container" ? [choice.id] : []
  );
  if (config.network.mode === "container") ids.unshift(config.network.id);
  return [...new Set([...ids, ...(config.lifecycle?.requires ?? [])])];
}

function bindText(mount: Exclude<ContainerMount, { kind: "tmpfs" }>): string {
  const source = sourceOf(mount, (name) => name);
  return `${source}:${mount.destination}:${[mount.readOnly ? "ro" : "rw", ...mount.options].join(",")}`;
}

/** Limits of cgroups, none of which is set. */
const UNLIMITED_RESOURCES = {
  CpuShares: 0,
  Memory: 0,
  NanoCpus: 0,
  CgroupParent: "",
  BlkioWeight: 0,
  BlkioWeightDevice: null,
  BlkioDeviceReadBps: null,
  BlkioDeviceWriteBps: null,
  BlkioDeviceReadIOps: null,
  BlkioDeviceWriteIOps: null,
  CpuPeriod: 0,
  CpuQuota: 0,
  CpuRealtimePeriod: 0,
  CpuRealtimeRuntime: 0,
  CpusetCpus: "",
  CpusetMems: "",
  DiskQuota: 0,
  KernelMemory: 0,
  MemoryReservation: 0,
  MemorySwap: 0,
  MemorySwappiness: 0,
  OomKillDisable: false,
  PidsLimit: 0,
  CpuCount: 0,
  CpuPercent: 0,
  IOMaximumIOps: 0,
  IOMaximumBandwidth: 0,
  CgroupConf: null,
};
