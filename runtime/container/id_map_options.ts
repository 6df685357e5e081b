/**
 * `--userns keep-id:…` and `--userns auto:…` as id maps.
 *
 * Outside ids are counted as podman does without root: 0 is the user, 1… are the subordinate ids. As root they are those
 * of the host.
 *
 * @see podman-run(1), --userns
 */

import { InvalidArgumentError } from "../errors.ts";
import type { SubordinateRange } from "../namespaces/id_map.ts";
import type { IdMapping } from "../spec/runtime.ts";
import { type AvailableIds, parseMapping } from "./id_map_words.ts";

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
  /** Absent: as many as it takes. */
  size?: number;
  uid: IdMapping[];
  gid: IdMapping[];
}

/** `auto:size=N,uidmapping=C:O:N,gidmapping=C:O:N`. */
export function parseAuto(text: string, available: AvailableIds): AutoRequest {
  const request: AutoRequest = { uid: [], gid: [] };
  for (const word of wordsOf(text)) {
    const [key, value = ""] = word.split("=");
    if (key === "size") request.size = readId(`--userns ${text}`, value);
    else if (key === "uidmapping") request.uid.push(...parseMapping("UID", value, available.uid));
    else if (key === "gidmapping") request.gid.push(...parseMapping("GID", value, available.gid));
    else throw new InvalidArgumentError(`invalid option specified: "${key}"`);
  }
  if (request.size === 0) throw new InvalidArgumentError(`--userns ${text}: a size of 0 maps nobody`);
  return request;
}

/** Completes an automatic map: what is asked for, and then the first ids of `ranges` that neither it nor `taken` has. */
export function allocateMap(
  size: number,
  asked: readonly IdMapping[],
  taken: readonly IdMapping[],
  ranges: readonly SubordinateRange[],
): IdMapping[] {
  const result = [...asked];
  const used = [...asked, ...taken].map(({ hostID, size }) => [hostID, hostID + size] as const)
    .sort((a, b) => a[0] - b[0]);
  const gaps: { start: number; end: number }[] = [];
  for (const range of ranges) {
    const last = range.start + range.count;
    let free = range.start;
    for (const [start, end] of used) {
      if (start > free && free < last) gaps.push({ start: free, end: Math.min(start, last) });
      free = Math.max(free, end);
    }
    if (free < last) gaps.push({ start: free, end: last });
  }
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
