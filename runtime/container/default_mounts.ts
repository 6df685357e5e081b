/**
 * The mounts that every container gets, and how the user's own are laid over them.
 *
 * @see OCI runtime-spec config-linux.md, default filesystems; podman-run(1), --read-only-tmpfs
 */

import type { MountSpec } from "../spec/runtime.ts";
import type { ContainerConfig } from "./config.ts";
import type { BindMount, ContainerMount, ImageMount, VolumeMount } from "./mount_options.ts";

/** A file that was generated for the container, and where it appears. */
export interface GeneratedMount {
  source: string;
  destination: string;
  /** Only where the image has the folder. */
  needsFolder?: boolean;
  /** The user has named the place. */
  isAsked?: boolean;
}

/** What podman and docker give /dev/shm. */
export const DEFAULT_SHM_BYTES = 65536 * 1024;

export interface MountFacts {
  /** False with a single-id map: group 5 (tty) then has no id on the host. */
  mapsTtyGroup: boolean;
  /** Whether the network namespace belongs to a user namespace of ours, or sysfs is refused. */
  mayMountSysfs: boolean;
  /** `--userns keep-id` or `nomap`. */
  isNested: boolean;
  /**
   * As real root: mknod(2) works inside, so nothing that a container may write to may serve device nodes, nor to one in a
   * user namespace, who cannot make them, but may share a folder with one who can.
   */
  canMakeDevices: boolean;
  generated: GeneratedMount[];
  /** The folder that holds the content of a volume. */
  volumePath: (name: string) => string;
  /** By destination: where a mount that is a file system of its own appears to the monitor. */
  mountRoots?: ReadonlyMap<string, string>;
}

/** Every mount below the root, in the order in which they are performed: parents first. */
export function planMounts(config: ContainerConfig, facts: MountFacts): MountSpec[] {
  const own = config.mounts.map((mount) => toMountSpec(mount, facts));
  const covers = (path: string) =>
    own.some(({ destination }) => path === destination || path.startsWith(`${destination}/`));
  const generated = facts.generated.flatMap((file) => {
    const mount = generatedMount(file, config.readOnly);
    if (!covers(file.destination)) return [mount];
    // As in docker and podman these appear in what the user mounts on /etc, where they can; of the host's /run,
    // nothing may be changed.
    const isOwn = own.some(({ destination }) => destination === file.destination);
    if (isOwn || !(file.isAsked || file.destination.startsWith("/etc/"))) return [];
    return [{ ...mount, options: [...mount.options, "nofail"] }];
  });
  const hasScratch = config.readOnly && config.readOnlyTmpfs !== false;
  const defaults = [...kernelMounts(config, facts), ...(hasScratch ? scratchMounts() : [])]
    .filter((mount) => mount.destination === "/proc" || !covers(mount.destination));
  const mounts = [...defaults, ...generated];
  return [...mounts, ...own].map((mount) => facts.isNested ? ownedByRoot(mount) : mount).map((
    mount,
    index,
  ) => ({ mount, index }))
    .sort((a, b) => depth(a.mount) - depth(b.mount) || a.index - b.index)
    .map(({ mount }) => mount);
}

/** A tmpfs is made by the user's own id, which a nested namespace may have no number for. @see tmpfs(5) */
function ownedByRoot(mount: MountSpec): MountSpec {
  if (mount.type !== "tmpfs" && mount.type !== "ramfs") return mount;
  const missing = ["uid", "gid"].filter((key) => !mount.options.some((word) => word.startsWith(`${key}=`)));
  return { ...mount, options: [...mount.options, ...missing.map((key) => `${key}=0`)] };
}

/** The kernel's file systems of a container about which nothing special is asked. */
export function likelyMounts(isSingleId: boolean): MountSpec[] {
  const config = { privileged: false, shmBytes: DEFAULT_SHM_BYTES };
  return kernelMounts(config, { mapsTtyGroup: !isSingleId, mayMountSysfs: true });
}

type KernelMountConfig = Pick<ContainerConfig, "privileged" | "shmBytes" | "procOptions" | "namespaces">;
type KernelMountFacts = Pick<MountFacts, "mapsTtyGroup" | "mayMountSysfs">;

function kernelMounts(config: KernelMountConfig, facts: KernelMountFacts): MountSpec[] {
  const closed = ["nosuid", "noexec", "nodev"];
  return [
    {
      destination: "/proc",
      type: "proc",
      source: "proc",
      options: [...closed, ...(config.procOptions ?? [])],
    },
    {
      destination: "/dev",
      type: "tmpfs",
      source: "tmpfs",
      options: ["nosuid", "noexec", "strictatime", "mode=755", "size=65536k"],
    },
    {
      destination: "/dev/pts",
      type: "devpts",
      source: "devpts",
      options: [
        "nosuid",
        "noexec",
        "newinstance",
        "ptmxmode=0666",
        "mode=0620",
        ...(facts.mapsTtyGroup ? ["gid=5"] : []),
      ],
    },
    ...ipcMounts(config),
    sysfsMount(config, facts),
    {
      destination: "/sys/fs/cgroup",
      type: "cgroup",
      source: "cgroup",
      // writable it would be the user's own delegated tree (CVE-2023-25809)
      options: [...closed, "relatime", ...(config.privileged ? [] : ["ro"])],
    },
  ];
}

/** What belongs to the ipc namespace; of another container's, init puts that one's in place of /dev/shm. */
function ipcMounts(config: KernelMountConfig): MountSpec[] {
  const closed = ["nosuid", "noexec", "nodev"];
  const mode = config.namespaces?.ipc?.mode;
  if (mode === "host") {
    const options = ["rbind", "rprivate", ...closed];
    return ["/dev/shm", "/dev/mqueue"].filter(isFolderOfHost)
      .map((path) => ({ destination: path, type: "bind", source: path, options }));
  }
  const shm = {
    destination: "/dev/shm",
    type: "tmpfs",
    source: "shm",
    options: [...closed, "mode=1777", `size=${config.shmBytes}`],
  };
  const mqueue = { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: closed };
  return mode === "none" ? [mqueue] : [shm, mqueue];
}

function isFolderOfHost(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}

function sysfsMount(config: KernelMountConfig, facts: KernelMountFacts): MountSpec {
  const options = ["nosuid", "noexec", "nodev", ...(config.privileged ? [] : ["ro"])];
  if (facts.mayMountSysfs) return { destination: "/sys", type: "sysfs", source: "sysfs", options };
  // sysfs shows the devices of a network namespace, so the kernel wants to see it owned; podman binds as well
  return { destination: "/sys", type: "bind", source: "/sys", options: ["rbind", "rprivate", ...options] };
}

/** What stays writable under `--read-only`, as podman has it. */
function scratchMounts(): MountSpec[] {
  return [["/run", "755"], ["/tmp", "1777"], ["/var/tmp", "1777"]].map(([destination, mode]) => ({
    destination: destination!,
    type: "tmpfs",
    source: "tmpfs",
    options: ["nosuid", "nodev", `mode=${mode}`, "tmpcopyup"],
  }));
}

function generatedMount({ source, destination, needsFolder }: GeneratedMount, readOnly: boolean): MountSpec {
  // text that nobody executes; with a read-only root podman has it read-only as well
  const options = ["bind", "rprivate", "nosuid", "nodev", "noexec", ...(readOnly ? ["ro"] : [])];
  if (needsFolder) options.push("x-skiff.existing-folder", "nofail");
  return { source, destination, type: "bind", options };
}

function toMountSpec(mount: ContainerMount, facts: MountFacts): MountSpec {
  // never "rw": clearing a read-only flag that the source's mount has is refused in a user namespace
  const access = mount.readOnly ? ["ro"] : [];
  const { destination } = mount;
  if (mount.kind === "tmpfs") {
    const { type = "tmpfs" } = mount;
    return { destination, type, source: type, options: [...mount.options, ...access] };
  }
  if (mount.kind === "devpts") {
    const options = ["nosuid", "noexec", "newinstance", ...mount.options];
    return { destination, type: "devpts", source: "devpts", options };
  }
  const options = [...mount.options];
  if (mount.kind === "bind" && mount.keepsLinks) options.push("x-skiff.keep-link");
  const lacks = (...words: string[]) => !options.some((option) => words.includes(option));
  if (lacks("bind", "rbind")) options.unshift("rbind");
  if (lacks(...PROPAGATIONS)) options.push("rprivate");
  // as podman: what the caller mounts from the host is as it is there, such as -v /dev/fuse:/dev/fuse
  const isVolume = mount.kind !== "bind";
  if (isVolume && lacks("suid", "nosuid")) options.push("nosuid");
  if ((isVolume || facts.canMakeDevices) && lacks("dev", "nodev")) options.push("nodev");
  const spec = {
    destination,
    type: "bind",
    source: sourceOf(mount, facts),
    options: [...options, ...access],
  };
  return mount.subpath ? { ...spec, subpath: mount.subpath } : spec;
}

function sourceOf(mount: BindMount | VolumeMount | ImageMount, facts: MountFacts): string {
  const root = facts.mountRoots?.get(mount.destination);
  if (root !== undefined) return root;
  if (mount.kind === "image") throw new Error(`the image of ${mount.destination} has no root`);
  return mount.kind === "bind" ? mount.source : facts.volumePath(mount.name);
}

const PROPAGATIONS = [
  "private",
  "rprivate",
  "shared",
  "rshared",
  "slave",
  "rslave",
  "unbindable",
  "runbindable",
];

function depth(mount: MountSpec): number {
  return mount.destination.split("/").length;
}
