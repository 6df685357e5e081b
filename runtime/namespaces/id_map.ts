/**
 * Which ids a user's containers have: container 0 is the user, 1… are the user's subordinate ids.
 *
 * @see user_namespaces(7), subuid(5), newuidmap(1)
 */

import type { IdMapping } from "../spec/runtime.ts";

/** The id maps of the user's shared namespace. */
export interface IdMaps {
  uid: IdMapping[];
  gid: IdMapping[];
  /** Container 0 alone is mapped: subordinate ids or the helpers that map them are missing. */
  isSingle: boolean;
  /** Why it is single, as a sentence's end: `/etc/subuid has no range for alice`. */
  reason?: string;
  /** What an administrator does about it: `as root: usermod …`. */
  remedy?: string;
}

/** A line of /etc/subuid: `count` ids from `start` on. */
export interface SubordinateRange {
  start: number;
  count: number;
}

/** The highest id; 2^32 - 1 means "no id". */
const MAX_ID = 0xfffffffe;

/**
 * The ranges of one user, by name or number, in the file's order. Lines that cannot be read are passed
 * over, as shadow does.
 *
 * @see subuid(5)
 */
export function parseSubordinateRanges(text: string, user: string, uid: number): SubordinateRange[] {
  const ranges: SubordinateRange[] = [];
  for (const line of text.split("\n")) {
    const [owner, start, count, ...rest] = line.trim().split(":");
    if (rest.length > 0 || (owner !== user && owner !== String(uid))) continue;
    if (!isId(start) || !isId(count)) continue;
    const range = { start: Number(start), count: Number(count) };
    if (range.count > 0 && range.start + range.count - 1 <= MAX_ID) ranges.push(range);
  }
  return ranges;
}

/** One to ten digits; asked at every start, and a regular expression takes longer to compile than this to run. */
function isId(text = ""): boolean {
  return text !== "" && text.length <= 10 && Array.from(text).every((digit) => digit >= "0" && digit <= "9");
}

/** Container 0 ↔ `own`, and from 1 on the ranges one after another, each id once. */
export function mapWithRanges(own: number, ranges: readonly SubordinateRange[]): IdMapping[] {
  const mappings: IdMapping[] = [{ containerID: 0, hostID: own, size: 1 }];
  let next = 1;
  for (const { start, count } of ranges) {
    // The kernel refuses overlapping extents, so a range that repeats an id is left out.
    const overlaps = mappings.some((one) => start < one.hostID + one.size && one.hostID < start + count);
    // A map has at most 340 lines. @see user_namespaces(7)
    if (overlaps || mappings.length >= 340) continue;
    mappings.push({ containerID: next, hostID: start, size: count });
    next += count;
  }
  return mappings;
}

/** The lines that uid_map takes and newuidmap's arguments hold. */
export function formatIdMap(mappings: readonly IdMapping[]): string {
  return mappings.map((one) => `${one.containerID} ${one.hostID} ${one.size}\n`).join("");
}

/** Of /proc/PID/uid_map. @see user_namespaces(7) */
export function parseIdMap(text: string): IdMapping[] {
  return text.trim().split("\n").map((line) => {
    const [containerID = 0, hostID = 0, size = 0] = line.trim().split(/\s+/).map(Number);
    return { containerID, hostID, size };
  });
}

/** The lines of a map in pieces that lie within one line of the map around it each: the kernel takes no others (EPERM). */
export function splitIdMap(map: readonly IdMapping[], around: readonly IdMapping[]): IdMapping[] {
  return map.flatMap(({ containerID, hostID, size }) => {
    const pieces: IdMapping[] = [];
    for (let done = 0; done < size;) {
      const id = hostID + done;
      const line = around.find((one) => id >= one.containerID && id < one.containerID + one.size);
      const count = line ? Math.min(size - done, line.containerID + line.size - id) : size - done;
      pieces.push({ containerID: containerID + done, hostID: id, size: count });
      done += count;
    }
    return pieces;
  });
}

/** How many ids are mapped. */
export function mappedIdCount(mappings: readonly IdMapping[]): number {
  return mappings.reduce((sum, one) => sum + one.size, 0);
}

/**
 * The maps of a namespace nested in the user's shared one.
 *
 * `keep-id`: the user has the same id inside as outside, root is a subordinate id.
 * `nomap`: the user is not mapped at all; container 0 is the first subordinate id.
 */
export function nestedIdMap(kind: "keep-id" | "nomap", own: number, count: number): IdMapping[] {
  if (kind === "nomap") return [{ containerID: 0, hostID: 1, size: count - 1 }];
  if (own === 0) return [{ containerID: 0, hostID: 0, size: count }];
  const below = Math.min(own, count - 1);
  const maps: IdMapping[] = [{ containerID: 0, hostID: 1, size: below }, {
    containerID: own,
    hostID: 0,
    size: 1,
  }];
  const rest = count - 1 - below;
  if (rest > 0) maps.push({ containerID: own + 1, hostID: 1 + below, size: rest });
  return maps.filter((one) => one.size > 0);
}
