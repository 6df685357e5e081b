/**
 * The mounts that every container gets, and how the user's own are laid over them.
 *
 * @see OCI runtime-spec config-linux.md, default filesystems; podman-run(1), --read-only-tmpfs
 */

import type { MountSpec } from "../spec/runtime.ts";
import type { ContainerConfig } from "./config.ts";
import type { ContainerMount } from "./mount_options.ts";

export interface MountFacts {
  /** False with a single-id map: group 5 (tty) then has no id on the host. */
  mapsTtyGroup: boolean;
  /** Whether the network namespace belongs to a user namespace of ours, or sysfs is refused. */
  mayMountSysfs: boolean;
  /** `--userns keep-id` or `nomap`. */
  isNested: boolean;
  /** As real root: mknod(2) works inside, so nothing that the container may write to may serve device nodes. */
  canMakeDevices: boolean;
  /** Files generated for this container: target to source. */
  generated: { source: string; destination: string }[];
  /** The folder that holds the content of a volume. */
  volumePath: (name: string) => string;
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
    if (isOwn || !file.destination.startsWith("/etc/")) return [];
    return [{ ...mount, options: [...mount.options, "nofail"] }];
  });
  const defaults = [...kernelMounts(config, facts), ...(config.readOnly ? scratchMounts() : [])]
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
  if (mount.type !== "tmpfs") return mount;
  const missing = ["uid", "gid"].filter((key) => !mount.options.some((word) => word.startsWith(`${key}=`)));
  return { ...mount, options: [...mount.options, ...missing.map((key) => `${key}=0`)] };
}

function kernelMounts(config: ContainerConfig, facts: MountFacts): MountSpec[] {
  const closed = ["nosuid", "noexec", "nodev"];
  return [
    { destination: "/proc", type: "proc", source: "proc", options: closed },
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
    {
      destination: "/dev/shm",
      type: "tmpfs",
      source: "shm",
      options: [...closed, "mode=1777", `size=${config.shmBytes}`],
    },
    { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: closed },
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

function sysfsMount(config: ContainerConfig, facts: MountFacts): MountSpec {
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
    options: ["nosuid", "nodev", `mode=${mode}`],
  }));
}

function generatedMount(file: { source: string; destination: string }, readOnly: boolean): MountSpec {
  // text that nobody executes; with a read-only root podman has it read-only as well
  const options = ["bind", "rprivate", "nosuid", "nodev", "noexec", ...(readOnly ? ["ro"] : [])];
  return { ...file, type: "bind", options };
}

function toMountSpec(mount: ContainerMount, facts: MountFacts): MountSpec {
  // never "rw": clearing a read-only flag that the source's mount has is refused in a user namespace
  const access = mount.readOnly ? ["ro"] : [];
  const { destination } = mount;
  if (mount.kind === "tmpfs") {
    return { destination, type: "tmpfs", source: "tmpfs", options: [...mount.options, ...access] };
  }
  const options = [...mount.options];
  const lacks = (...words: string[]) => !options.some((option) => words.includes(option));
  if (lacks("bind", "rbind")) options.unshift("rbind");
  if (lacks(...PROPAGATIONS)) options.push("rprivate");
  // as podman: what the caller mounts from the host is as it is there, such as -v /dev/fuse:/dev/fuse
  const isVolume = mount.kind === "volume";
  if (isVolume && lacks("suid", "nosuid")) options.push("nosuid");
  if ((isVolume || facts.canMakeDevices) && lacks("dev", "nodev")) options.push("nodev");
  const source = mount.kind === "bind" ? mount.source : facts.volumePath(mount.name);
  return { destination, type: "bind", source, options: [...options, ...access] };
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
