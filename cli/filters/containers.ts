/** `--filter` of the commands that choose among containers. @see podman-ps(1), --filter */

import type { MountSource } from "../../runtime/engine/mount_sources.ts";
import type { ContainerListEntry } from "../../runtime/engine/ps.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { parseFilters } from "../output/list.ts";
import { parseTime } from "../output/time_argument.ts";

type Test = (container: ContainerListEntry) => boolean;
type MountsOf = (id: string) => MountSource[];

const STATES = [
  "created",
  "running",
  "stopping",
  "exited",
  "removing",
  "paused",
  "restarting",
  "dead",
  "unknown",
  "stopped",
];

const HEALTH = ["healthy", "unhealthy", "starting", "none"];

const FILTERS: Record<string, (value: string, all: ContainerListEntry[], mountsOf: MountsOf) => Test> = {
  id: (value) => ({ Id }) => Id.startsWith(value),
  name: (value) => {
    const pattern = regex(value);
    return ({ Names }) => Names.some((name) => pattern.test(name));
  },
  label: (value) => ({ Labels }) => hasLabel(Labels, value),
  status: (value) => {
    if (!STATES.includes(value)) throw new InvalidArgumentError(`${value} is not a valid status`);
    return ({ State }) => State === (value === "stopped" ? "exited" : value);
  },
  health: (value) => {
    if (!HEALTH.includes(value)) throw new InvalidArgumentError(`${value} is not a valid health status`);
    return ({ Health }) => Health === (value === "none" ? "" : value);
  },
  exited: (value) => {
    if (!/^-?\d+$/.test(value)) throw new InvalidArgumentError(`exited code "${value}" is not a number`);
    return ({ Exited, ExitCode }) => Exited && ExitCode === Number(value);
  },
  ancestor: (value) => ({ Image, ImageID }) =>
    Image === value || Image.replace(/:[^:/]*$/, "") === value || isNamed(Image, value) ||
    (value.length >= 3 && ImageID.startsWith(value.replace(/^sha256:/, ""))),
  before: (value, all) => {
    const { CreatedAt } = named(value, all);
    return (container) => isEarlier(container.CreatedAt, CreatedAt);
  },
  since: (value, all) => {
    const { CreatedAt } = named(value, all);
    return (container) => isEarlier(CreatedAt, container.CreatedAt);
  },
  until: (value) => {
    const time = parseTime(value, "filter until", Date.now());
    return ({ CreatedAt }) => Date.parse(CreatedAt) < time;
  },
  // docker: a volume or a mount point; podman: a volume or a folder of the host, with or without :MOUNT-POINT
  volume: (value, _, mountsOf) => {
    const [wanted, place] = value.split(":");
    return ({ Id, Mounts }) =>
      Mounts.includes(value) ||
      mountsOf(Id).some(({ source, destination }) =>
        source === wanted && (place === undefined || destination === place)
      );
  },
  // podman's name of the default network
  network: (value) => ({ Networks }) => Networks.includes(value === "podman" ? "bridge" : value),
  pod: (value) => ({ Pod, PodName }) => Pod === value || PodName === value,
  "restart-policy": (value) => ({ RestartPolicy }) => RestartPolicy === value,
  "should-start-on-boot": (value) => ({ RestartPolicy }) =>
    (value === "true") === (RestartPolicy === "always" || RestartPolicy === "unless-stopped"),
  publish: (value) => {
    const isIn = portFilter("publish", value);
    return ({ Ports }) =>
      (Ports ?? []).some(({ host_port, range, protocol }) =>
        isIn(host_port, host_port + range - 1, protocol)
      );
  },
  expose: (value) => {
    const isIn = portFilter("expose", value);
    return ({ Ports, ExposedPorts }) =>
      (Ports ?? []).some(({ container_port: port, range, protocol }) =>
        isIn(port, port + range - 1, protocol)
      ) ||
      Object.entries(ExposedPorts ?? {}).some(([port, protocols]) =>
        protocols.some((protocol) => isIn(Number(port), Number(port), protocol))
      );
  },
  command: (value) => ({ Command }) => Command[0] === value,
};

/** `PORT[-PORT][/PROTOCOL]`, of the host for `publish` and of the container for `expose`. @see docker-ps(1), --filter */
function portFilter(key: string, value: string): (first: number, last: number, protocol: string) => boolean {
  const [, start, end = start, wanted = "tcp"] =
    /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/.exec(value) ?? [];
  if (start === undefined || Number(end) < Number(start)) {
    throw new InvalidArgumentError(`filter ${key}: "${value}" is no port, nor a range of ports`);
  }
  return (first, last, protocol) => protocol === wanted && first <= Number(end) && last >= Number(start);
}

/** The keys that `label!` and the like add. */
const NEGATABLE = ["label"];

/** For completion. */
export const FILTER_KEYS: readonly string[] = Object.keys(FILTERS);

/** Whether a filter asks for states, so that those that do not run are looked at, too. */
export function filtersByState(filters: readonly string[]): boolean {
  return filters.some((filter) => /^(status|exited)=/.test(filter));
}

/**
 * Keeps the containers that pass: filters with the same key are alternatives, but for labels. `mountsOf` is for
 * `volume`.
 */
export function filterContainers(
  containers: ContainerListEntry[],
  filters: readonly string[],
  all = containers,
  mountsOf: MountsOf = () => [],
): ContainerListEntry[] {
  const known = [...Object.keys(FILTERS), ...NEGATABLE.map((key) => `${key}!`)];
  const groups = new Map<string, Test[]>();
  const must: Test[] = [];
  for (const { key, negated, value } of parseFilters(filters, known)) {
    const test = FILTERS[key]!(value, all, mountsOf);
    if (negated) must.push((container) => !test(container));
    else if (key === "label") must.push(test);
    else groups.set(key, [...groups.get(key) ?? [], test]);
  }
  return containers.filter((container) =>
    must.every((test) => test(container)) &&
    [...groups.values()].every((tests) => tests.some((test) => test(container)))
  );
}

/** `KEY`, or `KEY=value`. */
export function hasLabel(labels: Record<string, string> | null, wanted: string): boolean {
  const at = wanted.indexOf("=");
  const key = at < 0 ? wanted : wanted.slice(0, at);
  if (!labels || !Object.hasOwn(labels, key)) return false;
  return at < 0 || labels[key] === wanted.slice(at + 1);
}

/** Whether `short` is the end of an image's name: `debian`, `debian:12` of `docker.io/library/debian:12`. */
export function isNamed(name: string, short: string): boolean {
  const bare = name.replace(/@.*$/, "").replace(/:[^:/]*$/, "");
  return name.endsWith(`/${short}`) || bare.endsWith(`/${short}`) || name === short || bare === short;
}

/** Of two times in ISO 8601 and UTC; several containers are made in one millisecond. */
export function isEarlier(a: string, b: string): boolean {
  const [first, second] = [Date.parse(a), Date.parse(b)];
  return first !== second ? first < second : fraction(a) < fraction(b);
}

/** `123456789`: nanoseconds as text of equal length. */
function fraction(iso: string): string {
  return (/\.(\d+)/.exec(iso)?.[1] ?? "").padEnd(9, "0");
}

function regex(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch {
    throw new InvalidArgumentError(`invalid filter "name=${text}": not a regular expression`);
  }
}

function named(text: string, all: ContainerListEntry[]): ContainerListEntry {
  const found = all.find(({ Names }) => Names.includes(text)) ?? all.find(({ Id }) => Id.startsWith(text));
  if (found) return found;
  throw new InvalidArgumentError(`no container with name or ID "${text}" found: no such container`);
}
