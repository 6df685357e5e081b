/** `--filter` of `network ls` and `network prune`. @see podman-network-ls(1), docker network ls */

import { BUILT_IN, type NetworkInfo } from "../../runtime/engine/networks.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { parseTime } from "../output/time_argument.ts";
import { hasLabel } from "./containers.ts";

type Test = (network: NetworkInfo) => boolean;

const FILTERS: Record<string, (value: string) => Test> = {
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
  const any = new Map<string, Test[]>();
  const must: Test[] = [];
  for (const filter of filters) {
    const [, key = filter, value = ""] = /^([^=]*)=([\s\S]*)$/.exec(filter) ?? [];
    if (!known.includes(key)) throw new InvalidArgumentError(`invalid filter "${key}"`);
    const isNegated = key.endsWith("!");
    const test = FILTERS[isNegated ? key.slice(0, -1) : key]!(value);
    if (isNegated) must.push((network) => !test(network));
    else if (key === "label") must.push(test);
    else any.set(key, [...any.get(key) ?? [], test]);
  }
  return networks.filter((network) =>
    must.every((test) => test(network)) &&
    [...any.values()].every((tests) => tests.some((test) => test(network)))
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
  throw new InvalidArgumentError(`invalid dangling filter value "${value}"`);
}
