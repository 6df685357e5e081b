/** `--filter` of `events`. @see podman-events(1), --filter */

import type { EngineEvent } from "../../runtime/engine/events.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { hasLabel, isNamed } from "./containers.ts";

type Test = (event: EngineEvent) => boolean;

/** Docker's word for an action of ours. */
const ACTIONS: Record<string, string> = {
  destroy: "remove",
  delete: "remove",
  rm: "remove",
  die: "died",
  exec_create: "exec",
  exec_start: "exec",
  exec_die: "exec_died",
};

const is = (type: EngineEvent["type"], value: string): Test => (event) =>
  event.type === type && (event.name === value || (value !== "" && event.id.startsWith(value)));

const FILTERS: Record<string, (value: string) => Test> = {
  container: (value) => is("container", value),
  image: (value) => (event) =>
    is("image", value.replace(/^sha256:/, ""))(event) ||
    (event.type === "image" && isNamed(event.name, value)),
  volume: (value) => is("volume", value),
  network: (value) => is("network", value),
  pod: (value) => is("pod", value),
  event: (value) => {
    const action = ACTIONS[value] ?? value;
    return (event) => event.action === action || value === `${event.action}: ${event.health}`;
  },
  status: (value) => FILTERS.event!(value),
  type: (value) => (event) => event.type === value,
  label: (value) => (event) => hasLabel(event.attributes ?? null, value),
  daemon: () => () => true,
  scope: () => () => true,
};

/** For completion. */
export const FILTER_KEYS: readonly string[] = Object.keys(FILTERS);

/** What passes: filters with the same key are alternatives. */
export function eventFilter(filters: readonly string[]): Test {
  const groups = new Map<string, Test[]>();
  for (const text of filters) {
    const at = text.indexOf("=");
    const key = text.slice(0, at).toLowerCase();
    const make = at > 0 && Object.hasOwn(FILTERS, key) ? FILTERS[key] : undefined;
    if (!make) throw new InvalidArgumentError(`${text} is an invalid filter`);
    groups.set(key, [...groups.get(key) ?? [], make(text.slice(at + 1))]);
  }
  const every = [...groups.values()];
  return (event) => every.every((tests) => tests.some((test) => test(event)));
}
