/** Port 53 of the gateways of bridges that are interfaces of this machine, whose other addresses are not ours. */

import { IP_PKTINFO, IPV6_RECVPKTINFO } from "../../../ffi/constants/datagram.ts";
import { IPPROTO_IP, IPPROTO_IPV6 } from "../../../ffi/constants/inet.ts";
import {
  AF_INET,
  AF_INET6,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_STREAM,
} from "../../../ffi/constants/socket.ts";
import { EADDRINUSE, isErrno } from "../../../ffi/errno.ts";
import { close } from "../../../ffi/file.ts";
import { bindTo, getsockname, must, openSocket, setOption, SocketAddress } from "../../../ffi/inet.ts";
import { listen } from "../../../ffi/socket.ts";
import { mustParse } from "../stack/addresses.ts";

export interface GatewaySockets {
  port: number;
  sockets: { udp: number; tcp: number }[];
}

const DNS_PORT = 53;
const BACKLOG = 64;
/** A number that is free for one may be taken for the other. */
const ATTEMPTS = 64;

/** At port 53, or where another of this machine has that, all at one that is free. */
export function openGatewaySockets(gateways: readonly string[]): GatewaySockets {
  for (let attempt = 0;; attempt++) {
    try {
      return openAt(gateways, attempt === 0 ? DNS_PORT : 0);
    } catch (error) {
      if (!isErrno(error, EADDRINUSE) || attempt === ATTEMPTS) throw error;
    }
  }
}

export function closeGatewaySockets({ sockets }: GatewaySockets): void {
  for (const { udp, tcp } of sockets) {
    close(udp);
    close(tcp);
  }
}

function openAt(gateways: readonly string[], first: number): GatewaySockets {
  const opened: number[] = [];
  let port = first;
  const bound = (gateway: string, type: number) => {
    const address = mustParse(gateway);
    const family = address.length === 4 ? AF_INET : AF_INET6;
    const fd = must("socket", openSocket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    opened.push(fd);
    must("bind", bindTo(fd, new SocketAddress().set(address, port)), `${gateway} port ${port}`);
    port ||= getsockname(fd).port;
    return fd;
  };
  try {
    const sockets = gateways.map((gateway) => {
      const [udp, tcp] = [bound(gateway, SOCK_DGRAM), bound(gateway, SOCK_STREAM)];
      // which bridge it was asked by tells who may have asked
      if (gateway.includes(":")) setOption(udp, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
      else setOption(udp, IPPROTO_IP, IP_PKTINFO, 1);
      listen(tcp, BACKLOG);
      return { udp, tcp };
    });
    return { port, sockets };
  } catch (error) {
    opened.forEach(close);
    throw error;
  }
}
