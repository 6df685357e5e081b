/**
 * The built-in image `host`: which of this machine's folders make up its root.
 *
 * Shown are the folders that hold the system (a list, so that a /data with somebody's files never slips in);
 * what holds people's and programs' own files is there, empty and writable. The container's /proc, /sys and
 * /dev are its own.
 *
 * @see Filesystem Hierarchy Standard 3.0
 */

import { Fd, open, readdir, readlinkat, statx } from "../../ffi/file.ts";
import {
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
} from "../../ffi/constants/fcntl.ts";
import { geteuid } from "../../ffi/process.ts";
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "../../ffi/constants/stat.ts";
import type { HostFolder, RootfsPlan } from "../monitor/plan.ts";
import { makeFolder } from "./drivers/container_folders.ts";
import type { StorageContext } from "./layers.ts";

/** One entry of a folder, as lstat(2) tells it. */
export interface HostEntry {
  name: string;
  kind: "folder" | "symlink" | "file" | "other";
  /** Permission bits. */
  mode: number;
  /** The owner. */
  uid: number;
  /** Of a symlink. */
  target?: string;
}

/** Gives a folder's entries, none where it is missing or closed to the caller. */
export type ListFolder = (path: string) => HostEntry[];

/** The system's own folders at the top; /nix and /gnu hold the programs of NixOS and Guix. */
const SHOWN = /^(usr|etc|opt|srv|nix|gnu|bin|sbin|lib[a-z0-9]*)$/;
/** Below /var: the package manager's database and caches. Mail, jobs and logs are people's. */
const SHOWN_IN_VAR = /^(lib|cache|opt|local)$/;
/** Empty and writable, with these modes, whether the machine has them or not. */
const FRESH: readonly (readonly [path: string, mode: number])[] = [
  ["/home", 0o755],
  ["/root", 0o700],
  ["/run", 0o755],
  ["/tmp", 0o1777],
  ["/mnt", 0o755],
  ["/media", 0o755],
  ["/var", 0o755],
  ["/var/tmp", 0o1777],
];
/** Where secrets lie open to root alone. The rest of /usr is the same on every machine of its kind. */
const SEARCHED = /^\/(etc|opt|srv|var\/lib|var\/cache|var\/opt|var\/local)$/;
/** So many entries are looked at in one folder's tree; what lies beyond is hidden unseen. */
const MAX_SEARCHED = 50_000;

/** An ordinary user, whose own files are not shown wherever they lie. */
export interface OrdinaryUser {
  uid: number;
  /** Real paths: the home, skiff's data. */
  folders: string[];
}

/**
 * Plans the root from listings of the machine's folders.
 *
 * As root (no `user`), what others on the machine cannot read is hidden: the container's root is the machine's,
 * and would read /etc/shadow. An ordinary user's container reads what the user reads, but for the user's own: the
 * home and data of one who lives in /srv or /var/lib, and what else there belongs to the user.
 */
export function planHostFolders(list: ListFolder, user?: OrdinaryUser): HostFolder[] {
  const folders: HostFolder[] = FRESH.map(([path, mode]) => ({ path, fresh: true, mode }));
  const show = (parent: string, entry: HostEntry) => {
    const path = `${parent}/${entry.name}`;
    if (entry.kind === "symlink") folders.push({ path, symlink: entry.target! });
    if (entry.kind !== "folder") return;
    const folder: HostFolder = { path, mode: entry.mode };
    if (user === undefined && !isOpenFolder(entry)) return; // Others cannot even enter it.
    if (user?.folders.includes(path)) return void folders.push({ ...folder, fresh: true });
    const hidden = user === undefined ? findHidden(list, path) : findOwn(list, path, user);
    if (hidden.length > 0) folder.hidden = hidden;
    folders.push(folder);
  };
  for (const entry of sorted(list("/"))) if (SHOWN.test(entry.name)) show("", entry);
  for (const entry of sorted(list("/var"))) {
    if (entry.kind === "symlink" || SHOWN_IN_VAR.test(entry.name)) show("/var", entry);
    else if (entry.kind === "folder" && entry.name !== "tmp") {
      folders.push({ path: `/var/${entry.name}`, fresh: true, mode: entry.mode });
    }
  }
  return folders;
}

/** The whole plan for a container, with its folders made. `homes` are the caller's. */
export function planHostRoot(
  context: StorageContext,
  containerDir: string,
  homes: string[],
): Extract<RootfsPlan, { kind: "host" }> {
  // root of a container without CAP_SYS_ADMIN is in a user namespace, and yet whom secrets lie open to
  const user = context.namespaces.isRootless && geteuid() !== 0
    ? { uid: geteuid(), folders: [...homes, context.folders.data].flatMap(realPath) }
    : undefined;
  const plan = {
    upper: `${containerDir}/upper`,
    work: `${containerDir}/work`,
    target: `${containerDir}/merged`,
  };
  makeFolder(plan.upper, 0o755);
  makeFolder(plan.work, 0o700);
  makeFolder(plan.target, 0o755);
  return { kind: "host", ...plan, folders: planHostFolders(listHostFolder, user) };
}

/** Reads a folder of this machine; a link in its place is not followed. */
export function listHostFolder(path: string): HostEntry[] {
  let folder: number;
  try {
    folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  } catch {
    return []; // Closed to us, or gone: nothing to show.
  }
  using _fd = new Fd(folder);
  const decoder = new TextDecoder();
  const entries: HostEntry[] = [];
  for (const { name } of readdir(folder)) {
    try {
      const { mode, uid } = statx(folder, name, AT_SYMLINK_NOFOLLOW);
      const kind = KINDS[mode & S_IFMT] ?? "other";
      const entry: HostEntry = { name: decoder.decode(name), kind, mode: mode & 0o7777, uid };
      if (kind === "symlink") entry.target = decoder.decode(readlinkat(folder, name));
      entries.push(entry);
    } catch {
      // Removed while we looked.
    }
  }
  return entries;
}

const KINDS: Readonly<Record<number, HostEntry["kind"]>> = {
  [S_IFDIR]: "folder",
  [S_IFLNK]: "symlink",
  [S_IFREG]: "file",
};

/** None where nothing is there. */
function realPath(path: string): string[] {
  try {
    return [Deno.realPathSync(path)];
  } catch {
    return [];
  }
}

/** Paths below `top` that are the user's own. */
function findOwn(list: ListFolder, top: string, { uid, folders }: OrdinaryUser): string[] {
  const below = folders.filter((path) => path.startsWith(`${top}/`));
  const entries = SEARCHED.test(top) ? sorted(list(top)) : [];
  const owned = entries.filter((entry) => entry.uid === uid).map(({ name }) => `${top}/${name}`);
  // what lies in a hidden folder is hidden with it
  return [...new Set([...owned, ...below])].sort()
    .filter((path, _, all) => !all.some((other) => path.startsWith(`${other}/`)));
}

/** Paths below `top` that others cannot read. */
function findHidden(list: ListFolder, top: string): string[] {
  if (!SEARCHED.test(top)) return [];
  const hidden: string[] = [];
  const waiting = [top];
  let searched = 0;
  for (let folder = waiting.shift(); folder !== undefined; folder = waiting.shift()) {
    if (searched > MAX_SEARCHED) {
      hidden.push(folder);
      continue;
    }
    for (const entry of sorted(list(folder))) {
      searched++;
      const path = `${folder}/${entry.name}`;
      if (entry.kind === "folder") {
        if (isOpenFolder(entry)) waiting.push(path);
        else hidden.push(path);
      } else if (entry.kind !== "symlink" && (entry.mode & 0o004) === 0) {
        hidden.push(path);
      }
    }
  }
  return hidden;
}

/** Whether others can reach what is in it. */
function isOpenFolder(entry: HostEntry): boolean {
  return (entry.mode & 0o001) !== 0;
}

function sorted(entries: HostEntry[]): HostEntry[] {
  return entries.toSorted((a, b) => a.name < b.name ? -1 : 1);
}
