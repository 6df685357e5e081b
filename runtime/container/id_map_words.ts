/**
 * `--uidmap` and `--gidmap` as id maps: `[FLAGS]CONTAINER:[@]OWN[:COUNT]`, several of them in one word as well.
 *
 * Without root OWN counts the ids of the user's shared namespace, as podman does: 0 is the user, 1… are the subordinate
 * ids; `@` says that it is an id of the host. As root both are ids of the host.
 *
 * @see podman-run(1), --uidmap, extended mapping syntax
 */

import { InvalidArgumentError } from "../errors.ts";
import type { IdMapping } from "../spec/runtime.ts";

export type IdKind = "UID" | "GID";

/** The ids that there are, and what they are on the host. */
export interface AvailableIds {
  uid: readonly IdMapping[];
  gid: readonly IdMapping[];
  isRootless: boolean;
}

interface MapWord {
  /** `u` or `g` alone: it counts for that kind of id only. */
  kinds: readonly IdKind[];
  /** `+`: it takes its ids from the words before, and what they leave of all ids is filled in. */
  extends: boolean;
  lines: IdMapping[];
}

const FORM = '["[+ug]uint32:[@]uint32[:uint32]"]';

/** Both maps; where only one option is given, it counts for both. */
export function parseIdMaps(
  uidMap: readonly string[],
  gidMap: readonly string[],
  available: AvailableIds,
): { uid: IdMapping[]; gid: IdMapping[] } {
  const uid = parseMap("UID", uidMap.length > 0 ? uidMap : gidMap, available.uid, available.isRootless);
  const gid = parseMap("GID", gidMap.length > 0 ? gidMap : uidMap, available.gid, available.isRootless);
  // all words were of the other kind
  if (available.isRootless && uid.length === 0 && gid.length > 0) {
    uid.push(...merged(filled([], available.uid)));
  }
  if (available.isRootless && gid.length === 0 && uid.length > 0) {
    gid.push(...merged(filled([], available.gid)));
  }
  checkMap("UID", uid, available.uid);
  checkMap("GID", gid, available.gid);
  return { uid, gid };
}

/** @throws {InvalidArgumentError} where id 0 is missing, or ranges overlap or are more than there is */
export function checkMap(kind: IdKind, map: readonly IdMapping[], available: readonly IdMapping[]): void {
  const count = available.reduce((sum, { size }) => sum + size, 0);
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

/** One mapping without flags, as of `--userns auto:uidmapping=`. */
export function parseMapping(kind: IdKind, text: string, available: readonly IdMapping[]): IdMapping[] {
  const words = text.split(":");
  if (words.length > 3) throw malformed(kind, text);
  return merged(parseWord(kind, words, text, available).lines);
}

function parseMap(
  kind: IdKind,
  words: readonly string[],
  available: readonly IdMapping[],
  isRootless: boolean,
): IdMapping[] {
  let map: IdMapping[] = [];
  let hasHoles = false;
  for (const text of words) {
    const parts = text.split(":");
    if (parts.length === 2) parts.push("1");
    if (parts.length % 3 !== 0) throw malformed(kind, text);
    for (let at = 0; at < parts.length; at += 3) {
      const word = parseWord(kind, parts.slice(at, at + 3), text, available);
      if (!word.kinds.includes(kind)) continue;
      for (const line of word.lines) {
        // the first word of a map extends all that there is
        if (word.extends && map.length === 0 && isRootless) hasHoles = true;
        map = word.extends ? [...map.flatMap((other) => without(other, line)), line] : [...map, line];
      }
    }
  }
  return merged(hasHoles ? filled(map, available) : map);
}

function parseWord(
  kind: IdKind,
  [container = "", own = "", size = "1"]: readonly string[],
  text: string,
  available: readonly IdMapping[],
): MapWord {
  const [, flags = "", first] = /^([+ug]*)(\d{1,10})$/.exec(container) ?? [];
  const [, isHost, second] = /^(@?)(\d{1,10})$/.exec(own) ?? [];
  if (first === undefined || second === undefined || !/^\d{1,10}$/.test(size) || Number(size) === 0) {
    throw malformed(kind, text);
  }
  const kinds = (["UID", "GID"] as const).filter((one) => flags.includes(one === "UID" ? "u" : "g"));
  const line = { containerID: Number(first), hostID: Number(second), size: Number(size) };
  const counts = kinds.length === 0 || kinds.includes(kind);
  return {
    kinds: kinds.length === 0 ? ["UID", "GID"] : kinds,
    extends: flags.includes("+"),
    lines: isHost && counts ? ownOf(kind, line, available) : [line],
  };
}

/** A range of ids of the host in the numbers that they have here. */
function ownOf(
  kind: IdKind,
  { containerID, hostID, size }: IdMapping,
  available: readonly IdMapping[],
): IdMapping[] {
  const lines: IdMapping[] = [];
  for (let done = 0; done < size;) {
    const id = hostID + done;
    const range = available.find((one) => id >= one.hostID && id < one.hostID + one.size);
    if (range === undefined) {
      throw new InvalidArgumentError(`parent ID ${kind} ${id} is not mapped/delegated`);
    }
    const length = Math.min(size - done, range.hostID + range.size - id);
    const own = range.containerID + id - range.hostID;
    lines.push({ containerID: containerID + done, hostID: own, size: length });
    done += length;
  }
  return lines;
}

/** What is left of a line beside another, of whose ids neither side may come twice. */
function without(line: IdMapping, { containerID, hostID, size }: IdMapping): IdMapping[] {
  const cuts = [containerID - line.containerID, hostID - line.hostID].sort((a, b) => a - b)
    .map((start) => ({ start: Math.max(start, 0), end: Math.min(start + size, line.size) }))
    .filter(({ start, end }) => start < end);
  const left: IdMapping[] = [];
  let at = 0;
  for (const { start, end } of [...cuts, { start: line.size, end: line.size }]) {
    if (start > at) left.push(part(line, at, start));
    at = Math.max(at, end);
  }
  return left;
}

function part({ containerID, hostID }: IdMapping, start: number, end: number): IdMapping {
  return { containerID: containerID + start, hostID: hostID + start, size: end - start };
}

/** The map, and in the ids that it leaves out, and behind them, all that are not in use. */
function filled(map: readonly IdMapping[], available: readonly IdMapping[]): IdMapping[] {
  const free = available.map(({ containerID, size }) => ({ containerID, hostID: containerID, size }))
    .flatMap((range) =>
      map.reduce(
        (rest, { hostID, size }) =>
          rest.flatMap((one) => without(one, { containerID: hostID, hostID, size })),
        [range],
      )
    ).sort((a, b) => a.hostID - b.hostID);
  const result: IdMapping[] = [];
  let inside = 0;
  const fillTo = (end: number) => {
    while (inside < end && free.length > 0) {
      const { hostID, size } = free[0]!;
      const length = Math.min(size, end - inside);
      result.push({ containerID: inside, hostID, size: length });
      inside += length;
      if (length === size) free.shift();
      else free[0] = { containerID: hostID + length, hostID: hostID + length, size: size - length };
    }
  };
  for (const line of map.toSorted((a, b) => a.containerID - b.containerID)) {
    fillTo(line.containerID);
    result.push(line);
    inside = line.containerID + line.size;
  }
  fillTo(Infinity);
  return result;
}

/** In the order of the container's ids; lines that follow one another are one. */
function merged(map: readonly IdMapping[]): IdMapping[] {
  const result: IdMapping[] = [];
  for (const line of map.toSorted((a, b) => a.containerID - b.containerID)) {
    const last = result.at(-1);
    if (
      last && last.containerID + last.size === line.containerID && last.hostID + last.size === line.hostID
    ) {
      last.size += line.size;
    } else result.push({ ...line });
  }
  return result;
}

function intersect(a: number, b: number, sizeA: number, sizeB: number): boolean {
  return a < b + sizeB && b < a + sizeA;
}

function malformed(kind: IdKind, text: string): InvalidArgumentError {
  return new InvalidArgumentError(
    `initializing ID mappings: ${kind} setting is malformed expected ${FORM}: ["${text}"]`,
  );
}
