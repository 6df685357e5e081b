/**
 * What a test left on the machine: its own processes and the mounts of its folder. Other people work on the
 * machine too, so a process counts only if its ids are the test's and something that nobody else has ties it
 * to the test; that it merely sees a mount of the test's says nothing.
 */
import type { TestIds } from "./needs.ts";

function read(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}

function link(path: string): string {
  try {
    return Deno.readLinkSync(path);
  } catch {
    return "";
  }
}

/** The variable that everything a test starts has in its environment. */
export const MARK = "SKIFF_TEST_FOLDER";

/** Whose processes to look for. */
export interface Owner {
  /** The test's folder. */
  folder: string;
  /** Uids 0 and 0 for a test as root. */
  ids: TestIds;
  /** Ids of the containers it knew, 64 hexadecimal digits each. */
  containers: string[];
}

export interface LeftProcess {
  pid: number;
  command: string;
  /** Clock ticks since boot at its start: with the pid it names one process for good. */
  startTime: string;
}

interface Seen extends LeftProcess {
  parent: number;
  isOwn: boolean;
}

/** Living processes that the test started, by themselves or through a parent. */
export function processesOf(owner: Owner): LeftProcess[] {
  const seen = new Map<number, Seen>();
  for (const { name } of Deno.readDirSync("/proc")) {
    const process = /^[0-9]+$/.test(name) ? look(Number(name), owner) : null;
    if (process !== null) seen.set(process.pid, process);
  }
  const isOwn = (process: Seen | undefined, depth = 0): boolean =>
    process !== undefined && depth < 100 &&
    (process.isOwn || isOwn(seen.get(process.parent), depth + 1));
  return [...seen.values()].filter((process) => isOwn(process))
    .map(({ pid, command, startTime }) => ({ pid, command, startTime }));
}

/** Null for what must never be taken for the test's: the first process, ourselves, other users, the dead. */
function look(pid: number, owner: Owner): Seen | null {
  if (pid <= 1 || pid === Deno.pid || pid === Deno.ppid) return null;
  const folder = `/proc/${pid}`;
  const status = read(`${folder}/status`);
  if (status === "" || /^State:\s+[ZX]/m.test(status)) return null;
  const uids = /^Uid:\s+(.*)$/m.exec(status)?.[1]?.split(/\s+/).map(Number) ?? [];
  if (uids.length === 0 || !uids.every((uid) => belongsTo(uid, owner.ids))) return null;
  const words = read(`${folder}/cmdline`).replaceAll("\0", " ").trim() || read(`${folder}/comm`).trim();
  return {
    pid,
    command: words.slice(0, 200),
    startTime: startTimeOf(pid),
    parent: Number(/^PPid:\s+(\d+)/m.exec(status)?.[1] ?? 0),
    isOwn: carriesMark(folder, owner),
  };
}

/** A test as root may have given its containers any id, so there the mark alone decides. */
function belongsTo(uid: number, ids: TestIds): boolean {
  return ids.uid === 0 || uid === ids.uid || (uid >= ids.subuid && uid < ids.subuid + ids.subuidCount);
}

/**
 * The mark in the environment; or a pid namespace of its own in which a mount is made of the test's files: a
 * container's program has none of our variables, but its root, hosts or log come from the test's folder.
 */
function carriesMark(folder: string, { folder: mark, ids, containers }: Owner): boolean {
  if (read(`${folder}/environ`).split("\0").includes(`${MARK}=${mark}`)) return true;
  if (ids.uid !== 0 && [link(`${folder}/cwd`), link(`${folder}/root`)].some((at) => isBelow(at, mark))) {
    return true;
  }
  const namespace = link(`${folder}/ns/pid`);
  if (namespace === "" || namespace === link("/proc/self/ns/pid")) return false;
  return read(`${folder}/mountinfo`).split("\n").some((line) => {
    const [, , , source = "", , ...rest] = line.split(" ");
    const options = rest.at(-1) ?? "";
    return isBelow(source, mark) || options.includes(`${mark}/`) ||
      containers.some((id) => source.includes(id) || options.includes(id));
  });
}

function isBelow(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

function startTimeOf(pid: number): string {
  // field 22; the second may hold blanks and parentheses
  return read(`/proc/${pid}/stat`).replace(/^.*\)/s, "").trim().split(" ")[19] ?? "";
}

/** Kills one of `processesOf`, unless its pid is another's by now. */
export function killLeft({ pid, startTime }: LeftProcess): void {
  if (pid <= 1 || startTime === "" || startTimeOf(pid) !== startTime) return;
  try {
    Deno.kill(pid, "SIGKILL");
  } catch { /* it has ended meanwhile */ }
}

/** Mount points of the host's own mount namespace that lie in the test's folder. */
export function mountsOf(folder: string): string[] {
  return read("/proc/self/mountinfo").split("\n").map((line) => line.split(" ")[4] ?? "")
    .filter((point) => isBelow(point, folder));
}
