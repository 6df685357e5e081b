/** Looks up and makes what a container's plan needs of this machine, right before a start. */

import { MACHINE } from "../../ffi/arch.ts";
import { AT_FDCWD, F_OK } from "../../ffi/constants/fcntl.ts";
import { faccessat } from "../../ffi/file.ts";
import { takeLaunch } from "../config/launch.ts";
import type { ContainerConfig, NetworkChoice } from "../container/config.ts";
import { generatedMounts } from "../container/folder.ts";
import { leadsOut, ownsNetwork } from "../container/network_choice.ts";
import { listDevices, readHardLimit, readLastCapability } from "../container/host_facts.ts";
import { planCapabilities, type PlanFacts } from "../container/plan.ts";
import { HostError } from "../errors.ts";
import { findTunObstacle } from "../network/tun_device.ts";
import type { IdMapping } from "../spec/runtime.ts";
import { seccompFilter } from "../security/seccomp.ts";
import { eventsPath } from "../state/events.ts";
import { monitorSocketPath, programSocketPath, trashPath } from "../state/folders.ts";
import { createVolume, hasChosenOwner, hasVolume, volumePath } from "../storage/volumes.ts";
import { prepareRoot } from "./container_root.ts";
import { loadConfig, observeRunning } from "./containers.ts";
import type { Engine } from "./engine.ts";
import { nestedMaps } from "./nested_maps.ts";

export async function gatherFacts(
  engine: Engine,
  config: ContainerConfig,
  startOnAttach: boolean,
): Promise<PlanFacts> {
  const { folders, namespaces } = engine;
  const containerDir = engine.containerDir(config.id);
  const lastCapability = readLastCapability();
  const nestedUserns = nestedMaps(engine, config);
  const hasPlugin = config.mounts.some((mount) => mount.kind === "volume" && mount.driver);
  let atEnd = hasPlugin
    ? await (await import("./volume_plugins/mounts.ts")).mountPluginVolumes(engine, config)
    : undefined;
  if (config.pod?.stopsPod) {
    const { endProgram } = await import("./end_program.ts");
    atEnd = endProgram(folders, "__stop_idle_pod", config.pod.id);
  }
  for (const mount of config.mounts) {
    if (mount.kind === "volume" && !hasVolume(folders, mount.name)) createVolume(folders, mount.name);
  }
  if (nestedUserns) {
    const { giveToNestedRoot } = await import("./nested_owners.ts");
    await giveToNestedRoot(engine, config, nestedUserns);
  }
  const joined = config.network.mode === "container" ? ownerOfNetwork(engine, config.network.id) : undefined;
  const hasRoots = config.mounts.some((mount) =>
    mount.kind === "image" ||
    (mount.kind !== "tmpfs" && mount.kind !== "devpts" && (mount.overlay || mount.idmap !== undefined)) ||
    (mount.kind === "volume" && mount.filesystem)
  );
  const mountRoots = hasRoots
    ? await (await import("./mount_roots.ts")).planMountRoots(engine, config, nestedUserns)
    : undefined;
  const [networkPath, rootfs, seccomp] = await Promise.all([
    networkPathOf(engine, config.network),
    prepareRoot(engine, config, containerDir, nestedUserns, true),
    seccompFilter({
      profile: config.privileged && config.security.seccomp.kind === "default"
        ? { kind: "unconfined" }
        : config.security.seccomp,
      capabilities: planCapabilities(config, lastCapability),
      fakeOwnership: namespaces.maps.isSingle,
      machine: MACHINE,
      kernelRelease: Deno.osRelease(),
    }),
  ]);
  return {
    atEnd,
    containerDir,
    eventsPath: eventsPath(folders),
    trashPath: trashPath(folders, config.id),
    runtimeDir: folders.run,
    socketPath: monitorSocketPath(folders, config.id),
    rootfs,
    isSingleId: namespaces.maps.isSingle,
    seccomp,
    lastCapability,
    nestedUserns,
    networkPath,
    networkProgram: await findNetworkProgram(engine, config),
    freshVolumes: findFreshVolumes(engine, config),
    devices: await findDevices(config),
    ...config.namespaces && await (await import("./joined_namespaces.ts")).findJoined(engine, config),
    ...config.joinedUserns && nestedUserns && {
      joinUserns: await (await import("./joined_userns.ts"))
        .findJoinedUserns(engine, config.joinedUserns, nestedUserns),
    },
    callerNofile: callerNofile(),
    startOnAttach,
    mapsTtyGroup: !namespaces.maps.isSingle && (nestedUserns === undefined || hasId(nestedUserns.gid, TTY)),
    mayMountSysfs: ownsNetwork(config.network) ||
      (nestedUserns === undefined && (!namespaces.isRootless || config.network.mode === "container")),
    isNested: nestedUserns !== undefined,
    canMakeDevices: !namespaces.isRootless,
    generated: [
      ...generatedMounts(
        containerDir,
        config,
        joined === undefined ? undefined : engine.containerDir(joined),
      ).filter(({ destination }) =>
        // the machine's /etc is read-only there: over a file that it lacks nothing can be mounted
        rootfs.kind !== "host" || !namespaces.isRootless || !destination.startsWith("/etc/") ||
        faccessat(AT_FDCWD, destination, F_OK)
      ),
      ...await singleIdMounts(namespaces, containerDir),
    ],
    volumePath: (name) => volumePath(folders, name),
    mountRoots: mountRoots?.targets,
    mountRootPlans: mountRoots?.plans,
    idMapped: mountRoots?.idMapped,
  };
}

/** The group of terminals. */
const TTY = 5;

function hasId(map: readonly IdMapping[], id: number): boolean {
  return map.some(({ containerID, size }) => id >= containerID && id < containerID + size);
}

async function findDevices(config: ContainerConfig): Promise<PlanFacts["devices"]> {
  if (!config.privileged && !config.devices) return [];
  const own = config.privileged ? listDevices().map((path) => ({ source: path, destination: path })) : [];
  if (!config.devices) return own;
  const { expandDevices } = await import("../container/device_options.ts");
  return [...own, ...expandDevices(config.devices)];
}

async function singleIdMounts(
  { maps }: Engine["namespaces"],
  containerDir: string,
): Promise<PlanFacts["generated"]> {
  if (!maps.isSingle) return [];
  const { writeSingleIdFiles } = await import("../container/single_id_files.ts");
  return writeSingleIdFiles(containerDir);
}

/** The plan of a network that another program serves. Throws where this machine cannot serve it. */
async function findNetworkProgram(
  { folders }: Engine,
  { id, network, ports }: ContainerConfig,
): Promise<PlanFacts["networkProgram"]> {
  const obstacle = leadsOut(network) ? findTunObstacle() : undefined;
  if (obstacle) {
    const hint = `${obstacle.remedy}; or --network none`;
    throw new HostError(`use network "${network.mode}": ${obstacle.reason}`, { hint });
  }
  if (network.mode !== "pasta" && network.mode !== "slirp4netns") return undefined;
  const [{ planPasta, planSlirp4netns }, { findProgram }] = await Promise.all([
    import("../network/program_plan.ts"),
    import("../namespaces/subordinate_ids.ts"),
  ]);
  const path = findProgram(network.mode);
  if (!path) {
    throw new HostError(`use network "${network.mode}": the program ${network.mode} is not installed`, {
      hint: "--network slirp needs none",
    });
  }
  if (network.mode === "pasta") return planPasta(path, network.words, ports);
  return planSlirp4netns(path, programSocketPath(folders, id), network.options, ports);
}

/** Who has /etc/hosts and /etc/resolv.conf of a network that several have joined, each that of the one before. */
function ownerOfNetwork(engine: Engine, id: string): string {
  const { network } = loadConfig(engine, id);
  return network.mode === "container" ? ownerOfNetwork(engine, network.id) : id;
}

async function networkPathOf(engine: Engine, network: NetworkChoice): Promise<string | undefined> {
  if (network.mode === "ns") return network.path;
  if (network.mode !== "container") return undefined;
  const { status } = await observeRunning(engine, network.id, "join the network of", { paused: true });
  return `/proc/${status.pid}/ns/net`;
}

/** Volumes without content of their own, which get the image's, or the owner of its folder. */
function findFreshVolumes(engine: Engine, config: ContainerConfig): Set<string> {
  const fresh = new Set<string>();
  for (const mount of config.mounts) {
    if (mount.kind !== "volume") continue;
    const path = volumePath(engine.folders, mount.name);
    // a folder that a plugin has made for somebody else cannot be given away
    if (mount.driver && engine.namespaces.isRootless && Deno.statSync(path).uid !== engine.namespaces.uid) {
      continue;
    }
    if (isEmpty(path) && !hasChosenOwner(path)) fresh.add(mount.name);
  }
  return fresh;
}

export function isEmpty(folder: string): boolean {
  try {
    for (const _entry of Deno.readDirSync(folder)) return false;
    return true;
  } catch {
    return false; // closed to us, so a container has used it
  }
}

/** What the caller had before the runtime raised it; undefined where nobody told. */
export function callerNofile(): { soft: number; hard: number } | undefined {
  const { nofileSoft } = takeLaunch();
  if (nofileSoft === undefined) return undefined;
  const isUnlimited = nofileSoft > BigInt(Number.MAX_SAFE_INTEGER);
  return { soft: isUnlimited ? -1 : Number(nofileSoft), hard: readHardLimit("RLIMIT_NOFILE") };
}
