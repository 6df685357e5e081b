/** `--filter` of `network ls` and `network prune`. @see podman-network-ls(1), docker network ls */

import { BUILT_IN, type NetworkInfo } from "../../runtime/engine/networks.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { parseTime } from "../output/time_argument.ts";
import { hasLabel } from "./containers.ts";
import { asBool, asPattern, type Filters, keepPassing } from "./passing.ts";

const FILTERS: Filters<NetworkInfo> = {
  name: (value) => {
    const pattern = asPattern(value);
    return ({ Name }) => pattern.test(Name);
  },
  id: (value) => {
    const pattern = asPattern(value);
    return ({ ID }) => pattern.test(ID);
  },
  driver: (value) => ({ Driver }) => Driver === value,
  label: (value) => ({ Labels }) => hasLabel(Labels, value),
  scope: (value) => () => value === "local",
  type: (value) => {
    if (value !== "custom" && value !== "builtin") {
      throw new InvalidArgumentError(`invalid type filter value "${value}"`);
    }
    return ({ Name }) => BUILT_IN.includes(Name) === (value === "builtin");
  },
  dangling: (value) => {
    const wanted = bool(value);
    return ({ Users, Name }) => (Users.length === 0 && !BUILT_IN.includes(Name)) === wanted;
  },
  until: (value) => {
    const time = parseTime(value, "filter until", Date.now());
    return ({ Created }) => Date.parse(Created) < time;
  },
};

/** For completion, and what `network prune` takes of them. */
export const FILTER_KEYS: readonly string[] = Object.keys(FILTERS);
export const PRUNE_KEYS: readonly string[] = ["label", "label!", "until"];

/** Keeps the networks that pass: of one key any value will do, but every label must be there. */
export function filterNetworks(
  networks: NetworkInfo[],
  filters: readonly string[],
  known: readonly string[] = [...FILTER_KEYS, "label!"],
): NetworkInfo[] {
  const given: [string, string][] = [];
  for (const filter of filters) {
    const [, key = filter, value = ""] = /^([^=]*)=([\s\S]*)$/.exec(filter) ?? [];
    if (!known.includes(key)) throw new InvalidArgumentError(`invalid filter "${key}"`);
    given.push([key, value]);
  }
  return keepPassing(networks, given, FILTERS);
}

function bool(value: string): boolean {
  const wanted = asBool(value);
  if (wanted !== undefined) return wanted;
  throw new InvalidArgumentError(`invalid dangling filter value "${value}"`);
}
