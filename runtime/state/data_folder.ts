/**
 * Where containers and images are kept, from whatever session a command comes: login, su, sudo or cron.
 *
 * On a network file system neither the ids of a container's files nor the database's locks can be relied on, and on
 * a read-only one there is nothing to keep: then it is a folder of /var/tmp, and the user is told.
 */

import { HostError, hostReason } from "../errors.ts";
import { isThere } from "./listing.ts";
import { filesystemOf, type MountedFilesystem, readMountTable } from "./mount_table.ts";

export interface DataFolder {
  path: string;
  /** Why it is not in the home: `"/home/alice" is on nfs4`. */
  obstacle?: string;
}

/** Whose server decides about owners. */
const NETWORK_TYPES = new Set([
  ..."nfs nfs4 cifs smb3 smbfs ncpfs afs coda 9p lustre gpfs beegfs fuse.sshfs fuse.glusterfs".split(" "),
]);

/** Where it is; made by the caller. One that is there already is taken, wherever it is. */
export function chooseDataFolder(table: () => MountedFilesystem[] = readMountTable): DataFolder {
  const uid = Deno.uid() ?? -1;
  if (uid === 0) return { path: "/var/lib/skiff" };
  const path = usualDataFolder(uid);
  if (isThere(path)) return { path };
  const obstacle = obstacleFor(path, table());
  return obstacle === undefined ? { path } : { path: `/var/tmp/skiff-${uid}`, obstacle };
}

/** `$XDG_DATA_HOME/skiff`, else below the home. What `su` or `sudo` left of another user is passed over. */
export function usualDataFolder(uid: number): string {
  const xdg = Deno.env.get("XDG_DATA_HOME");
  if (xdg?.startsWith("/") && !belongsToAnother(xdg, uid)) return `${withoutSlashes(xdg)}/skiff`;
  const home = homeOf(uid);
  if (!home?.startsWith("/")) {
    throw new HostError("find the data folder: neither HOME nor XDG_DATA_HOME is set", {
      hint: "set HOME to a folder that you can write to",
    });
  }
  return `${withoutSlashes(home)}/.local/share/skiff`;
}

function withoutSlashes(path: string): string {
  let end = path.length;
  while (path[end - 1] === "/") end--;
  return path.slice(0, end);
}

/** `sudo -u alice` may keep the caller's HOME: then alice's own counts. */
function homeOf(uid: number): string | undefined {
  const home = Deno.env.get("HOME");
  if (home && !belongsToAnother(home, uid)) return home;
  const own = homeFromPasswd(uid);
  return own !== undefined && ownerOf(own) === uid ? own : home || own;
}

/** The home that /etc/passwd names. */
export function homeFromPasswd(uid: number): string | undefined {
  try {
    const line = Deno.readTextFileSync("/etc/passwd").split("\n").find((l) =>
      l.split(":")[2] === String(uid)
    );
    return line?.split(":")[5];
  } catch {
    return undefined;
  }
}

/** Why `path` cannot be the data folder; makes it where it can. */
function obstacleFor(path: string, table: readonly MountedFilesystem[]): string | undefined {
  const above = nearestFolder(path);
  const { type } = filesystemOf(above, table) ?? {};
  if (type !== undefined && NETWORK_TYPES.has(type)) return `${above} is on a network file system (${type})`;
  try {
    Deno.mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    if (error instanceof Deno.errors.NotADirectory) return undefined; // what the caller's own try will tell
    return `${path} cannot be made: ${hostReason(error)}`;
  }
}

/** The lowest folder on the way to `path` that is there, without links. */
function nearestFolder(path: string): string {
  for (let at = path; at !== ""; at = at.slice(0, at.lastIndexOf("/"))) {
    try {
      return Deno.realPathSync(at);
    } catch {
      // Not there, or not for us to see: what is above it decides.
    }
  }
  return "/";
}

function belongsToAnother(path: string, uid: number): boolean {
  const owner = ownerOf(path);
  return owner !== undefined && owner !== uid;
}

function ownerOf(path: string): number | undefined {
  try {
    return Deno.statSync(path).uid ?? undefined;
  } catch {
    return undefined;
  }
}
