/** `--filter` of `volume ls` and `volume prune`. @see podman-volume-ls(1), podman-volume-prune(1), docker volume ls */

import type { VolumeInfo } from "../../runtime/engine/volumes.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { parseTime } from "../output/time_argument.ts";
import { hasLabel } from "./containers.ts";

type Test = (volume: VolumeInfo) => boolean;

const FILTERS: Record<string, (value: string) => Test> = {
  name: (value) => {
    const pattern = asPattern(value);
    return ({ Name }) => pattern.test(Name);
  },
  driver: (value) => ({ Driver }) => Driver === value,
  scope: (value) => ({ Scope }) => Scope === value,
  label: (value) => ({ Labels }) => hasLabel(Labels, value),
  opt: (value) => ({ Options }) => hasLabel(Options, value),
  dangling: (value) => {
    const wanted = bool(value);
    return ({ Containers }) => (Containers.length === 0) === wanted;
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

/** For completion, and what `volume prune` takes of them. */
export const FILTER_KEYS: readonly string[] = Object.keys(FILTERS);
export const PRUNE_KEYS: readonly string[] = ["label", "label!", "until", "all"];

/** Keeps the volumes that pass: of one key any value will do, but every label must be there. */
export function filterVolumes(
  volumes: VolumeInfo[],
  filters: readonly string[],
  known: readonly string[] = [...FILTER_KEYS, "label!"],
): VolumeInfo[] {
  const any = new Map<string, Test[]>();
  const must: Test[] = [];
  for (const filter of filters) {
    const [, key = "", value = ""] = /^([^=]*)=([\s\S]*)$/.exec(filter) ?? [];
    if (key === "") throw new InvalidArgumentError(`invalid filter "${filter}"`);
    if (!known.includes(key)) throw new InvalidArgumentError(`"${key}" is an invalid volume filter`);
    if (key === "all") continue; // docker's: those with a name as well, which podman always takes
    const isNegated = key.endsWith("!");
    const test = FILTERS[isNegated ? key.slice(0, -1) : key]!(value);
    if (isNegated) must.push((volume) => !test(volume));
    else if (key === "label") must.push(test);
    else any.set(key, [...any.get(key) ?? [], test]);
  }
  return volumes.filter((volume) =>
    must.every((test) => test(volume)) &&
    [...any.values()].every((tests) => tests.some((test) => test(volume)))
  );
}

/** A regular expression, as in podman; what is none stands for itself. */
function asPattern(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch {
    return new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  }
}

function bool(value: string): boolean {
  if (/^(true|1|t)$/i.test(value)) return true;
  if (/^(false|0|f)$/i.test(value)) return false;
  throw new InvalidArgumentError(
    `"${value}" is not a valid value for the "dangling" filter - must be true or false`,
  );
}
