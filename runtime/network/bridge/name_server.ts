/**
 * The nameserver of the bridges, at port 53 of each gateway: UDP and TCP sockets of their namespace in front of the
 * stack's forwarder, which knows the containers' names and asks outside for others.
 */

import { SOCK_CLOEXEC, SOCK_NONBLOCK } from "../../../ffi/constants/socket.ts";
import { DatagramMessage } from "../../../ffi/datagram.ts";
import { acceptFrom, SocketAddress } from "../../../ffi/inet.ts";
import type { NetworkLoop } from "../monitor_network.ts";
import { MESSAGE_LIMIT_BYTES } from "../stack/dns_message.ts";
import { udpAsker } from "../stack/dns_forwarder.ts";
import type { Stack } from "../stack/stack.ts";
import type { NameTable } from "./names.ts";

const DATAGRAMS_A_TURN = 32;

export function serveNames(
  loop: NetworkLoop,
  sockets: readonly { udp: number; tcp: number }[],
  stack: Pick<Stack, "forwarder" | "dnsStreams" | "work">,
  names: Pick<NameTable, "isFrom">,
): void {
  const datagram = new DatagramMessage();
  const buffer = new Uint8Array(MESSAGE_LIMIT_BYTES);
  const ask = (udp: number): boolean => {
    const length = datagram.receive(udp, buffer);
    if (length < 0) return false;
    const { address, port } = datagram.peer;
    // which address it was asked at is the one that has to answer
    const local = datagram.localAddress();
    if (!names.isFrom(address, datagram.interfaceIndex())) return true;
    stack.forwarder.ask(buffer.slice(0, length), udpAsker(address, port), (answer) => {
      datagram.peer.set(address, port);
      datagram.send(udp, answer, local);
    });
    return true;
  };
  for (const { udp, tcp } of sockets) {
    loop.watch(udp, () => {
      for (let count = 0; count < DATAGRAMS_A_TURN && ask(udp); count++);
      stack.work();
    });
    loop.watch(tcp, () => {
      const peer = new SocketAddress();
      const connection = acceptFrom(tcp, peer, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (connection >= 0) stack.dnsStreams.serve(connection, peer.address);
      stack.work();
    });
  }
}
