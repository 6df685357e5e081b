/** What is shown of a container's ports: `ps`, `port`, `inspect`. Loaded where a container has any. */

import type { ContainerConfig } from "../container/config.ts";
import { InvalidArgumentError, NotFoundError } from "../errors.ts";
import {
  exposedKeys,
  hostText,
  parseExposedKeys,
  portBindings,
  type PortMapping,
  type PortProtocol,
  portsText,
  spreadMapping,
} from "../network/ports.ts";
import type { ContainerPorts } from "../state/containers.ts";
import type { ContainerListEntry } from "./ps.ts";

/** A mapping as `podman ps --format json` has it. */
export interface ListedPort {
  host_ip: string;
  container_port: number;
  host_port: number;
  range: number;
  protocol: string;
}

export function listPorts(
  { published, exposed }: ContainerPorts,
): Pick<ContainerListEntry, "Ports" | "ExposedPorts"> {
  const byPort: Record<string, string[]> = {};
  for (const key of exposedKeys([], parseExposedKeys(exposed))) {
    const [port, protocol] = key.split("/");
    (byPort[port!] ??= []).push(protocol!);
  }
  const Ports = published.map(({ hostAddress, containerPort, hostPort, count, protocol }) => ({
    host_ip: hostAddress,
    container_port: containerPort,
    host_port: hostPort,
    range: count,
    protocol,
  }));
  return {
    Ports: Ports.length > 0 ? Ports : null,
    ExposedPorts: Object.keys(byPort).length > 0 ? byPort : null,
  };
}

/** The column of `ps`. */
export function portsColumn({ Ports, ExposedPorts }: ContainerListEntry): string {
  const mappings = (Ports ?? []).map((port): PortMapping => ({
    hostAddress: port.host_ip,
    containerPort: port.container_port,
    hostPort: port.host_port,
    count: port.range,
    protocol: port.protocol as PortProtocol,
  }));
  const exposed = Object.entries(ExposedPorts ?? {}).flatMap(([port, protocols]) =>
    protocols.map((protocol) => ({ port: Number(port), count: 1, protocol: protocol as PortProtocol }))
  );
  return portsText(mappings, exposed);
}

export interface PortDocument {
  /** With null for what is exposed only. */
  ports: Record<string, { HostIp: string; HostPort: string }[] | null>;
  bindings: Record<string, { HostIp: string; HostPort: string }[]>;
  exposed: Record<string, Record<string, never>>;
}

/** The parts of `inspect`. */
export function portDocument(
  { ports = [], exposed = [] }: Pick<ContainerConfig, "ports" | "exposed">,
): PortDocument {
  const bindings = portBindings(ports);
  const keys = exposedKeys(ports, parseExposedKeys(exposed));
  return {
    ports: Object.fromEntries(keys.map((key) => [key, bindings[key] ?? null])),
    bindings,
    exposed: Object.fromEntries(keys.map((key) => [key, {}])),
  };
}

/** Takes `PORT[/PROTOCOL]` apart. @throws {InvalidArgumentError} */
export function parseWantedPort(text: string): { port: number; protocol: string } {
  const [number = "", protocol = "tcp", ...rest] = text.split("/");
  if (rest.length > 0) throw new InvalidArgumentError(`port formats are port/protocol. '${text}' is invalid`);
  if (!/^\d{1,5}$/.test(number)) {
    throw new InvalidArgumentError(`invalid port "${text}": it is PORT or PORT/PROTOCOL`);
  }
  return { port: Number(number), protocol: protocol.toLowerCase() };
}

/** The lines of `port`: all, or where one port is published. @throws {NotFoundError} where that is not */
export function portLines(published: readonly PortMapping[], wanted?: string): string[] {
  const ports = published.flatMap(spreadMapping);
  if (wanted === undefined) {
    return ports.toSorted((a, b) => a.containerPort - b.containerPort)
      .map((port) => `${port.containerPort}/${port.protocol} -> ${hostText(port)}`);
  }
  const { port: number, protocol } = parseWantedPort(wanted);
  const found = ports.filter((port) => port.containerPort === number && port.protocol === protocol);
  if (found.length > 0) return found.map(hostText);
  throw new NotFoundError("container", wanted, { message: `failed to find published port "${wanted}"` });
}
