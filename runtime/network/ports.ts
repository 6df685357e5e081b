/**
 * What `-p` and `--expose` say, as data: parsed with podman's words for what is wrong, spread, joined and shown.
 *
 * @see podman-run(1), --publish, --expose, --publish-all
 */

import { InvalidArgumentError } from "../errors.ts";
import type { PublishedPort } from "./plan.ts";
import { formatAddress, parseAddress } from "./stack/addresses.ts";

export type PortProtocol = PublishedPort["protocol"];

/** Ports in a row: `8000-8010:80-90/udp` is eleven. */
export interface PortMapping {
  protocol: PortProtocol;
  /** "" is every address of the host, both IP versions. */
  hostAddress: string;
  /** The first; 0 stands for a free one that is still to be chosen, for each. */
  hostPort: number;
  containerPort: number;
  count: number;
  /** The host port may be any of so many from `hostPort` on (`8000-9000:80`); one is still to be chosen. */
  choices?: number;
}

/** Ports that a container's program listens at, published or not. */
export interface ExposedPorts {
  protocol: PortProtocol;
  port: number;
  count: number;
}

const PROTOCOLS: ReadonlySet<string> = new Set<PortProtocol>(["tcp", "udp", "sctp"]);

/** `[ADDRESS:][HOST:]CONTAINER[/PROTOCOL]`. @throws {InvalidArgumentError} */
export function parsePublish(text: string): PortMapping {
  const [ports = "", protocol, ...rest] = text.split("/");
  if (rest.length > 0) refuse("invalid port format - protocol can only be specified once");
  const { address, host, container } = splitPublish(ports);
  if (container === "") refuse("must provide a non-empty container port to publish");
  const inside = parseRange(container, "parsing container port");
  if (protocol === "") refuse("must provide a non-empty protocol to publish");
  if (address === "") refuse("must provide a non-empty container host IP to publish");
  const mapping: PortMapping = {
    protocol: parseProtocol(protocol),
    hostAddress: address === undefined ? "" : canonicalAddress(address),
    hostPort: 0,
    containerPort: inside.start,
    count: inside.count,
  };
  // docker's way to ask for a free one
  if (host === undefined || host === "" || host === "0") return mapping;
  const outside = parseRange(host, "parsing host port");
  mapping.hostPort = outside.start;
  if (outside.count !== inside.count) {
    if (inside.count > 1) {
      refuse(`host and container port ranges have different lengths: ${outside.count} vs ${inside.count}`);
    }
    mapping.choices = outside.count;
  }
  return mapping;
}

function splitPublish(text: string): { address?: string; host?: string; container: string } {
  const [before = "", behind, ...more] = text.split("]");
  if (more.length > 0) {
    refuse("invalid port format - at most one IPv6 address can be specified in a --publish");
  }
  if (behind === undefined) {
    const words = before.split(":");
    if (words.length > 3) refuse("invalid port format - format is [[hostIP:]hostPort:]containerPort");
    const [container = "", host, address] = words.reverse();
    return { address, host, container };
  }
  if (!before.startsWith("[")) refuse("invalid port format - IPv6 addresses must be enclosed by []");
  if (!behind.startsWith(":")) {
    refuse("invalid port format - IPv6 address must be followed by a colon (':')");
  }
  const words = behind.slice(1).split(":");
  if (words.length === 1) {
    refuse("invalid port format - must provide host and destination port if specifying an IP");
  }
  if (words.length > 2) {
    refuse("invalid port format - when v6 address specified, must be [ipv6]:hostPort:ctrPort");
  }
  return { address: before.slice(1), host: words[0], container: words[1]! };
}

/** `PORT[-PORT][/PROTOCOL]`; nothing for an empty text. @throws {InvalidArgumentError} */
export function parseExpose(text: string): ExposedPorts | undefined {
  const [range = "", protocol, ...rest] = text.split("/");
  if (rest.length > 0) refuse("invalid expose format - protocol can only be specified once");
  if (range === "") return undefined;
  const what = `invalid range format for --expose: ${range}`;
  const wrong = range.split("-").find((word) => !/^\d+$/.test(word));
  if (wrong !== undefined) refuse(`${what}: strconv.ParseUint: parsing "${wrong}": invalid syntax`);
  const { start, count } = parseRange(range, what);
  if (!PROTOCOLS.has((protocol ?? "tcp").toLowerCase())) {
    refuse(`validating protocols for exposed port ${start}: ${unknownProtocol(protocol!)}`);
  }
  return { protocol: parseProtocol(protocol), port: start, count };
}

/** Of all protocols together. */
const EXPOSED_MAX = 3 * 65535;

/** Those of an image's EXPOSE; what is no port there is passed over, as an image may say anything, and any number of times. */
export function parseExposedKeys(keys: readonly string[]): ExposedPorts[] {
  let left = EXPOSED_MAX;
  return [...new Set(keys)].flatMap((key) => {
    try {
      const ports = parseExpose(key);
      if (ports === undefined || (left -= ports.count) < 0) return [];
      return [ports];
    } catch {
      return [];
    }
  });
}

function parseProtocol(text = "tcp"): PortProtocol {
  const name = text.toLowerCase();
  if (!PROTOCOLS.has(name)) refuse(unknownProtocol(text));
  return name as PortProtocol;
}

function unknownProtocol(text: string): string {
  return `unrecognized protocol "${text}" in port mapping`;
}

function canonicalAddress(text: string): string {
  const bytes = parseAddress(text);
  if (bytes === undefined) refuse(`cannot parse "${text}" as an IP address`);
  return formatAddress(bytes);
}

function parseRange(text: string, what: string): { start: number; count: number } {
  const [first = "", last, ...rest] = text.split("-");
  if (rest.length > 0) {
    refuse(`${what}: invalid port format - port ranges are formatted as startPort-stopPort`);
  }
  if (first === "") refuse(`${what}: port numbers cannot be negative`);
  const start = parsePort(first, what);
  if (last === undefined) return { start, count: 1 };
  if (last === "") refuse(`${what}: must provide ending number for port range`);
  const end = parsePort(last, what);
  // docker takes 80-80 for 80
  if (end === start) return { start, count: 1 };
  if (end < start) {
    refuse(
      `${what}: the end port of a range must be higher than the start port - ${end} is not higher than ${start}`,
    );
  }
  return { start, count: end - start + 1 };
}

function parsePort(text: string, what: string): number {
  if (!/^\d{1,20}$/.test(text)) {
    refuse(`${what}: invalid port number: strconv.Atoi: parsing "${text}": invalid syntax`);
  }
  const port = Number(text);
  if (port < 1 || port > 65535) {
    refuse(`${what}: port numbers must be between 1 and 65535 (inclusive), got ${port}`);
  }
  return port;
}

function refuse(message: string): never {
  throw new InvalidArgumentError(message);
}

/** One for each port; where the host's is not chosen yet it is 0 in all of them. */
export function spreadMapping(mapping: PortMapping): PublishedPort[] {
  const { protocol, hostAddress, hostPort, containerPort, count } = mapping;
  return Array.from({ length: count }, (_, at) => ({
    protocol,
    hostAddress,
    hostPort: hostPort === 0 ? 0 : hostPort + at,
    containerPort: containerPort + at,
  }));
}

/**
 * The mappings with their neighbours joined and what was said twice said once; ports still to be chosen stay apart.
 *
 * @throws {InvalidArgumentError} where two claim the same port of the host
 */
export function arrangeMappings(mappings: readonly PortMapping[]): PortMapping[] {
  const open = new Map<string, PortMapping>();
  const fixed: PortMapping[] = [];
  for (const mapping of mappings) {
    if (isOpen(mapping)) open.set(JSON.stringify(Object.values(mapping)), mapping);
    else fixed.push(mapping);
  }
  return [...joinPorts(withoutTwins(fixed.flatMap(spreadMapping))), ...open.values()];
}

/** Whether a host port is still to be chosen. */
export function isOpen({ hostPort, choices }: PortMapping): boolean {
  return hostPort === 0 || choices !== undefined;
}

/** @throws {InvalidArgumentError} */
function withoutTwins(ports: readonly PublishedPort[]): PublishedPort[] {
  const claimed = new Map<string, PublishedPort[]>();
  return ports.filter((port) => {
    const key = `${port.hostPort}/${port.protocol}`;
    const others = claimed.get(key) ?? [];
    const rival = others.find((other) => addressesOverlap(other.hostAddress, port.hostAddress));
    if (rival === undefined) {
      claimed.set(key, [...others, port]);
      return true;
    }
    if (rival.hostAddress === port.hostAddress && rival.containerPort === port.containerPort) return false;
    refuse(`conflicting port mappings for host port ${port.hostPort} (protocol ${port.protocol})`);
  });
}

/** Whether a socket at one address takes the port from the other. */
export function addressesOverlap(one: string, other: string): boolean {
  if (one === other || one === "" || other === "") return true;
  if (one.includes(":") !== other.includes(":")) return false;
  return isUnspecified(one) || isUnspecified(other);
}

function isUnspecified(address: string): boolean {
  return address === "0.0.0.0" || address === "::";
}

/** Neighbours in both numbers become one mapping; their groups stay in the order of appearance. */
export function joinPorts(ports: readonly PublishedPort[]): PortMapping[] {
  const groups = new Map<string, PublishedPort[]>();
  for (const port of ports) {
    const key = `${port.hostAddress}/${port.protocol}`;
    const group = groups.get(key);
    if (group) group.push(port);
    else groups.set(key, [port]);
  }
  const joined: PortMapping[] = [];
  for (const group of groups.values()) {
    let last: PortMapping | undefined;
    for (const port of group.toSorted((a, b) => a.hostPort - b.hostPort)) {
      const follows = last !== undefined && port.hostPort === last.hostPort + last.count &&
        port.containerPort === last.containerPort + last.count;
      if (follows) last!.count++;
      else joined.push(last = { ...port, count: 1 });
    }
  }
  return joined;
}

/** What `--publish-all` adds: a port of the host's choice for whatever is exposed and not published. */
export function publishExposed(
  mappings: readonly PortMapping[],
  exposed: readonly ExposedPorts[],
): PortMapping[] {
  const isPublished = (protocol: PortProtocol, port: number) =>
    mappings.some((mapping) =>
      mapping.protocol === protocol && port >= mapping.containerPort &&
      port < mapping.containerPort + mapping.count
    );
  const added = new Map<string, PortMapping>();
  for (const { protocol, port, count } of exposed) {
    for (let containerPort = port; containerPort < port + count; containerPort++) {
      if (isPublished(protocol, containerPort)) continue;
      const mapping = { protocol, hostAddress: "", hostPort: 0, containerPort, count: 1 };
      added.set(`${containerPort}/${protocol}`, mapping);
    }
  }
  return [...added.values()];
}

/** `0.0.0.0:8080`, `[::1]:8080`. */
export function hostText({ hostAddress, hostPort }: Pick<PublishedPort, "hostAddress" | "hostPort">): string {
  const address = hostAddress || "0.0.0.0";
  return `${address.includes(":") ? `[${address}]` : address}:${hostPort}`;
}

/** `0.0.0.0:8080/tcp`: as messages name a port of the host. */
export function publishedText(port: PublishedPort): string {
  return `${hostText(port)}/${port.protocol}`;
}

/** The column of `ps`: `0.0.0.0:8000-8001->80-81/tcp, 53/udp`. */
export function portsText(mappings: readonly PortMapping[], exposed: readonly ExposedPorts[]): string {
  const published = mappings.map((mapping) => {
    const { hostPort, containerPort, count, protocol } = mapping;
    if (count === 1) return `${hostText(mapping)}->${containerPort}/${protocol}`;
    const inside = `${containerPort}-${containerPort + count - 1}`;
    return `${hostText(mapping)}-${hostPort + count - 1}->${inside}/${protocol}`;
  });
  const left = publishExposed(mappings, exposed)
    .map(({ protocol, containerPort }) => ({
      protocol,
      hostAddress: "",
      hostPort: containerPort,
      containerPort,
    }))
    .toSorted((a, b) => a.containerPort - b.containerPort);
  const unpublished = joinPorts(left).map(({ containerPort, count, protocol }) =>
    `${count === 1 ? containerPort : `${containerPort}-${containerPort + count - 1}`}/${protocol}`
  );
  return [...published, ...unpublished].join(", ");
}

/** `80/tcp` to where it is published, in the order of the ports, as `inspect` shows it. */
export function portBindings(
  mappings: readonly PortMapping[],
): Record<string, { HostIp: string; HostPort: string }[]> {
  const ports = mappings.flatMap(spreadMapping).sort((a, b) => a.containerPort - b.containerPort);
  const bindings: Record<string, { HostIp: string; HostPort: string }[]> = {};
  for (const { protocol, hostAddress, hostPort, containerPort } of ports) {
    (bindings[`${containerPort}/${protocol}`] ??= []).push({
      HostIp: hostAddress,
      HostPort: String(hostPort),
    });
  }
  return bindings;
}

/** Every exposed port by its key, `80/tcp`; published ones are exposed. */
export function exposedKeys(mappings: readonly PortMapping[], exposed: readonly ExposedPorts[]): string[] {
  const all = [
    ...mappings.map(({ protocol, containerPort: port, count }) => ({ protocol, port, count })),
    ...exposed,
  ];
  const keys = new Map<string, number>();
  for (const { protocol, port, count } of all) {
    for (let at = port; at < port + count; at++) keys.set(`${at}/${protocol}`, at);
  }
  return [...keys].sort(([, a], [, b]) => a - b).map(([key]) => key);
}
