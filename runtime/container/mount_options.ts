/**
 * `-v`, `--tmpfs` and an image's VOLUME as data.
 *
 * ```
 *  -v /src:/dst:ro     bind        -v name:/dst   named volume
 *  -v ./src:/dst       bind        -v /dst        anonymous volume
 * ```
 * @see podman-run(1), --volume
 */

import { InvalidArgumentError, UnsupportedError } from "../errors.ts";
import { checkName } from "../state/ids.ts";

export type ContainerMount =
  | { kind: "bind"; source: string; destination: string; readOnly: boolean; options: string[] }
  | {
    kind: "volume";
    name: string;
    destination: string;
    readOnly: boolean;
    options: string[];
    anonymous: boolean;
    /** The volume gets the image's content at its first use. */
    copyUp: boolean;
  }
  | { kind: "tmpfs"; destination: string; readOnly: boolean; options: string[] };

/** Words of mount(8) that reach the kernel as they are; where two exclude each other, they share a group. */
const FLAG_GROUPS: Record<string, string> = {
  exec: "exec",
  noexec: "exec",
  suid: "suid",
  nosuid: "suid",
  dev: "dev",
  nodev: "dev",
  atime: "atime",
  noatime: "atime",
  relatime: "atime",
  strictatime: "atime",
  sync: "sync",
  async: "sync",
};

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
    const { readOnly, options } = readOptions(text, words, false);
    return { kind: "bind", source: absolutePath(source, workingFolder), destination, readOnly, options };
  }
  const { readOnly, options, copyUp } = readOptions(text, words, true);
  if (source !== undefined) checkName("volume", source);
  return {
    kind: "volume",
    name: source ?? "",
    destination,
    readOnly,
    options,
    anonymous: source === undefined,
    copyUp,
  };
}

/** Parses one `--tmpfs` argument. @see tmpfs(5) */
export function parseTmpfs(text: string): ContainerMount {
  const at = text.indexOf(":");
  const destination = checkDestination(at < 0 ? text : text.slice(0, at), `mount tmpfs "${text}"`);
  const words = at < 0 ? [] : text.slice(at + 1).split(",").filter((word) => word !== "");
  const options: string[] = [];
  let readOnly = false;
  for (const word of words) {
    if (word === "ro") readOnly = true;
    else if (word === "rw" || word === "notmpcopyup") continue;
    else if (
      word === "tmpcopyup" || word in FLAG_GROUPS || PROPAGATIONS.includes(word) ||
      /^(size|nr_inodes|nr_blocks)=\d+[kmg%]?$/i.test(word) || /^(uid|gid)=\d+$/.test(word) ||
      /^mode=[0-7]{1,4}$/.test(word) || /^huge=(never|always|within_size|advise)$/.test(word)
    ) options.push(word);
    else throw new InvalidArgumentError(`mount tmpfs "${text}": invalid option type "${word}"`);
  }
  for (const word of ["nosuid", "nodev"]) {
    if (!options.some((option) => FLAG_GROUPS[option] === FLAG_GROUPS[word])) options.push(word);
  }
  return { kind: "tmpfs", destination, readOnly, options };
}

/**
 * The mounts of a container: what the user asked for, and an anonymous volume for every VOLUME of the image
 * that is not covered by it. Two for one target are refused.
 */
export function combineMounts(requested: ContainerMount[], imageVolumes: string[]): ContainerMount[] {
  const mounts: ContainerMount[] = [];
  const seen = new Set<string>();
  for (const mount of requested) {
    if (seen.has(mount.destination)) {
      throw new InvalidArgumentError(`mount "${mount.destination}": duplicate mount destination`);
    }
    seen.add(mount.destination);
    mounts.push(mount);
  }
  for (const volume of imageVolumes) {
    const destination = checkDestination(volume, `mount the image's volume "${volume}"`);
    if (seen.has(destination)) continue;
    seen.add(destination);
    mounts.push({
      kind: "volume",
      name: "",
      destination,
      readOnly: false,
      options: [],
      anonymous: true,
      copyUp: true,
    });
  }
  // a parent is mounted before what lies inside it
  return mounts.sort((a, b) =>
    depth(a.destination) - depth(b.destination) || compare(a.destination, b.destination)
  );
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

function absolutePath(path: string, workingFolder: string): string {
  return cleanPath(path.startsWith("/") ? path : `${workingFolder}/${path}`);
}

function checkDestination(path: string, action: string): string {
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

function readOptions(
  text: string,
  words: string[],
  isVolume: boolean,
): { readOnly: boolean; options: string[]; copyUp: boolean } {
  let readOnly = false;
  let copyUp = true;
  const options: string[] = [];
  const groups = new Set<string>();
  const once = (group: string) => {
    if (groups.has(group)) {
      throw new InvalidArgumentError(
        `mount volume "${text}": two options say different things about ${group}`,
      );
    }
    groups.add(group);
  };
  for (const word of words) {
    if (word === "ro" || word === "rw") {
      once("ro/rw");
      readOnly = word === "ro";
    } else if (word === "z" || word === "Z") {
      once("labels"); // SELinux labels: nothing to do where SELinux is off, and skiff sets none elsewhere
    } else if (word === "bind" || word === "rbind") {
      once("binding");
      options.push(word);
    } else if (PROPAGATIONS.includes(word)) {
      once("propagation");
      options.push(word);
    } else if (word in FLAG_GROUPS) {
      once(FLAG_GROUPS[word]!);
      options.push(word);
    } else if (isVolume && (word === "copy" || word === "nocopy")) {
      once("copying");
      copyUp = word === "copy";
    } else if (word === "U" || word === "O" || /^(idmap|upperdir|workdir)\b/.test(word)) {
      throw new UnsupportedError(`mount volume "${text}": option "${word}" is not supported`);
    } else {
      throw new InvalidArgumentError(`mount volume "${text}": invalid option type "${word}"`);
    }
  }
  return { readOnly, options, copyUp };
}

function depth(path: string): number {
  return path.split("/").length;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
