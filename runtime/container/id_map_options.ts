/**
 * `--userns keep-id:…`, `--userns auto:…`, `--uidmap` and `--gidmap` as id maps.
 *
 * Outside ids are counted as podman does without root: 0 is the user, 1… are the subordinate ids.
 *
 * @see podman-run(1), --userns, --uidmap
 */

import { InvalidArgumentError } from "../errors.ts";
import type { IdMapping } from "../spec/runtime.ts";

/** podman's smallest size of an automatic map. */
const AUTO_SIZE = 1024;

/** `keep-id:uid=1000,gid=1000`: the numbers that the caller has inside. */
export function parseKeepId(
  text: string,
  caller: { uid: number; gid: number },
): { uid: number; gid: number } {
  const ids = { ...caller };
  for (const word of wordsOf(text)) {
    const [key, value = ""] = word.split("=");
    if (key !== "uid" && key !== "gid") throw new InvalidArgumentError(`unknown option specified: "${key}"`);
    ids[key] = readId(`--userns ${text}`, value);
  }
  return ids;
}

export interface AutoRequest {
  size: number;
  uid: IdMapping[];
  gid: IdMapping[];
}

/** `auto:size=N,uidmapping=C:O:N,gidmapping=C:O:N`. */
export function parseAuto(text: string): AutoRequest {
  const request: AutoRequest = { size: AUTO_SIZE, uid: [], gid: [] };
  for (const word of wordsOf(text)) {
    const [key, value = ""] = word.split("=");
    if (key === "size") request.size = readId(`--userns ${text}`, value);
    else if (key === "uidmapping") request.uid.push(parseIdMapping("UID", value));
    else if (key === "gidmapping") request.gid.push(parseIdMapping("GID", value));
    else throw new InvalidArgumentError(`invalid option specified: "${key}"`);
  }
  if (request.size === 0) throw new InvalidArgumentError(`--userns ${text}: a size of 0 maps nobody`);
  return request;
}

/**
 * Completes an automatic map: what is asked for, and then the first outside ids from 1 on that neither it nor `taken`
 * has. `count` is how many ids there are.
 */
export function allocateMap(
  size: number,
  asked: readonly IdMapping[],
  taken: readonly IdMapping[],
  count: number,
): IdMapping[] {
  const result = [...asked];
  const used = [...asked, ...taken].map(({ hostID, size }) => [hostID, hostID + size] as const)
    .sort((a, b) => a[0] - b[0]);
  const gaps: { start: number; end: number }[] = [];
  let free = 1;
  for (const [start, end] of used) {
    if (start > free) gaps.push({ start: free, end: start });
    free = Math.max(free, end);
  }
  if (free < count) gaps.push({ start: free, end: count });
  for (const hole of holes(size, asked)) {
    for (let inside = hole.start; inside < hole.end;) {
      const gap = gaps.find(({ start, end }) => start < end);
      if (!gap) {
        throw new InvalidArgumentError(
          `use user namespace "auto": not enough unused ids: ${size} are asked for, and other containers use the rest`,
        );
      }
      const length = Math.min(hole.end - inside, gap.end - gap.start);
      result.push({ containerID: inside, hostID: gap.start, size: length });
      inside += length;
      gap.start += length;
    }
  }
  return result;
}

/** The ids from 0 to `size` that `asked` leaves out. */
function holes(size: number, asked: readonly IdMapping[]): { start: number; end: number }[] {
  const found: { start: number; end: number }[] = [];
  let at = 0;
  for (const { containerID, size: length } of [...asked].sort((a, b) => a.containerID - b.containerID)) {
    if (containerID > at) found.push({ start: at, end: Math.min(containerID, size) });
    at = Math.max(at, containerID + length);
  }
  if (at < size) found.push({ start: at, end: size });
  return found.filter(({ start, end }) => start < end);
}

/** `--uidmap` and `--gidmap`; where only one is given, it counts for both. `counts` are the ids that there are. */
export function parseIdMaps(
  uidMap: readonly string[],
  gidMap: readonly string[],
  counts: { uid: number; gid: number },
): { uid: IdMapping[]; gid: IdMapping[] } {
  const uid = (uidMap.length > 0 ? uidMap : gidMap).map((text) => parseIdMapping("UID", text));
  const gid = (gidMap.length > 0 ? gidMap : uidMap).map((text) => parseIdMapping("GID", text));
  checkMap("UID", uid, counts.uid);
  checkMap("GID", gid, counts.gid);
  return { uid, gid };
}

function checkMap(kind: string, map: readonly IdMapping[], count: number): void {
  if (!map.some(({ containerID }) => containerID === 0)) {
    throw new InvalidArgumentError(`map ids: ${kind} 0 is not mapped, so the container could not be set up`);
  }
  for (const [index, one] of map.entries()) {
    if (one.hostID + one.size > count) {
      throw new InvalidArgumentError(
        `map ids: ${one.containerID}:${one.hostID}:${one.size} needs more than the ${count} ids that there are`,
        { hint: "more of them are given by /etc/subuid and /etc/subgid" },
      );
    }
    const overlaps = map.some((other, place) =>
      place < index &&
      (intersect(one.containerID, other.containerID, one.size, other.size) ||
        intersect(one.hostID, other.hostID, one.size, other.size))
    );
    if (overlaps) throw new InvalidArgumentError(`map ids: ${kind} ranges overlap`);
  }
}

function intersect(a: number, b: number, sizeA: number, sizeB: number): boolean {
  return a < b + sizeB && b < a + sizeA;
}

function parseIdMapping(kind: string, text: string): IdMapping {
  const [, container, own, size = "1"] = /^(\d{1,10}):(\d{1,10})(?::(\d{1,10}))?$/.exec(text) ?? [];
  if (container === undefined || Number(size) === 0) {
    throw new InvalidArgumentError(
      `${kind} setting is malformed expected ["uint32:uint32:uint32"]: ["${text}"]`,
    );
  }
  return { containerID: Number(container), hostID: Number(own), size: Number(size) };
}

/** What follows the colon, by commas. */
function wordsOf(text: string): string[] {
  return text.slice(text.indexOf(":") + 1 || text.length).split(",").filter((word) => word !== "");
}

function readId(where: string, text: string): number {
  if (!/^\d{1,10}$/.test(text) || Number(text) > 0xfffffffe) {
    throw new InvalidArgumentError(`${where}: "${text}" is not a number of ids`);
  }
  return Number(text);
}
