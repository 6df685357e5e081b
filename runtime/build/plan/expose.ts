/**
 * Ports of EXPOSE: `80`, `53/udp`, `8000-8010/tcp`, and, as Docker takes them, forms with a host's port.
 *
 * @see BuildKit frontend/dockerfile/dockerfile2llb/convert_expose.go
 */

import { InvalidArgumentError } from "../../errors.ts";

const PROTOCOLS = ["tcp", "udp", "sctp"];

/** The `port/protocol` keys that a specification means. Throws InvalidArgumentError. */
export function parseExposed(text: string): string[] {
  const parts = text.split(":");
  const [ip, hostPort, containerPort] = parts.length === 1
    ? ["", "", parts[0]!]
    : [parts.slice(0, -2).join(":"), parts.at(-2)!, parts.at(-1)!];
  const slash = containerPort.indexOf("/");
  const ports = slash < 0 ? containerPort : containerPort.slice(0, slash);
  const protocol = (slash < 0 ? "" : containerPort.slice(slash + 1)).toLowerCase() || "tcp";
  if (ports === "") throw new InvalidArgumentError(`no port specified: ${text}<empty>`);
  if (!PROTOCOLS.includes(protocol)) throw new InvalidArgumentError(`invalid proto: ${protocol}`);
  if (ip !== "" && !isAddress(ip.replace(/^\[(.*)\]$/, "$1"))) {
    throw new InvalidArgumentError(`invalid IP address: ${ip}`);
  }
  const range = parseRange(ports);
  if (range === undefined) throw new InvalidArgumentError(`invalid containerPort: ${ports}`);
  const [first, last] = range;
  if (hostPort !== "") {
    const host = parseRange(hostPort);
    if (host === undefined) throw new InvalidArgumentError(`invalid hostPort: ${hostPort}`);
    if (last !== first && last - first !== host[1] - host[0]) {
      throw new InvalidArgumentError(
        `invalid ranges specified for container and host Ports: ${ports} and ${hostPort}`,
      );
    }
  }
  return Array.from({ length: last - first + 1 }, (_, index) => `${first + index}/${protocol}`);
}

function parseRange(text: string): [first: number, last: number] | undefined {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text);
  if (match === null) return undefined;
  const [first, last] = [Number(match[1]), Number(match[2] ?? match[1])];
  return first <= last && last <= 65535 ? [first, last] : undefined;
}

function isAddress(text: string): boolean {
  return /^\d{1,3}(\.\d{1,3}){3}$/.test(text) || (text.includes(":") && /^[0-9a-fA-F:.]+$/.test(text));
}
