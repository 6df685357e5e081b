/**
 * From a container's config and the facts of this machine to the plan that the monitor performs. Pure: what has
 * to be looked up or made was looked up and made before.
 */

import type { EventPlan, IdMappedMount, InitAnnex, MonitorPlan, RootfsPlan } from "../monitor/plan.ts";
import { PROTOCOL_VERSION } from "../monitor/plan.ts";
import type { NetworkPlan } from "../network/plan.ts";
import { planStack, planTun } from "../network/user_mode.ts";
import { ALL_CAPABILITIES, resolveCapabilities } from "../security/capabilities.ts";
import { resolveProtectedPaths } from "../security/paths.ts";
import type { SeccompFilter } from "../security/seccomp.ts";
import type { IdMapping, LinuxSpec, ProcessSpec, RlimitSpec, RuntimeSpec } from "../spec/runtime.ts";
import { argvOf } from "./argv.ts";
import type { ContainerConfig } from "./config.ts";
import { apparmorOf } from "./security_options.ts";
import type { ChosenNamespace } from "./extras.ts";
import { type MountFacts, planMounts } from "./default_mounts.ts";
import type { VolumeMount } from "./mount_options.ts";
import { ownsNetwork } from "./network_choice.ts";

export interface PlanFacts extends MountFacts {
  /** Started when it has ended. */
  atEnd?: MonitorPlan["atEnd"];
  containerDir: string;
  eventsPath: string;
  trashPath: string;
  runtimeDir: string;
  socketPath: string;
  rootfs: RootfsPlan;
  /** A single-id map: one id inside, so ownership is pretended. */
  isSingleId: boolean;
  /** The compiled filter; undefined is unconfined. */
  seccomp?: SeccompFilter;
  /** Highest capability of this kernel. */
  lastCapability: number;
  nestedUserns?: { uid: IdMapping[]; gid: IdMapping[] };
  /** The network namespace that is joined: another container's `/proc/PID/ns/net`, or `ns:PATH`. */
  networkPath?: string;
  /** pasta(1) or slirp4netns(1), as it is to be run. */
  networkProgram?: NetworkPlan;
  /** What is mounted besides the root; `mountRoots` has the places. */
  mountRootPlans?: RootfsPlan[];
  idMapped?: IdMappedMount[];
  /** Volumes that are still empty and get the image's content. */
  freshVolumes: ReadonlySet<string>;
  /** Device nodes of the host. */
  devices: { source: string; destination: string }[];
  /** Namespaces of other containers, besides the network. */
  join?: InitAnnex["join"];
  /** The file of the nested user namespace, where it is another container's. */
  joinUserns?: string;
  /** The init whose /dev/shm is shared. */
  sharedMemoryOf?: number;
  /** The caller's RLIMIT_NOFILE, where the runtime has raised it. */
  callerNofile?: { soft: number; hard: number };
  /** The program starts when a first client has attached. */
  startOnAttach: boolean;
}

/** Everything a monitor needs to run this container once. */
export function planContainer(config: ContainerConfig, facts: PlanFacts): MonitorPlan {
  const spec = planSpec(config, facts);
  const anonymous = config.mounts.filter((mount) => mount.kind === "volume" && mount.anonymous);
  return {
    protocol: PROTOCOL_VERSION,
    id: config.id,
    name: config.name,
    containerDir: facts.containerDir,
    runtimeDir: facts.runtimeDir,
    socketPath: facts.socketPath,
    rootfs: facts.rootfs,
    mountRoots: facts.mountRootPlans,
    ...facts.idMapped?.length && { idMapped: facts.idMapped },
    init: {
      spec,
      annex: {
        user: config.user,
        groupAdd: config.groupAdd,
        keepGroups: config.keepGroups,
        accounts: planAccounts(config),
        sharedMemoryOf: facts.sharedMemoryOf,
        createWorkdir: true,
        setHome: !config.env.some((word) => word.startsWith("HOME=")),
        copyUp: planCopyUp(config, facts),
        giveToUser: planGifts(config, facts),
        giveInside: planInnerGifts(config),
        initProcess: config.init,
        join: [
          ...(facts.networkPath ? [{ type: "network" as const, path: facts.networkPath }] : []),
          ...(facts.join ?? []),
        ],
        nestedUserns: facts.nestedUserns,
        joinUserns: facts.joinUserns,
        fakeOwnership: facts.isSingleId,
        seccompProgram: facts.seccomp?.program,
        seccompFlags: facts.seccomp?.flags,
        privileged: config.privileged,
        devices: facts.devices,
        loopbackUp: ownsNetwork(config.network),
        ...planInterface(config),
        ...(facts.networkProgram && { monitorForksAgain: true, sendNetns: true }),
        ...(facts.atEnd && { monitorForksAgain: true }),
      },
    },
    stdio: {
      tty: config.tty,
      openStdin: config.interactive,
      stdinOnce: config.interactive && facts.startOnAttach,
      startOnAttach: facts.startOnAttach,
      size: config.size,
    },
    log: config.logAttributes ? { ...config.log, attributes: config.logAttributes } : config.log,
    stop: { signal: config.stopSignal, timeoutSeconds: config.stopTimeout },
    autoRemove: config.autoRemove,
    atEnd: facts.atEnd,
    removeWith: anonymous.map((mount) =>
      volumeFolder(facts.volumePath(mount.kind === "volume" ? mount.name : ""))
    ),
    trash: facts.trashPath,
    pidFile: config.pidFile,
    conmonPidFile: config.conmonPidFile,
    events: planEvents(config, facts.eventsPath),
    network: facts.networkProgram ?? planNetwork(config, spec.process),
  };
}

/** What the monitors of a container and of its exec sessions tell of it. */
export function planEvents(config: ContainerConfig, path: string): EventPlan {
  const { id, name, imageName: image, labels: attributes } = config;
  return { path, subject: { type: "container", id, name, image, attributes } };
}

/** The capabilities that the container's process may use. */
export function planCapabilities(config: ContainerConfig, lastCapability: number): string[] {
  return resolveCapabilities({
    add: config.capAdd,
    drop: config.capDrop,
    privileged: config.privileged,
    lastCapability,
  }).filter((name) => ALL_CAPABILITIES.indexOf(name) <= lastCapability);
}

function planSpec(config: ContainerConfig, facts: PlanFacts): RuntimeSpec {
  return {
    ociVersion: "1.2.0",
    process: planProcess(config, facts),
    root: { path: facts.rootfs.target, readonly: config.readOnly },
    // of the machine's or another container's nothing is changed
    ...(ownsNamespace(config, "uts") && { hostname: config.hostname, domainname: config.domainName }),
    ...(config.annotations && { annotations: config.annotations }),
    mounts: planMounts(config, facts),
    linux: planLinux(config, facts),
  };
}

function planProcess(config: ContainerConfig, facts: PlanFacts): ProcessSpec {
  const names = planCapabilities(config, facts.lastCapability);
  return {
    terminal: config.tty,
    ...(config.size && { consoleSize: { height: config.size.rows, width: config.size.cols } }),
    // init resolves the name of the user inside the root
    user: { uid: 0, gid: 0, umask: config.umask ?? 0o022 },
    args: argvOf(config),
    env: config.env,
    cwd: config.workdir,
    // nothing inheritable or ambient: a process that is not root gains nothing by execve (CVE-2022-24769)
    capabilities: { bounding: names, effective: names, permitted: names, inheritable: [], ambient: [] },
    rlimits: planRlimits(config.rlimits, facts.callerNofile),
    noNewPrivileges: config.security.noNewPrivileges,
    ...(config.oomScoreAdj !== undefined && { oomScoreAdj: config.oomScoreAdj }),
    ...apparmorOf(config.security),
  };
}

function planRlimits(limits: RlimitSpec[], nofile: PlanFacts["callerNofile"]): RlimitSpec[] {
  if (!nofile || limits.some(({ type }) => type === "RLIMIT_NOFILE")) return limits;
  return [...limits, { type: "RLIMIT_NOFILE", ...nofile }];
}

function planLinux(config: ContainerConfig, facts: PlanFacts): LinuxSpec {
  const namespaces: LinuxSpec["namespaces"] = [
    { type: "mount" },
    ...CHOSEN_NAMESPACES.filter((type) => ownsNamespace(config, type)).map((type) => ({ type })),
    ...(facts.join ?? []).filter(({ type }) => type !== "network"),
  ];
  if (ownsNetwork(config.network)) namespaces.push({ type: "network" });
  if (facts.networkPath) namespaces.push({ type: "network", path: facts.networkPath });
  if (facts.nestedUserns) namespaces.unshift({ type: "user" });
  const protection = resolveProtectedPaths({
    privileged: config.privileged,
    mask: config.security.mask,
    unmask: config.security.unmask,
  });
  return {
    namespaces,
    ...(facts.nestedUserns && { uidMappings: facts.nestedUserns.uid, gidMappings: facts.nestedUserns.gid }),
    ...protection,
    ...(config.sysctl && { sysctl: config.sysctl }),
    ...(config.personality && { personality: config.personality }),
    rootfsPropagation: "rprivate",
  };
}

function planInterface({ network }: ContainerConfig): Pick<InitAnnex, "tun"> {
  return network.mode === "slirp" ? { tun: planTun(network.options) } : {};
}

function planNetwork({ network }: ContainerConfig, { capabilities }: ProcessSpec): NetworkPlan | undefined {
  if (network.mode !== "slirp") return undefined;
  const keepsConnections = capabilities?.bounding.includes("CAP_NET_ADMIN");
  const stack = planStack(network.options);
  return { kind: "user-mode", stack: { ...stack, ...(keepsConnections && { keepsConnections }) } };
}

const CHOSEN_NAMESPACES = ["pid", "ipc", "uts", "cgroup"] as const;

/** Whether it is made for this container. */
export function ownsNamespace(config: ContainerConfig, type: ChosenNamespace): boolean {
  const mode = config.namespaces?.[type]?.mode;
  return mode !== "host" && mode !== "container" && mode !== "path";
}

function planAccounts({ accounts }: ContainerConfig): InitAnnex["accounts"] {
  if (accounts === undefined) return { hostUsers: [] };
  const { isListed, ...plan } = accounts;
  return isListed ? plan : undefined;
}

function planCopyUp(config: ContainerConfig, facts: PlanFacts): InitAnnex["copyUp"] {
  return config.mounts.flatMap((mount) => {
    if (mount.kind !== "volume" || mount.overlay || !facts.freshVolumes.has(mount.name)) return [];
    const { destination, copyUp } = mount;
    return [{ source: copyUpSource(mount, facts), destination, ...(!copyUp && { ownerOnly: true }) }];
  });
}

/** Through the mount that shows other owners, so that what is copied has them on disk. */
function copyUpSource(mount: VolumeMount, facts: PlanFacts): string {
  const shown = mount.idmap === undefined ? undefined : facts.mountRoots?.get(mount.destination);
  return shown ?? facts.volumePath(mount.name);
}

function planGifts(config: ContainerConfig, facts: PlanFacts): InitAnnex["giveToUser"] {
  const gifts = config.mounts.flatMap((mount) => {
    if ((mount.kind !== "bind" && mount.kind !== "volume") || !mount.giveToUser) return [];
    const own = mount.kind === "bind" ? mount.source : facts.volumePath(mount.name);
    const source = facts.mountRoots?.get(mount.destination) ?? own;
    return [{ source, subpath: mount.kind === "volume" ? mount.subpath : undefined }];
  });
  return gifts.length === 0 ? undefined : gifts;
}

/** `U` of a tmpfs, which nobody reaches before it is there. */
function planInnerGifts({ mounts }: ContainerConfig): string[] | undefined {
  const given = mounts.filter((mount) => mount.kind === "tmpfs" && mount.giveToUser);
  return given.length === 0 ? undefined : given.map(({ destination }) => destination);
}

/** `volumes/<name>` of `volumes/<name>/_data`. */
function volumeFolder(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}
