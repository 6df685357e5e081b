/**
 * `-v`, `--tmpfs` and an image's VOLUME as data.
 *
 * ```
 *  -v /src:/dst:ro     bind        -v name:/dst   named volume
 *  -v ./src:/dst       bind        -v /dst        anonymous volume
 * ```
 * @see podman-run(1), --volume
 */

import { InvalidArgumentError } from "../errors.ts";
import { checkName } from "../state/ids.ts";

export interface BindMount {
  kind: "bind";
  source: string;
  /** A path in the source, resolved inside it. */
  subpath?: string;
  destination: string;
  readOnly: boolean;
  options: string[];
  /** `O`: the container writes to a layer of its own over the folder. */
  overlay?: OverlayFolders;
  /** `U`: everything in it is given to the program's user. */
  giveToUser?: boolean;
  /** What follows `idmap=`: files are shown with other owners than on disk. */
  idmap?: string;
  /** `no-dereference`: a source that is a link becomes that link. */
  keepsLinks?: boolean;
}

export interface VolumeMount {
  kind: "volume";
  name: string;
  destination: string;
  readOnly: boolean;
  options: string[];
  anonymous: boolean;
  /** The volume gets the image's content at its first use. */
  copyUp: boolean;
  /** A path in the volume, resolved inside it. */
  subpath?: string;
  overlay?: OverlayFolders;
  giveToUser?: boolean;
  idmap?: string;
  /** `volume-opt` and `volume-label`: what is asked of the volume, should it have to be made. */
  make?: { options: Record<string, string>; labels: Record<string, string>; driver?: string };
  /** The plugin that keeps it, where one does. */
  driver?: string;
  /** The volume is a file system of its own, mounted by who uses it. */
  filesystem?: VolumeFilesystem;
}

/** Of `volume create -o type=…`; options are words of mount(8). */
export interface VolumeFilesystem {
  type: string;
  device: string;
  options: string[];
}

export interface TmpfsMount {
  kind: "tmpfs";
  /** ramfs: never swapped out, and of any size. */
  type?: "ramfs";
  destination: string;
  readOnly: boolean;
  options: string[];
  giveToUser?: boolean;
}

/** `--mount type=image`: another image's content. */
export interface ImageMount {
  kind: "image";
  /** As the user names it. */
  image: string;
  /** From the lowest; looked up when the container is created. */
  diffIds: string[];
  destination: string;
  readOnly: boolean;
  options: string[];
  subpath?: string;
  idmap?: string;
}

/** `--mount type=devpts`: terminals of its own. */
export interface DevptsMount {
  kind: "devpts";
  destination: string;
  readOnly: boolean;
  options: string[];
}

/** Where an overlay keeps what is written: folders of the user's that stay, or fresh ones of the container. */
export interface OverlayFolders {
  upper?: string;
  work?: string;
}

export type ContainerMount = BindMount | VolumeMount | TmpfsMount | ImageMount | DevptsMount;

/** What a VOLUME of the image becomes: an anonymous volume, a tmpfs or nothing. */
export type ImageVolumeMode = "volume" | "tmpfs" | "ignore";

/** Words of mount(8) that reach the kernel as they are; where two exclude each other, they share a group. */
export const FLAG_GROUPS: Record<string, string> = {
  exec: "'noexec' or 'exec'",
  noexec: "'noexec' or 'exec'",
  suid: "'nosuid' or 'suid'",
  nosuid: "'nosuid' or 'suid'",
  dev: "'nodev' or 'dev'",
  nodev: "'nodev' or 'dev'",
  atime: "'atime' or 'noatime'",
  noatime: "'atime' or 'noatime'",
  relatime: "'atime' or 'noatime'",
  strictatime: "'atime' or 'noatime'",
  sync: "'sync' or 'async'",
  async: "'sync' or 'async'",
};

export const PROPAGATIONS: readonly string[] = [
  "private",
  "rprivate",
  "shared",
  "rshared",
  "slave",
  "rslave",
  "unbindable",
  "runbindable",
];

/** What runc allows to be mounted inside /proc: files that lxcfs emulates. */
const PROC_FILES = ["cpuinfo", "diskstats", "meminfo", "stat", "swaps", "uptime", "loadavg", "slabinfo"];

/** Parses one `-v` argument. `workingFolder` is where a source beginning with `.` is looked up. */
export function parseVolume(text: string, workingFolder: string): ContainerMount {
  const parts = text.split(":");
  if (parts.length > 3 || parts.some((part) => part === "")) {
    throw new InvalidArgumentError(`mount volume "${text}": want [SOURCE:]TARGET[:OPTIONS]`);
  }
  // one part is a target, two are source and target, as docker and podman read it
  const [source, target] = parts.length === 1 ? [undefined, parts[0]!] : [parts[0]!, parts[1]!];
  const destination = checkDestination(target, `mount volume "${text}"`);
  const words = parts[2]?.split(",") ?? [];
  if (source !== undefined && /^[./~]/.test(source)) {
    const { copyUp: _, ...rest } = readOptions(text, words);
    return { kind: "bind", source: absolutePath(source, workingFolder), destination, ...rest };
  }
  if (source !== undefined) checkName("volume", source);
  return {
    kind: "volume",
    name: source ?? "",
    destination,
    ...readOptions(text, words),
    anonymous: source === undefined,
  };
}

/** Parses one `--tmpfs` argument. @see tmpfs(5) */
export function parseTmpfs(text: string): TmpfsMount {
  const at = text.indexOf(":");
  const destination = checkDestination(at < 0 ? text : text.slice(0, at), `mount tmpfs "${text}"`);
  const words = at < 0 ? [] : text.slice(at + 1).split(",").filter((word) => word !== "");
  return { kind: "tmpfs", destination, ...readTmpfsOptions(words, `mount tmpfs "${text}"`) };
}

/** Words of a tmpfs; unless they forbid it, the image's content is copied to it, as podman does. */
export function readTmpfsOptions(words: string[], action: string): { readOnly: boolean; options: string[] } {
  const options: string[] = [];
  let readOnly = false;
  for (const word of words) {
    if (word === "ro") readOnly = true;
    else if (word === "rw" || word === "tmpcopyup" || word === "notmpcopyup") continue;
    else if (
      Object.hasOwn(FLAG_GROUPS, word) || PROPAGATIONS.includes(word) ||
      /^(size|nr_inodes|nr_blocks)=\d+[kmg%]?$/i.test(word) || /^(uid|gid)=\d+$/.test(word) ||
      /^mode=[0-7]{1,4}$/.test(word) || /^huge=(never|always|within_size|advise)$/.test(word) ||
      word === "noswap"
    ) options.push(word);
    else throw new InvalidArgumentError(`${action}: unknown mount option "${word}": invalid mount option`);
  }
  for (const word of ["nosuid", "nodev"]) {
    if (!options.some((option) => FLAG_GROUPS[option] === FLAG_GROUPS[word])) options.push(word);
  }
  if (!words.includes("notmpcopyup")) options.push("tmpcopyup");
  return { readOnly, options };
}

/**
 * The mounts of a container: what the user asked for, what comes from other containers (`--volumes-from`), and what
 * `mode` makes of every VOLUME of the image; each only where nothing before has the target. Two of the user's for
 * one target are refused.
 */
export function combineMounts(
  requested: ContainerMount[],
  imageVolumes: string[],
  inherited: ContainerMount[] = [],
  mode: ImageVolumeMode = "volume",
): ContainerMount[] {
  const mounts = new Map<string, ContainerMount>();
  for (const mount of requested) {
    if (mounts.has(mount.destination)) {
      throw new InvalidArgumentError(`mount "${mount.destination}": duplicate mount destination`);
    }
    mounts.set(mount.destination, mount);
  }
  for (const mount of inherited) if (!mounts.has(mount.destination)) mounts.set(mount.destination, mount);
  for (const volume of mode === "ignore" ? [] : imageVolumes) {
    const destination = checkDestination(volume, `mount the image's volume "${volume}"`);
    if (!mounts.has(destination)) mounts.set(destination, imageVolume(destination, mode));
  }
  // a parent is mounted before what lies inside it
  return [...mounts.values()].sort((a, b) =>
    depth(a.destination) - depth(b.destination) || compare(a.destination, b.destination)
  );
}

function imageVolume(destination: string, mode: ImageVolumeMode): ContainerMount {
  if (mode === "tmpfs") return parseTmpfs(destination);
  return {
    kind: "volume",
    name: "",
    destination,
    readOnly: false,
    options: [],
    anonymous: true,
    copyUp: true,
  };
}

/** Removes `.`, `..` and doubled slashes from an absolute path, as Go's path.Clean does. */
export function cleanPath(path: string): string {
  const out: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === "..") out.pop();
    else out.push(part);
  }
  return `/${out.join("/")}`;
}

export function absolutePath(path: string, workingFolder: string): string {
  return cleanPath(path.startsWith("/") ? path : `${workingFolder}/${path}`);
}

export function checkDestination(path: string, action: string): string {
  if (!path.startsWith("/")) {
    throw new InvalidArgumentError(`${action}: invalid container path "${path}", must be an absolute path`);
  }
  if (path.includes("\0")) throw new InvalidArgumentError(`${action}: the path holds a zero byte`);
  const clean = cleanPath(path);
  if (clean === "/") {
    throw new InvalidArgumentError(`${action}: invalid container path "/", nothing can replace the root`);
  }
  // writes to /proc/sys and /proc/self/attr must reach the genuine procfs (CVE-2025-52881)
  if (clean === "/proc" || (clean.startsWith("/proc/") && !PROC_FILES.includes(clean.slice(6)))) {
    throw new InvalidArgumentError(`${action}: "${clean}" cannot be mounted because it is inside /proc`);
  }
  return clean;
}

/** Words about one mount of a host folder or volume, alike for `-v` and `--mount`. */
export interface MountOptions {
  readOnly: boolean;
  options: string[];
  copyUp: boolean;
  giveToUser?: boolean;
  idmap?: string;
  overlay?: OverlayFolders;
}

/** What may be said once: group, as podman words it, to the words. */
const EXCLUSIVE: readonly (readonly [group: string, words: readonly string[]])[] = [
  ["'rw' or 'ro'", ["ro", "rw"]],
  // SELinux labels: nothing to do where SELinux is off, and skiff sets none elsewhere
  ["'z', 'Z', or 'O'", ["z", "Z", "O"]],
  ["'[r]bind'", ["bind", "rbind"]],
  ["'[r]shared', '[r]private', '[r]slave' or '[r]unbindable'", PROPAGATIONS],
  ["'copy' or 'nocopy'", ["copy", "nocopy"]],
  ["'U'", ["U"]],
  // of Docker Desktop; what is written is always seen at once
  ["consistency", ["cached", "delegated", "consistent", "default"]],
];

/** What the ranges come to is read where they are needed (see idmap_option.ts). */
const IDMAP_RANGES = String.raw`[ug]ids=@?\d+-\d+-\d+(?:#@?\d+-\d+-\d+)*`;
const IDMAP = new RegExp(`^idmap(?:=${IDMAP_RANGES}(?:;${IDMAP_RANGES})?)?$`);

/** @throws {InvalidArgumentError} where two words exclude each other or one is unknown */
export function readOptions(text: string, words: string[]): MountOptions {
  const read: MountOptions = { readOnly: false, options: [], copyUp: true };
  const said = new Map<string, string>();
  for (const word of words) {
    const folder = /^(upper|work)dir=(.+)$/.exec(word);
    if (folder && words.includes("O")) continue;
    const isIdmap = IDMAP.test(word);
    const group = isIdmap ? "'idmap'" : EXCLUSIVE.find(([, members]) => members.includes(word))?.[0] ??
      (Object.hasOwn(FLAG_GROUPS, word) ? FLAG_GROUPS[word] : undefined);
    if (group === undefined) {
      throw new InvalidArgumentError(`mount volume "${text}": invalid option type "${word}"`);
    }
    const before = said.get(group);
    if (before !== undefined) {
      throw new InvalidArgumentError(
        `mount volume "${text}": invalid options "${before}, ${word}", can only specify 1 ${group} option`,
      );
    }
    said.set(group, word);
    if (word === "ro" || word === "rw") read.readOnly = word === "ro";
    else if (word === "copy" || word === "nocopy") read.copyUp = word === "copy";
    else if (word === "U") read.giveToUser = true;
    else if (isIdmap) read.idmap = word.slice("idmap=".length);
    else if (word === "O") read.overlay = overlayFolders(text, words);
    else if (word in FLAG_GROUPS || PROPAGATIONS.includes(word) || /^r?bind$/.test(word)) {
      read.options.push(word);
    }
  }
  return read;
}

function overlayFolders(text: string, words: string[]): OverlayFolders {
  const valueOf = (key: string) => words.find((word) => word.startsWith(`${key}=`))?.slice(key.length + 1);
  const [upper, work] = [valueOf("upperdir"), valueOf("workdir")];
  const others = words.filter((word) => word !== "O" && word !== "U" && !/^(upper|work)dir=/.test(word));
  if (others.length > 0) {
    throw new InvalidArgumentError(`mount volume "${text}": can't use 'O' with other options`);
  }
  if ((upper === undefined) !== (work === undefined)) {
    throw new InvalidArgumentError(`mount volume "${text}": must specify both upperdir and workdir`);
  }
  if (![upper, work].every((path) => path === undefined || path.startsWith("/"))) {
    throw new InvalidArgumentError(`mount volume "${text}": upperdir and workdir must be absolute paths`);
  }
  return upper === undefined ? {} : { upper: cleanPath(upper), work: cleanPath(work!) };
}

function depth(path: string): number {
  return path.split("/").length;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
