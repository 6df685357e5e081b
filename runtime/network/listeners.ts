/**
 * The sockets of published ports. They are bound by the command, before there is a container: what is taken is told at
 * once, and nothing has to be undone.
 *
 * @see bind(2), ip(7), ipv6(7), socket(7)
 */

import {
  IPPROTO_IPV6,
  IPPROTO_SCTP,
  IPPROTO_TCP,
  IPV6_V6ONLY,
  SO_OOBINLINE,
  SO_REUSEADDR,
  TCP_NODELAY,
} from "../../ffi/constants/inet.ts";
import {
  AF_INET,
  AF_INET6,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
  SOMAXCONN,
} from "../../ffi/constants/socket.ts";
import { EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT, SyscallError } from "../../ffi/errno.ts";
import { close } from "../../ffi/file.ts";
import { bindTo, getsockname, openSocket, setOption, SocketAddress } from "../../ffi/inet.ts";
import { listen, socket } from "../../ffi/socket.ts";
import type { PublishedPort } from "./plan.ts";
import { isOpen, joinPorts, type PortMapping, spreadMapping } from "./ports.ts";
import { mustParse } from "./stack/addresses.ts";

/** A port with its socket: bound, and of TCP listening; non-blocking, close-on-exec. */
export interface BoundPort {
  /** The address is one of an IP version: "" has become 0.0.0.0, and :: where the host has IPv6. */
  port: PublishedPort;
  fd: number;
}

/** Why a port cannot be published. */
export class BindError extends Error {
  override name = "BindError";
  constructor(readonly port: PublishedPort, readonly errno: number, readonly choices = 1) {
    super(`bind ${port.hostAddress}:${port.hostPort}/${port.protocol}: errno ${errno}`);
  }
}

/** A number that is free for the one protocol or IP version may be taken for the other. */
const FREE_PORT_ATTEMPTS = 64;

/** Binds all, and chooses what is to be chosen; the sockets are the caller's. @throws {BindError} having bound none */
export function bindMappings(
  mappings: readonly PortMapping[],
): { mappings: PortMapping[]; bound: BoundPort[] } {
  const bound: BoundPort[] = [];
  const chosen: PublishedPort[] = [];
  // those with a number first, so that none of theirs is chosen for another
  const ordered = mappings.toSorted((a, b) => Number(isOpen(a)) - Number(isOpen(b)));
  try {
    for (const mapping of ordered) {
      for (const port of spreadMapping(mapping)) {
        const sockets = mapping.choices ? bindOneOf(port, mapping.choices) : bindPort(port);
        bound.push(...sockets);
        chosen.push({ ...port, hostPort: sockets[0]!.port.hostPort });
      }
    }
  } catch (error) {
    closePorts(bound);
    throw error;
  }
  return { mappings: joinPorts(chosen), bound };
}

/** Gives open mappings free ports, which are free again when this returns. @throws {BindError} */
export function chooseOpenPorts(mappings: readonly PortMapping[]): PortMapping[] {
  const { mappings: chosen, bound } = bindMappings(mappings.filter(isOpen));
  closePorts(bound);
  return joinPorts([...mappings.filter((one) => !isOpen(one)), ...chosen].flatMap(spreadMapping));
}

/** What a port without an address is bound at here. */
export function anyAddresses(): string[] {
  try {
    closePorts([bindAt({ protocol: "tcp", hostAddress: "::", hostPort: 0, containerPort: 1 })]);
    return ["0.0.0.0", "::"];
  } catch {
    return ["0.0.0.0"];
  }
}

export function closePorts(bound: readonly BoundPort[]): void {
  for (const { fd } of bound) close(fd);
}

function bindOneOf(port: PublishedPort, choices: number): BoundPort[] {
  for (let at = 0; at < choices; at++) {
    try {
      return bindPort({ ...port, hostPort: port.hostPort + at });
    } catch (error) {
      if (!(error instanceof BindError) || error.errno !== EADDRINUSE) throw error;
    }
  }
  throw new BindError(port, EADDRINUSE, choices);
}

/** @throws {BindError} */
export function bindPort(port: PublishedPort): BoundPort[] {
  if (port.hostAddress !== "") return [bindAt(port)];
  for (let attempt = 1;; attempt++) {
    const ipv4 = bindAt({ ...port, hostAddress: "0.0.0.0" });
    try {
      return [ipv4, bindAt({ ...ipv4.port, hostAddress: "::" })];
    } catch (error) {
      // a host without IPv6
      if (error instanceof BindError && [EAFNOSUPPORT, EADDRNOTAVAIL].includes(error.errno)) return [ipv4];
      close(ipv4.fd);
      const isForAnother = port.hostPort === 0 && error instanceof BindError && error.errno === EADDRINUSE;
      if (!isForAnother || attempt === FREE_PORT_ATTEMPTS) throw error;
    }
  }
}

function bindAt(port: PublishedPort): BoundPort {
  if (port.protocol === "sctp") return bindSctp(port);
  const address = mustParse(port.hostAddress);
  const isTcp = port.protocol === "tcp";
  const domain = address.length === 4 ? AF_INET : AF_INET6;
  let fd = -1;
  try {
    fd = socket(domain, (isTcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK);
    // connections of a former container that linger are no reason; of UDP it would let others in
    if (isTcp) must("setsockopt", setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1));
    if (domain === AF_INET6) must("setsockopt", setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1));
    must("bind", bindTo(fd, new SocketAddress().set(address, port.hostPort)));
    if (isTcp) {
      // whoever connects before anybody serves the port has these of it: small writes go on at once, and an urgent
      // byte, which a socket without the option takes out of the stream, in its place
      must("setsockopt", setOption(fd, IPPROTO_TCP, TCP_NODELAY, 1));
      must("setsockopt", setOption(fd, SOL_SOCKET, SO_OOBINLINE, 1));
      listen(fd, SOMAXCONN);
    }
    return { port: { ...port, hostPort: port.hostPort || getsockname(fd).port }, fd };
  } catch (error) {
    if (fd !== -1) close(fd);
    throw error instanceof SyscallError ? new BindError(port, error.errno) : error;
  }
}

/**
 * Most kernels have no SCTP sockets, so that nobody can have the port; the kernel's rules pass it on all the same. What is
 * bound then only proves the address, and finds a number.
 */
function bindSctp(port: PublishedPort): BoundPort {
  const address = mustParse(port.hostAddress);
  const domain = address.length === 4 ? AF_INET : AF_INET6;
  let fd = openSocket(domain, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_SCTP);
  const holdsPort = fd >= 0;
  if (!holdsPort) fd = socket(domain, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK);
  try {
    if (domain === AF_INET6) must("setsockopt", setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1));
    must("bind", bindTo(fd, new SocketAddress().set(address, holdsPort ? port.hostPort : 0)));
    return { port: { ...port, hostPort: port.hostPort || getsockname(fd).port }, fd };
  } catch (error) {
    close(fd);
    throw error instanceof SyscallError ? new BindError(port, error.errno) : error;
  }
}

function must(syscall: string, result: number): void {
  if (result < 0) throw new SyscallError(syscall, -result);
}
