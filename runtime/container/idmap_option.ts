/**
 * `idmap` of a bind mount or a volume: `idmap`, or `idmap=uids=0-1-10#10-11-10;gids=@0-100-10`.
 *
 * A range is FROM-TO-LENGTH: the ids that files have on disk, and those of the host that stand for them; with `@` TO is an
 * id of the container. Pure; loaded where a container has such a mount.
 *
 * @see crun(1), idmap mount options; podman-run(1), --volume
 */

import { InvalidArgumentError } from "../errors.ts";
import type { OwnerRange } from "../monitor/plan.ts";
import type { IdMapping } from "../spec/runtime.ts";

export interface IdmapRange {
  disk: number;
  to: number;
  size: number;
  /** `to` counts in the container. */
  isRelative: boolean;
}

/** What the option says; of what it does not say, the container's user is shown for the host's. */
export interface Idmap {
  uids?: IdmapRange[];
  gids?: IdmapRange[];
}

const MAX_ID = 0xfffffffe;

/** Reads what follows `idmap=`; `""` is the bare word. */
export function parseIdmap(text: string): Idmap {
  const idmap: Idmap = {};
  for (const part of text === "" ? [] : text.split(";")) {
    const [, key, list] = /^(uids|gids)=(.*)$/.exec(part) ?? [];
    if (key === undefined || list === undefined || key in idmap) throw invalid(text);
    idmap[key as "uids" | "gids"] = list.split("#").map((range) => parseRange(text, range));
  }
  return idmap;
}

function parseRange(text: string, range: string): IdmapRange {
  const [, at, ...numbers] = /^(@?)(\d{1,10})-(\d{1,10})-(\d{1,10})$/.exec(range) ?? [];
  const [disk = -1, to = -1, size = -1] = numbers.map(Number);
  if (size < 1 || disk + size - 1 > MAX_ID || to + size - 1 > MAX_ID) throw invalid(text);
  return { disk, to, size, isRelative: at === "@" };
}

function invalid(text: string): InvalidArgumentError {
  return new InvalidArgumentError(
    `mount option "idmap=${text}": want [uids=[@]FROM-TO-LENGTH[#…]][;gids=[@]FROM-TO-LENGTH[#…]]`,
  );
}

/**
 * The ranges in the ids of the user's shared namespace (`shared`, absent for real root, whose ids are the host's). Parts
 * that have no number there are left out: nobody there can have them. `nested` is the container's own map, if it has one.
 */
export function rangesInNamespace(
  ranges: readonly IdmapRange[],
  shared: readonly IdMapping[] | undefined,
  nested: readonly IdMapping[] | undefined,
): OwnerRange[] {
  const result: OwnerRange[] = [];
  for (const { disk, to, size, isRelative } of ranges) {
    for (let done = 0; done < size;) {
      const from = shared ? inward(shared, disk + done) : { id: disk + done, rest: Infinity };
      const into = isRelative
        ? nested ? outward(nested, to + done) : { id: to + done, rest: Infinity }
        : shared
        ? inward(shared, to + done)
        : { id: to + done, rest: Infinity };
      const run = Math.min(size - done, from.rest, into.rest);
      if (from.id !== undefined && into.id !== undefined) {
        result.push({ disk: from.id, shown: into.id, size: run });
      }
      done += run;
    }
  }
  return result;
}

interface Translated {
  /** undefined where the id is not mapped. */
  id?: number;
  /** So many ids from this one on are alike. */
  rest: number;
}

/** An id of the host as the namespace has it. */
function inward(map: readonly IdMapping[], id: number): Translated {
  return translate(map.map(({ hostID, containerID, size }) => [hostID, containerID, size]), id);
}

/** The contrary. */
function outward(map: readonly IdMapping[], id: number): Translated {
  return translate(map.map(({ hostID, containerID, size }) => [containerID, hostID, size]), id);
}

function translate(lines: readonly (readonly [number, number, number])[], id: number): Translated {
  let rest = Infinity;
  for (const [first, other, size] of lines) {
    if (id >= first && id < first + size) return { id: other + id - first, rest: first + size - id };
    if (first > id) rest = Math.min(rest, first - id);
  }
  return { rest };
}
