import { deepStrictEqual as equal } from "node:assert/strict";
import { close } from "./file.ts";
import { socket } from "./socket.ts";
import { ECONNREFUSED } from "./errno.ts";
import {
  AF_INET,
  AF_INET6,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOL_SOCKET,
} from "./constants/socket.ts";
import { IPPROTO_IP, IPPROTO_IPV6 } from "./constants/inet.ts";
import {
  IP_PKTINFO,
  IP_RECVERR,
  IPV6_RECVERR,
  IPV6_RECVPKTINFO,
  SO_EE_ORIGIN_ICMP,
} from "./constants/datagram.ts";
import { DatagramMessage, receiveFrom, sendTo } from "./datagram.ts";
import { bindTo, getsockname, setOption, SocketAddress } from "./inet.ts";
import { pollBlocking } from "./poll.ts";
import { POLLERR, POLLIN } from "./constants/poll.ts";

const LOOPBACK = new Uint8Array([127, 0, 0, 1]);
const LOOPBACK6 = new Uint8Array([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);

function udp(address: Uint8Array<ArrayBuffer>): { fd: number; port: number } {
  const fd = socket(address.length === 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK);
  equal(bindTo(fd, new SocketAddress().set(address, 0)), 0);
  return { fd, port: getsockname(fd).port };
}

for (const address of [LOOPBACK, LOOPBACK6]) {
  const isIpv4 = address.length === 4;
  const version = isIpv4 ? "IPv4" : "IPv6";

  Deno.test(`a datagram goes and comes with its addresses, ${version}`, () => {
    const one = udp(address), other = udp(address);
    try {
      if (isIpv4) setOption(other.fd, IPPROTO_IP, IP_PKTINFO, 1);
      else setOption(other.fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
      equal(sendTo(one.fd, new Uint8Array([1, 2, 3]), new SocketAddress().set(address, other.port)), 3);
      pollBlocking(other.fd, POLLIN, 30_000);
      const message = new DatagramMessage();
      const buffer = new Uint8Array(10);
      equal(message.receive(other.fd, buffer), 3);
      equal([message.peer.address, message.peer.port], [address, one.port]);
      equal(message.localAddress(), address);
      equal(
        message.send(other.fd, buffer.subarray(1, 3), address),
        2,
      );
      pollBlocking(one.fd, POLLIN, 30_000);
      const from = new SocketAddress();
      equal(receiveFrom(one.fd, buffer, from), 2);
      equal([buffer[0], from.address, from.port], [2, address, other.port]);
    } finally {
      close(one.fd);
      close(other.fd);
    }
  });

  Deno.test(`an error for a datagram names its destination, ${version}`, () => {
    const one = udp(address), other = udp(address);
    close(other.fd);
    try {
      if (isIpv4) setOption(one.fd, IPPROTO_IP, IP_RECVERR, 1);
      else setOption(one.fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
      sendTo(one.fd, new Uint8Array([1]), new SocketAddress().set(address, other.port));
      pollBlocking(one.fd, POLLERR, 30_000);
      const message = new DatagramMessage();
      const error = message.receiveError(one.fd)!;
      equal([error.errno, error.offender], [ECONNREFUSED, address]);
      equal([message.peer.address, message.peer.port], [address, other.port]);
      equal([error.origin, error.type, error.code], isIpv4 ? [SO_EE_ORIGIN_ICMP, 3, 3] : [3, 1, 4]);
      equal(message.receiveError(one.fd), undefined);
    } finally {
      close(one.fd);
    }
  });
}

Deno.test("a broadcast is answered from the host's own address", () => {
  const SO_BROADCAST = 6;
  const one = udp(LOOPBACK), other = udp(new Uint8Array(4));
  try {
    setOption(one.fd, SOL_SOCKET, SO_BROADCAST, 1);
    setOption(other.fd, IPPROTO_IP, IP_PKTINFO, 1);
    const everybody = new SocketAddress().set([127, 255, 255, 255], other.port);
    equal(sendTo(one.fd, new Uint8Array([7]), everybody), 1);
    pollBlocking(other.fd, POLLIN, 30_000);
    const message = new DatagramMessage();
    const buffer = new Uint8Array(1);
    equal(message.receive(other.fd, buffer), 1);
    equal(message.localAddress(), LOOPBACK);
    equal(message.send(other.fd, buffer, message.localAddress()), 1);
  } finally {
    close(one.fd);
    close(other.fd);
  }
});
