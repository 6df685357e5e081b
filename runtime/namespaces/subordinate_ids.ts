/**
 * Which subordinate ids a user has, and what is missing where there are none.
 *
 * The ranges are where newuidmap(1) looks, too: in /etc/subuid and /etc/subgid, or with a source of libsubid in
 * nsswitch.conf in what getsubids(1) says.
 *
 * @see subuid(5), getsubids(1), newuidmap(1)
 */

import { parseSubordinateRanges, type SubordinateRange } from "./id_map.ts";

/** Ranges and helpers of the user; `reason` where containers can have one id only. */
export interface SubordinateIds {
  subuid: SubordinateRange[];
  subgid: SubordinateRange[];
  helpers?: { newuidmap: string; newgidmap: string };
  /** A sentence's end: `/etc/subuid has no range for alice`. */
  reason?: string;
  /** What an administrator does about it. */
  remedy?: string;
}

/** Never from the caller's PATH: the helpers are setuid root. */
const PROGRAM_FOLDERS = ["/usr/bin", "/bin", "/usr/local/bin", "/usr/sbin", "/sbin"];

const INSTALL_HELPERS =
  "install the package uidmap (Debian, Ubuntu, Alpine: shadow-uidmap, Fedora: shadow-utils)";

/** Looks everything up anew. */
export function findSubordinateIds(uid: number): SubordinateIds {
  const user = userName(uid);
  const { source, getsubids } = findSource();
  const [subuid, subgid] = [rangesOf("uid", user, uid), rangesOf("gid", user, uid)];
  const newuidmap = findProgram("newuidmap");
  const newgidmap = findProgram("newgidmap");
  const found = { subuid, subgid };
  if (!newuidmap || !newgidmap) {
    const reason = `${newuidmap ? "newgidmap" : "newuidmap"} is not installed`;
    return { ...found, reason, remedy: INSTALL_HELPERS };
  }
  if (subuid.length > 0 && subgid.length > 0) return { ...found, helpers: { newuidmap, newgidmap } };
  const kind = subuid.length === 0 ? "uid" : "gid";
  if (getsubids !== undefined) {
    return {
      ...found,
      reason: `getsubids gives no sub${kind} range for ${user}`,
      remedy: `add one to what "subid: ${source}" in /etc/nsswitch.conf names`,
    };
  }
  const remedy = user === String(uid) ? nameUser(uid) : addRanges(user);
  return { ...found, reason: `/etc/sub${kind} has no range for ${user}`, remedy };
}

/** The ranges of a name, whether there is such a user or not; of a number as well where `uid` is given. */
export function rangesOf(kind: "uid" | "gid", name: string, uid = -1): SubordinateRange[] {
  const { getsubids } = findSource();
  return getsubids === undefined
    ? parseSubordinateRanges(readText(`/etc/sub${kind}`), name, uid)
    : askGetsubids(getsubids, kind, name);
}

/** Where ranges are from, and who is asked for those that are in no file. */
function findSource(): { source: string; getsubids?: string } {
  const source = subidSource();
  return { source, getsubids: source === "files" ? undefined : findProgram("getsubids") };
}

/** The command that gives the user ranges which nobody else has. */
function addRanges(user: string): string {
  const start = Math.max(nextFree(readText("/etc/subuid")), nextFree(readText("/etc/subgid")));
  const range = `${start}-${start + 65535}`;
  return `as root: usermod --add-subuids ${range} --add-subgids ${range} ${user}`;
}

/** newuidmap(1) maps for nobody who is in no list of users. */
function nameUser(uid: number): string {
  return `as root: useradd --uid ${uid} NAME, which gives the user a name and ranges`;
}

/** Behind the last range, as useradd(8) chooses it; ids from 2^31 on are best left alone. */
function nextFree(text: string): number {
  const ends = text.split("\n").map((line) => line.split(":"))
    .map(([, start, count]) => Number(start) + Number(count)).filter((end) => end > 0 && end < 2 ** 31);
  return Math.max(100_000, ...ends);
}

/** What follows `subid:` in nsswitch.conf; `files` where nothing does. */
function subidSource(): string {
  const text = readText("/etc/nsswitch.conf");
  return text.includes("subid:") ? /^\s*subid:\s*(\w+)/m.exec(text)?.[1] ?? "files" : "files";
}

/** Lines are `0: alice 100000 65536`. */
function askGetsubids(program: string, kind: "uid" | "gid", user: string): SubordinateRange[] {
  const text = outputOf(program, kind === "gid" ? ["-g", user] : [user]);
  const lines = Array.from(
    text.matchAll(/^\d+: (\S+) (\d+) (\d+)$/gm),
    ([, , start, count]) => [start, count],
  );
  return parseSubordinateRanges(
    lines.map(([start, count]) => `${user}:${start}:${count}`).join("\n"),
    user,
    -1,
  );
}

/** Of an account from a directory service passwd has no line; getent(1) asks there. */
export function userName(uid: number): string {
  for (const line of readText("/etc/passwd").split("\n")) {
    const fields = line.split(":");
    if (fields[2] === String(uid)) return fields[0]!;
  }
  const getent = findProgram("getent");
  const line = getent === undefined ? "" : outputOf(getent, ["passwd", String(uid)]);
  return /^([^:\s]+):/.exec(line)?.[1] ?? String(uid);
}

/** Nothing where it fails. These programs answer at once or not at all, and only on few machines are asked. */
function outputOf(program: string, args: string[]): string {
  try {
    const env = { PATH: "/usr/bin:/bin", LC_ALL: "C" };
    const { success, stdout } = new Deno.Command(program, { args, clearEnv: true, env, stderr: "null" })
      .outputSync();
    return success ? new TextDecoder().decode(stdout) : "";
  } catch {
    return "";
  }
}

/** The absolute path of a helper. */
export function findProgram(name: string): string | undefined {
  for (const folder of PROGRAM_FOLDERS) {
    try {
      if (Deno.statSync(`${folder}/${name}`).isFile) return `${folder}/${name}`;
    } catch {
      // Not here; the next folder may have it.
    }
  }
}

function readText(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}
