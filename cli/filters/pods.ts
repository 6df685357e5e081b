/** `--filter` of `pod ps`. @see podman-pod-ps(1) */

import type { PodListEntry } from "../../runtime/engine/pods/list.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { parseTime } from "../output/time_argument.ts";
import { hasLabel } from "./containers.ts";
import { asPattern, type Filters, keepPassing } from "./passing.ts";

const POD_STATES = ["created", "running", "paused", "exited", "stopped", "degraded", "dead", "error"];
const CONTAINER_STATES = [
  "created",
  "running",
  "paused",
  "stopped",
  "exited",
  "unknown",
  "stopping",
  "removing",
];

const FILTERS: Filters<PodListEntry> = {
  "ctr-ids": (value) => {
    const pattern = asPattern(value);
    return ({ Containers }) => Containers.some(({ Id }) => Id.startsWith(value) || pattern.test(Id));
  },
  "ctr-names": (value) => {
    const pattern = asPattern(value);
    return ({ Containers }) => Containers.some(({ Names }) => pattern.test(Names));
  },
  "ctr-number": (value) => {
    const [wanted, ...more] = value.split(",").map(Number);
    if (wanted === undefined || more.length > 0 || !Number.isInteger(wanted)) {
      throw new InvalidArgumentError(`strconv.Atoi: parsing "${value}": invalid syntax`);
    }
    return ({ Containers }) => Containers.length === wanted;
  },
  "ctr-status": (value) => {
    if (!CONTAINER_STATES.includes(value)) throw new InvalidArgumentError(`${value} is not a valid status`);
    const wanted = value === "stopped" ? "exited" : value;
    return ({ Containers }) => Containers.some(({ Status }) => Status === wanted);
  },
  id: (value) => {
    const pattern = asPattern(value);
    return ({ Id }) => Id.startsWith(value) || pattern.test(Id);
  },
  label: (value) => ({ Labels }) => hasLabel(Labels, value),
  name: (value) => {
    const pattern = asPattern(value);
    return ({ Name }) => pattern.test(Name);
  },
  network: (value) => ({ Networks }) => Networks.includes(value),
  status: (value) => {
    if (!POD_STATES.includes(value.toLowerCase())) {
      throw new InvalidArgumentError(`${value} is not a valid pod status`);
    }
    return ({ Status }) => Status.toLowerCase() === value.toLowerCase();
  },
  until: (value) => {
    const time = parseTime(value, "filter until", Date.now());
    return ({ Created }) => Date.parse(Created) < time;
  },
};

/** For completion. */
export const FILTER_KEYS: readonly string[] = Object.keys(FILTERS);

/** Keeps what passes: of one key any value will do, but every label must be there. */
export function filterPods(entries: PodListEntry[], filters: readonly string[]): PodListEntry[] {
  const given = filters.map((text): [string, string] => {
    const at = text.indexOf("=");
    const [key, value] = at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
    if (!Object.hasOwn(FILTERS, key.replace(/^label!$/, "label"))) {
      throw new InvalidArgumentError(`${key} is an invalid filter`);
    }
    return [key, value];
  });
  return keepPassing(entries, given, FILTERS);
}
