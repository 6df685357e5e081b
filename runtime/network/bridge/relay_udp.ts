/** The same for datagrams (see relay_tcp.ts): each client has a socket of its own towards the container for a while. */

import { IP_PKTINFO, IPV6_RECVPKTINFO } from "../../../ffi/constants/datagram.ts";
import { IPPROTO_IP, IPPROTO_IPV6 } from "../../../ffi/constants/inet.ts";
import { AF_INET, AF_INET6, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK } from "../../../ffi/constants/socket.ts";
import { DatagramMessage, receiveFrom, sendTo } from "../../../ffi/datagram.ts";
import { closeSocket, connectTo, openSocket, setOption, SocketAddress } from "../../../ffi/inet.ts";
import type { AddressBytes } from "../stack/addresses.ts";
import type { Host, Timer } from "../stack/host.ts";

/** Of all ports; the oldest makes room. */
const MAX_CLIENTS = 1024;
/** As long as the kernel remembers a flow of datagrams (nf_conntrack_udp_timeout_stream). */
const IDLE_MS = 120_000;
const DATAGRAMS_A_TURN = 32;

interface Client {
  key: string;
  listener: number;
  socket: number;
  address: AddressBytes;
  port: number;
  scope: number;
  /** The address of this machine that it has asked. */
  local: AddressBytes | undefined;
  timer: Timer;
}

export class UdpRelay {
  readonly #host: Host;
  /** The one that was heard longest ago comes first. */
  readonly #clients = new Map<string, Client>();
  readonly #message = new DatagramMessage();
  readonly #buffer = new Uint8Array(65536);
  readonly #from = new SocketAddress();

  constructor(host: Host) {
    this.#host = host;
  }

  /** Owns the bound `fd` from here on. */
  publish(fd: number, address: AddressBytes, port: number): void {
    setOption(fd, IPPROTO_IP, IP_PKTINFO, 1);
    setOption(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    const to = new SocketAddress().set(address, port);
    this.#host.watchLevel(fd, () => {
      for (let count = 0; count < DATAGRAMS_A_TURN && this.#receive(fd, to); count++);
    });
  }

  unpublish(fd: number): void {
    for (const client of [...this.#clients.values()]) if (client.listener === fd) this.#drop(client);
    this.#host.unwatch(fd);
    closeSocket(fd);
  }

  #receive(listener: number, to: SocketAddress): boolean {
    const length = this.#message.receive(listener, this.#buffer);
    if (length < 0) return false;
    const { address, port, scope } = this.#message.peer;
    const local = this.#message.localAddress();
    const key = `${listener},${port},${address.join(".")},${scope}`;
    const known = this.#clients.get(key);
    if (known) this.#clients.delete(key);
    const client = known ?? this.#open(to, { key, listener, address, port, scope, local });
    if (!client) return true;
    client.timer.atMs = this.#host.nowMs + IDLE_MS;
    this.#host.arm(client.timer);
    this.#clients.set(key, client);
    sendTo(client.socket, this.#buffer.subarray(0, length), null);
    return true;
  }

  #open(to: SocketAddress, from: Omit<Client, "socket" | "timer">): Client | undefined {
    const [oldest] = this.#clients.values();
    if (oldest && this.#clients.size >= MAX_CLIENTS) this.#drop(oldest);
    const family = to.length === 16 ? AF_INET : AF_INET6;
    const socket = openSocket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (socket < 0) return undefined;
    if (connectTo(socket, to) < 0) {
      closeSocket(socket);
      return undefined;
    }
    const client: Client = { ...from, socket, timer: this.#host.after(IDLE_MS, () => this.#drop(client)) };
    this.#host.watchLevel(socket, () => this.#answer(client));
    return client;
  }

  #answer(client: Client): void {
    for (let count = 0; count < DATAGRAMS_A_TURN; count++) {
      // an error, such as that nobody listens there, is told once and gone
      const length = receiveFrom(client.socket, this.#buffer, this.#from);
      if (length < 0) return;
      this.#message.peer.set(client.address, client.port, client.scope);
      this.#message.send(client.listener, this.#buffer.subarray(0, length), client.local);
    }
  }

  #drop(client: Client): void {
    if (this.#clients.get(client.key) === client) this.#clients.delete(client.key);
    this.#host.cancel(client.timer);
    this.#host.forget(client.socket);
    closeSocket(client.socket);
  }
}
