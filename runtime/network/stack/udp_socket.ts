/** The host's sockets that datagrams leave by. @see ip(7), ipv6(7), udp(7), icmp(7) */

import { IP_RECVERR, IP_TTL, IPV6_RECVERR, IPV6_UNICAST_HOPS } from "../../../ffi/constants/datagram.ts";
import { IPPROTO_IP, IPPROTO_IPV6, IPV6_V6ONLY, SO_BINDTODEVICE } from "../../../ffi/constants/inet.ts";
import {
  AF_INET,
  AF_INET6,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOL_SOCKET,
} from "../../../ffi/constants/socket.ts";
import {
  bindTo,
  closeSocket,
  openSocket,
  setOption,
  setTextOption,
  SocketAddress,
} from "../../../ffi/inet.ts";
import { isIpv4Words } from "./destinations.ts";
import type { StackPlan } from "../plan.ts";
import { parseAddress } from "./addresses.ts";
import { IPV4_PREFIX, type Words } from "./packet.ts";

/**
 * Opens a non-blocking datagram socket that reports errors; -errno where it cannot be.
 *
 * @param protocol 0 is UDP
 * @param outbound its source, unless it is for the host's own loopback
 */
export function openDatagramSocket(
  version: 4 | 6,
  protocol: number,
  outbound: StackPlan["outbound"],
): number {
  const isIpv4 = version === 4;
  const type = SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
  const fd = openSocket(isIpv4 ? AF_INET : AF_INET6, type, protocol);
  if (fd < 0) return fd;
  if (isIpv4) setOption(fd, IPPROTO_IP, IP_RECVERR, 1);
  else {
    setOption(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
    setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  }
  const result = bindOutbound(fd, isIpv4 ? outbound?.ipv4 : outbound?.ipv6);
  if (result >= 0) return fd;
  closeSocket(fd);
  return result;
}

/** Binds to an address or an interface, where one is given; 0 or -errno. */
export function bindOutbound(fd: number, source: string | undefined): number {
  if (source === undefined) return 0;
  const address = parseAddress(source);
  if (address === undefined) return setTextOption(fd, SOL_SOCKET, SO_BINDTODEVICE, source);
  return bindTo(fd, new SocketAddress().set(address, 0));
}

/** What sockets begin with, and guests as well: theirs stays as it is, as the stack is no hop that anybody should count. */
export const DEFAULT_HOP_LIMIT = 64;

/** A socket of the host with what its packets have left. */
export interface HopLimitedSocket {
  readonly fd: number;
  readonly version: 4 | 6;
  hopLimit: number;
}

/** The next packet goes on with one hop less than the guest gave it, as a router passes it. */
export function followHopLimit(socket: HopLimitedSocket, hopLimit: number): void {
  const left = hopLimit === DEFAULT_HOP_LIMIT ? hopLimit : hopLimit - 1;
  if (left === socket.hopLimit) return;
  if (socket.version === 4) setOption(socket.fd, IPPROTO_IP, IP_TTL, left);
  else setOption(socket.fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, left);
  socket.hopLimit = left;
}

/** As SocketAddress.set, without making anything. */
export function setSocketWords(address: SocketAddress, words: Words, port: number): SocketAddress {
  const { view, bytes } = address.memory;
  if (isIpv4Words(words)) {
    view.setUint16(0, AF_INET, true);
    view.setInt32(4, words[3]);
  } else {
    bytes.fill(0, 4);
    view.setUint16(0, AF_INET6, true);
    for (let index = 0; index < 4; index++) view.setInt32(8 + 4 * index, words[index]!);
  }
  view.setUint16(2, port);
  return address;
}

/** The address in it; one that is mapped reads as IPv4. */
export function socketWords({ memory: { view } }: SocketAddress): Words {
  if (view.getUint16(0, true) === AF_INET) return [0, 0, IPV4_PREFIX, view.getInt32(4)];
  return [view.getInt32(8), view.getInt32(12), view.getInt32(16), view.getInt32(20)];
}
