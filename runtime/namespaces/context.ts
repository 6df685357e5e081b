/** Who skiff runs as, and in which user namespace its containers therefore live. */

import { getegid, geteuid } from "../../ffi/process.ts";
import { formatIdMap, type IdMaps, mapWithRanges } from "./id_map.ts";
import { findSubordinateIds } from "./subordinate_ids.ts";

/** Everything that creating and joining the user's namespace needs, decided once per command. */
export interface NamespaceContext {
  /** False as real root: containers then need no user namespace. */
  isRootless: boolean;
  uid: number;
  gid: number;
  maps: IdMaps;
  /** Where members register; a folder of its own for each different map. */
  membersDir: string;
  /** Absolute paths of the setuid helpers; absent with a single-id map. */
  helpers?: { newuidmap: string; newgidmap: string };
  /** This process is in the user's namespace already, as its root: a session of `unshare`, the pid of its leader. */
  isInside?: { sessionPid: number };
}

/** `UID:GID:PID` of the user outside and of the session's leader, for what is run by `unshare`. */
export const UNSHARE_VARIABLE = "_SKIFF_UNSHARED";

/** The session of `unshare` that this process is in. The variable alone is not believed. */
export function unshareSession(): { uid: number; gid: number; sessionPid: number } | undefined {
  const session = Deno.env.get(UNSHARE_VARIABLE);
  const match = session ? /^(\d+):(\d+):(\d+)$/.exec(session) : null;
  if (match === null || Deno.uid() !== 0) return undefined;
  const [uid, gid, sessionPid] = match.slice(1).map(Number) as [number, number, number];
  const [first] = readText("/proc/self/uid_map").trim().split("\n");
  return new RegExp(`^0\\s+${uid}\\s+1$`).test(first!.trim()) ? { uid, gid, sessionPid } : undefined;
}

/** Reads passwd, subuid and subgid; `runDir` is the runtime folder. */
export function namespaceContext(runDir: string): NamespaceContext {
  const session = unshareSession();
  const { uid, gid } = session ?? { uid: geteuid(), gid: getegid() };
  if (uid === 0 && ownsAllIds() && hasAdminRights()) {
    const all = [{ containerID: 0, hostID: 0, size: 0xffffffff }];
    return { isRootless: false, uid, gid, maps: { uid: all, gid: all, isSingle: false }, membersDir: "" };
  }
  const { subuid, subgid, helpers, reason, remedy } = findSubordinateIds(uid);
  const maps: IdMaps = helpers === undefined
    ? { uid: mapWithRanges(uid, []), gid: mapWithRanges(gid, []), isSingle: true, reason, remedy }
    : { uid: mapWithRanges(uid, subuid), gid: mapWithRanges(gid, subgid), isSingle: false };
  return {
    isRootless: true,
    uid,
    gid,
    maps,
    membersDir: `${runDir}/userns-${mapKey(maps)}`,
    helpers,
    ...(session && { isInside: { sessionPid: session.sessionPid } }),
  };
}

/** Root of a user namespace that maps only some ids is rootless in all that matters here. */
function ownsAllIds(): boolean {
  return /^\s*0\s+0\s+4294967295\s*$/.test(readText("/proc/self/uid_map"));
}

/** Root of a container is often without; then it needs a user namespace like anybody. @see capabilities(7) */
function hasAdminRights(): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readText("/proc/self/status"))?.[1] ?? "0";
  return (BigInt(`0x${effective}`) >> CAP_SYS_ADMIN & 1n) === 1n;
}

const CAP_SYS_ADMIN = 21n;

function readText(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}

/** A short name for a map: FNV-1a, which is enough to tell apart the few maps a user ever has. */
function mapKey(maps: IdMaps): string {
  let hash = 0x811c9dc5;
  for (const char of `${formatIdMap(maps.uid)}/${formatIdMap(maps.gid)}`) {
    hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193) >>> 0;
  }
  return hash.toString(16).padStart(8, "0");
}
