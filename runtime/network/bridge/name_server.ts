/**
 * The nameserver of the bridges, at port 53 of each gateway: names of containers from the table, others from the host's
 * servers or the network's. UDP and TCP; everything that asks is hostile.
 */

import { SOCK_CLOEXEC, SOCK_NONBLOCK } from "../../../ffi/constants/socket.ts";
import { DatagramMessage } from "../../../ffi/datagram.ts";
import { acceptFrom, closeSocket, SocketAddress } from "../../../ffi/inet.ts";
import type { ProcessLoop } from "../monitor_network.ts";
import type { AddressBytes } from "../stack/addresses.ts";
import {
  cutAnswer,
  errorAnswer,
  localAnswer,
  type Message,
  MESSAGE_LIMIT_BYTES,
  type Query,
  RCODE,
  readQuery,
} from "../stack/dns_message.ts";
import { NameForwarder } from "./name_forwarder.ts";
import type { NameTable } from "./names.ts";
import { TcpMessages } from "./tcp_messages.ts";

const DATAGRAMS_A_TURN = 32;
const CONNECTION_LIMIT = 64;
const IDLE_MS = 10_000;

export class NameServer {
  readonly #loop: ProcessLoop;
  readonly #names: NameTable;
  readonly #forwarder: NameForwarder;
  readonly #datagram = new DatagramMessage();
  readonly #buffer = new Uint8Array(MESSAGE_LIMIT_BYTES);
  #connections = 0;

  constructor(loop: ProcessLoop, sockets: readonly { udp: number; tcp: number }[], names: NameTable) {
    this.#loop = loop;
    this.#names = names;
    this.#forwarder = new NameForwarder(loop);
    for (const { udp, tcp } of sockets) {
      loop.watch(udp, () => this.#readDatagrams(udp));
      loop.watch(tcp, () => this.#accept(tcp));
    }
  }

  #readDatagrams(udp: number): void {
    for (let count = 0; count < DATAGRAMS_A_TURN; count++) {
      const length = this.#datagram.receive(udp, this.#buffer);
      if (length < 0) return;
      const { address, port } = this.#datagram.peer;
      const local = this.#datagram.localAddress();
      const reply = (answer: Message, limitBytes: number, query?: Query) => {
        const fits = answer.length <= limitBytes || query === undefined;
        this.#datagram.peer.set(address, port);
        this.#datagram.send(udp, fits ? answer : cutAnswer(answer, query), local);
      };
      this.#ask(this.#buffer.slice(0, length), address, false, reply);
    }
  }

  #accept(tcp: number): void {
    const peer = new SocketAddress();
    const connection = acceptFrom(tcp, peer, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (connection < 0) return;
    if (this.#connections >= CONNECTION_LIMIT) return closeSocket(connection);
    this.#connections++;
    const source = peer.address;
    const messages: TcpMessages = new TcpMessages(this.#loop, connection, IDLE_MS, {
      take: (message) => this.#ask(message, source, true, (answer) => messages.send(answer)),
      ended: () => this.#connections--,
    });
  }

  #ask(
    message: Message,
    source: AddressBytes,
    byTcp: boolean,
    reply: (answer: Message, limitBytes: number, query?: Query) => void,
  ): void {
    const query = readQuery(message);
    if (query === undefined) return;
    if ("rcode" in query) return reply(errorAnswer(message, query.rcode), MESSAGE_LIMIT_BYTES);
    const limitBytes = byTcp ? MESSAGE_LIMIT_BYTES : query.udpLimitBytes;
    const answer = (bytes: Message) => reply(bytes, limitBytes, query);
    const refuse = (code: number) => answer(errorAnswer(message, code, query));
    if (!query.isInternet) return refuse(RCODE.REFUSED);
    const found = this.#names.resolve(source, query.name, query.type);
    if (found.kind === "records") return answer(localAnswer(query, found.records, limitBytes));
    if (found.kind === "unknown") return refuse(RCODE.NXDOMAIN);
    this.#forwarder.forward(query, found.servers, byTcp, (bytes) => {
      if (bytes) answer(bytes);
      else refuse(RCODE.SERVFAIL);
    });
  }
}
