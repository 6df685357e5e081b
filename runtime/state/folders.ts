/** Where skiff keeps things: the data folder, the runtime folder, and who may own them. */

import { O_CLOEXEC, O_DIRECTORY, O_RDONLY } from "../../ffi/constants/fcntl.ts";
import { Fd, open } from "../../ffi/file.ts";
import { HostError, hostReason, SkiffError } from "../errors.ts";
import { readBootId } from "./boot.ts";
import { chooseDataFolder, type DataFolder } from "./data_folder.ts";
import { spreadFolders } from "./spread.ts";

export interface Folders {
  /** `$XDG_DATA_HOME/skiff`, or `/var/lib/skiff` for root. Mode 0700. */
  data: string;
  /** Why `data` is not in the user's home. */
  obstacle?: string;
  /** Sockets and namespace members; gone with a reboot. Mode 0700. */
  run: string;
  /** `blobs/sha256/<hex>` and `blobs/partial/<hex>`. */
  blobs: string;
  layers: string;
  containers: string;
  volumes: string;
  locks: string;
  /** The file of the database. */
  db: string;
  /** On the same file system as the rest, for what is renamed into place. */
  tmp: string;
}

export interface FolderOptions {
  /** Instead of the default data folder. */
  data?: string;
  /** Instead of the default runtime folder. */
  run?: string;
}

/** The recorded choice of the runtime folder, `runtime.json` in the data folder. */
interface RuntimeChoice {
  run: string;
  bootId: string;
}

/**
 * Finds the folders of this user and makes what is missing.
 *
 * The runtime folder is the same whatever the environment says, so that a command in a cron job meets the
 * sockets of a command in a login session; the first choice after a boot is recorded and wins while
 * anything lives in it.
 */
export function openFolders(options: FolderOptions = {}): Folders {
  const { path, obstacle }: DataFolder = options.data === undefined
    ? chooseDataFolder()
    : { path: options.data };
  const data = followOwnLink(path);
  ensurePrivateFolder(data);
  const folders: Folders = {
    data,
    obstacle,
    run: options.run ?? "",
    blobs: `${data}/blobs`,
    layers: `${data}/layers`,
    containers: `${data}/containers`,
    volumes: `${data}/volumes`,
    locks: `${data}/locks`,
    db: `${data}/skiff.db`,
    tmp: `${data}/tmp`,
  };
  if (!isFolder(folders.tmp)) {
    const parts = [
      "blobs/sha256",
      "blobs/sha512",
      "blobs/partial",
      "layers",
      "containers",
      "volumes",
      "locks",
    ];
    for (const part of parts) Deno.mkdirSync(`${data}/${part}`, { recursive: true, mode: 0o700 });
    using containers = new Fd(open(`${data}/containers`, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    spreadFolders(containers.number);
    Deno.mkdirSync(folders.tmp, { recursive: true, mode: 0o700 });
  }
  if (options.run === undefined) folders.run = chooseRuntimeFolder(data);
  else {
    ensurePrivateFolder(options.run);
    makeSocketFolders(options.run);
  }
  return folders;
}

/** The beginning of names in `tmp`: who comes across such a folder removes it. */
export const TRASH = "rm-";

/** Where a folder goes that is to be removed; `name` is its own. */
export function trashPath(folders: Folders, name: string): string {
  return `${folders.tmp}/${TRASH}${name}`;
}

/** The socket of a container's monitor; with any usual runtime folder shorter than sun_path's 108 bytes. */
export function monitorSocketPath(folders: Folders, id: string): string {
  return socketPath(`${folders.run}/c`, id);
}

/** Where the program that serves a container's network takes requests. */
export function programSocketPath(folders: Folders, id: string): string {
  return socketPath(`${folders.run}/c`, id, ".n");
}

/** The socket of an exec session's monitor. */
export function execSocketPath(folders: Folders, sessionId: string): string {
  return socketPath(`${folders.run}/x`, sessionId);
}

function socketPath(folder: string, id: string, suffix = ""): string {
  const path = `${folder}/${id.slice(0, 32)}${suffix}`;
  if (path.length >= 108) {
    throw new SkiffError(`use runtime folder "${folder}": a socket path there is longer than 107 bytes`);
  }
  return path;
}

/**
 * `/run/user/<uid>/skiff` where the session manager made the parent, `/run/skiff` for root,
 * else `/tmp/skiff-<uid>`.
 */
function preferredRuntimeFolder(): string {
  const uid = Deno.uid();
  if (uid === 0) return "/run/skiff";
  const session = `/run/user/${uid}`;
  const mayBeThere = mayHave("/run", "user") && mayHave("/run/user", String(uid));
  return mayBeThere && isPrivateFolder(session) ? `${session}/skiff` : `/tmp/skiff-${uid}`;
}

/** Asked first, because a process's first exception costs a millisecond. */
function mayHave(folder: string, name: string): boolean {
  try {
    for (const entry of Deno.readDirSync(folder)) if (entry.name === name) return true;
    return false;
  } catch {
    return true; // whoever may not list it may still look
  }
}

function chooseRuntimeFolder(data: string): string {
  const file = `${data}/runtime.json`;
  const bootId = readBootId();
  const preferred = preferredRuntimeFolder();
  const recorded = readChoice(file);
  if (recorded?.bootId === bootId) {
    if (recorded.run === preferred && isFolder(preferred)) {
      checkPrivateFolder(preferred);
      // who clears up /tmp takes empty folders away after some days
      if (!isFolder(`${preferred}/c`) || !isFolder(`${preferred}/x`)) makeSocketFolders(preferred);
      return preferred;
    }
    if (recorded.run !== preferred && isPrivateFolder(recorded.run) && hasLife(recorded.run)) {
      return recorded.run;
    }
  }
  makeRuntimeFolder(preferred);
  const temporary = `${file}.${crypto.randomUUID()}`;
  Deno.writeTextFileSync(temporary, JSON.stringify({ run: preferred, bootId }), { mode: 0o600 });
  Deno.renameSync(temporary, file);
  return preferred;
}

function makeRuntimeFolder(path: string): void {
  makeFolder(path);
  checkPrivateFolder(path);
  makeSocketFolders(path);
}

function makeSocketFolders(run: string): void {
  for (const part of ["c", "x"]) Deno.mkdirSync(`${run}/${part}`, { recursive: true, mode: 0o700 });
}

function readChoice(file: string): RuntimeChoice | undefined {
  try {
    const value = JSON.parse(Deno.readTextFileSync(file));
    return typeof value?.run === "string" && typeof value?.bootId === "string" ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Sockets lie one level down: `c/` containers, `x/` exec sessions. */
function hasLife(run: string): boolean {
  for (const part of ["c", "x"]) {
    try {
      for (const _entry of Deno.readDirSync(`${run}/${part}`)) return true;
    } catch {
      // not made yet
    }
  }
  return false;
}

/** Users put data on another disk by a link; one that somebody else has made is left for the check to refuse. */
function followOwnLink(path: string): string {
  try {
    const info = Deno.lstatSync(path);
    return info.isSymlink && info.uid === Deno.uid() ? Deno.realPathSync(path) : path;
  } catch {
    return path;
  }
}

/** Makes `path` with mode 0700 where missing, or gives it to an empty one; refuses one of another user. */
function ensurePrivateFolder(path: string): void {
  if (!isFolder(path)) {
    try {
      Deno.mkdirSync(path, { recursive: true, mode: 0o700 });
    } catch (cause) {
      throw new HostError(`make folder "${path}": ${hostReason(cause)}`, {
        cause,
        hint: "set XDG_DATA_HOME to a folder that you can write to",
      });
    }
  }
  closeEmptyFolder(path);
  checkPrivateFolder(path);
}

/** A new volume or disk is 0755. Others have put nothing there, and could not. */
function closeEmptyFolder(path: string): void {
  const { isDirectory, uid, mode } = Deno.lstatSync(path);
  const isReadable = (mode! & 0o077) !== 0 && (mode! & 0o022) === 0;
  if (
    !isDirectory || uid !== Deno.uid() || !isReadable ||
    !Deno.readDirSync(path)[Symbol.iterator]().next().done
  ) return;
  Deno.chmodSync(path, 0o700);
}

function makeFolder(path: string): void {
  try {
    Deno.mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
}

/**
 * Throws unless `path` is a real folder (not a symlink), ours, and closed to everybody else. In a sticky
 * /tmp nobody can replace it after this check.
 */
export function checkPrivateFolder(path: string): void {
  const info = Deno.lstatSync(path);
  const hint = `remove it, or ask its owner to`;
  if (info.isSymlink) throw new HostError(`use folder "${path}": it is a symlink`, { hint });
  if (!info.isDirectory) throw new HostError(`use folder "${path}": it is not a folder`, { hint });
  if (info.uid !== Deno.uid()) {
    throw new HostError(`use folder "${path}": it belongs to user ${info.uid}, not to ${Deno.uid()}`, {
      hint,
    });
  }
  if (((info.mode ?? 0) & 0o077) !== 0) {
    const mode = ((info.mode ?? 0) & 0o7777).toString(8);
    throw new HostError(`use folder "${path}": its mode is ${mode}, so others can reach it`, {
      hint: `chmod 700 ${path}`,
    });
  }
}

function isPrivateFolder(path: string): boolean {
  try {
    checkPrivateFolder(path);
    return true;
  } catch {
    return false;
  }
}

function isFolder(path: string): boolean {
  try {
    return Deno.lstatSync(path).isDirectory;
  } catch {
    return false;
  }
}
