/** `--filter` of `volume ls` and `volume prune`. @see podman-volume-ls(1), podman-volume-prune(1), docker volume ls */

import type { VolumeInfo } from "../../runtime/engine/volumes.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { parseTime } from "../output/time_argument.ts";
import { hasLabel } from "./containers.ts";
import { asBool, asPattern, type Filters, keepPassing } from "./passing.ts";

const FILTERS: Filters<VolumeInfo> = {
  name: (value) => {
    const pattern = asPattern(value);
    return ({ Name }) => pattern.test(Name);
  },
  driver: (value) => ({ Driver }) => Driver === value,
  scope: (value) => ({ Scope }) => Scope === value,
  label: (value) => ({ Labels }) => hasLabel(Labels, value),
  opt: (value) => ({ Options }) => hasLabel(Options, value),
  dangling: (value) => {
    const wanted = bool(value, "dangling");
    return ({ Containers }) => (Containers.length === 0) === wanted;
  },
  anonymous: (value) => {
    const wanted = bool(value, "anonymous");
    return ({ Anonymous }) => Anonymous === wanted;
  },
  until: (value) => {
    const time = parseTime(value, "filter until", Date.now());
    return ({ CreatedAt }) => Date.parse(CreatedAt) < time;
  },
  since: (value) => {
    const time = parseTime(value, "filter since", Date.now());
    return ({ CreatedAt }) => Date.parse(CreatedAt) >= time;
  },
};

FILTERS.after = FILTERS.since!;

/** For completion, and what `volume prune` takes of them. */
export const FILTER_KEYS: readonly string[] = Object.keys(FILTERS);
export const PRUNE_KEYS: readonly string[] = [...FILTER_KEYS, "label!", "all"];

/** Keeps the volumes that pass: of one key any value will do, but every label must be there. */
export function filterVolumes(
  volumes: VolumeInfo[],
  filters: readonly string[],
  known: readonly string[] = [...FILTER_KEYS, "label!"],
): VolumeInfo[] {
  const given: [string, string][] = [];
  for (const filter of filters) {
    const [, key = "", value = ""] = /^([^=]*)=([\s\S]*)$/.exec(filter) ?? [];
    if (key === "") throw new InvalidArgumentError(`invalid filter "${filter}"`);
    if (!known.includes(key)) throw new InvalidArgumentError(`"${key}" is an invalid volume filter`);
    const named = key === "since" || key === "after" ? volumes.find(({ Name }) => Name === value) : undefined;
    if (named) {
      given.push(["made-after", named.CreatedAt]);
      continue;
    }
    if (key === "all") continue; // docker's: those with a name as well, which podman always takes
    given.push([key, value]);
  }
  return keepPassing(volumes, given, { ...FILTERS, "made-after": madeAfter });
}

/** Times of volumes are all written alike. */
const madeAfter = (time: string) => ({ CreatedAt }: VolumeInfo) => CreatedAt > time;

function bool(value: string, filter: string): boolean {
  const wanted = asBool(value);
  if (wanted !== undefined) return wanted;
  throw new InvalidArgumentError(
    `"${value}" is not a valid value for the "${filter}" filter - must be true or false`,
  );
}
