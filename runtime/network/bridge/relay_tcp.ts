/**
 * Connections to published ports that the packet filter cannot redirect: those of this machine's loopback, and those of
 * the IP version that the container has no address of. They end here, and others to the container begin; it sees its
 * gateway as the client.
 */

import { SO_KEEPALIVE } from "../../../ffi/constants/inet.ts";
import { EPOLLERR, EPOLLHUP } from "../../../ffi/constants/poll.ts";
import {
  AF_INET,
  AF_INET6,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
} from "../../../ffi/constants/socket.ts";
import { EAGAIN, EINPROGRESS, EINTR } from "../../../ffi/errno.ts";
import {
  acceptFrom,
  closeSocket,
  connectTo,
  openSocket,
  resetSocket,
  setOption,
  SocketAddress,
} from "../../../ffi/inet.ts";
import { type AddressBytes, unmapped } from "../stack/addresses.ts";
import type { Host } from "../stack/host.ts";
import { toWords } from "../stack/packet.ts";
import { guestOf, Shares } from "../stack/shares.ts";
import { type PairGround, Pipes, SplicedPair } from "../stack/spliced_pair.ts";
import { prepareSocket } from "../stack/tcp_host_stream.ts";

/** At once, of all ports: then who comes takes the place of who has most, or is refused. */
const MAX_CONNECTIONS = 4096;
const ACCEPTS_A_TURN = 32;
/** Until descriptors may be free again. */
const RETRY_MS = 100;

interface Listener {
  fd: number;
  address: AddressBytes;
  port: number;
}

export class TcpRelay {
  readonly #host: Host;
  readonly #ground: PairGround;
  readonly #listeners = new Map<number, Listener>();
  /** By client and port: one client of one port cannot have them all. */
  readonly #shares = new Shares<Connection>();
  #count = 0;
  /** The last that closed: code stays compiled while there is something of the form that it was made for. */
  #form: Connection | undefined;
  /** There were no descriptors. */
  #isPaused = false;

  constructor(host: Host, readonly connectionsMax = MAX_CONNECTIONS) {
    this.#host = host;
    this.#ground = { host, pipes: new Pipes() };
  }

  /** Owns the listening `fd` from here on. */
  publish(fd: number, address: AddressBytes, port: number): void {
    const listener = { fd, address, port };
    this.#listeners.set(fd, listener);
    if (!this.#isPaused) this.#watch(listener);
  }

  /** Connections that there are go on. */
  unpublish(fd: number): void {
    if (!this.#listeners.delete(fd)) return;
    this.#host.unwatch(fd);
    closeSocket(fd);
  }

  #watch(listener: Listener): void {
    this.#host.watchLevel(listener.fd, () => this.#accept(listener));
  }

  #accept(listener: Listener): void {
    const from = new SocketAddress();
    for (let count = 0; count < ACCEPTS_A_TURN; count++) {
      const client = acceptFrom(listener.fd, from, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (client === -EAGAIN) return;
      // the client has gone again, or there are no descriptors
      if (client < 0) return client === -EINTR ? undefined : this.#pause();
      const sharer = sharerOf(from.address, listener.fd);
      if (this.#hasRoom(sharer)) this.#connect(client, sharer, listener);
      else resetSocket(client);
    }
  }

  #hasRoom(sharer: number): boolean {
    if (this.#count >= this.connectionsMax) this.#shares.roomFor(sharer)?.reset();
    return this.#count < this.connectionsMax;
  }

  #connect(client: number, sharer: number, { address, port }: Listener): void {
    const family = address.length === 4 ? AF_INET : AF_INET6;
    const server = openSocket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (server < 0) return resetSocket(client);
    const result = connectTo(server, new SocketAddress().set(address, port));
    if (result < 0 && result !== -EINPROGRESS) {
      closeSocket(server);
      return resetSocket(client);
    }
    const connection = new Connection(this.#ground, client, server, () => {
      this.#form = connection;
      this.#shares.delete(place);
      this.#count--;
      if (this.#isPaused) this.#resume();
    });
    const place = this.#shares.add(sharer, connection);
    this.#count++;
  }

  #pause(): void {
    if (this.#isPaused) return;
    this.#isPaused = true;
    for (const { fd } of this.#listeners.values()) this.#host.unwatch(fd);
    this.#host.after(RETRY_MS, () => this.#resume());
  }

  #resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    for (const listener of this.#listeners.values()) this.#watch(listener);
  }
}

/** A client, and the connection to the container that is made for it. */
class Connection {
  readonly #ground: PairGround;
  readonly #client: number;
  readonly #server: number;
  readonly #onClose: () => void;
  /** Once the container has answered. */
  #pair: SplicedPair | undefined;
  #isClosed = false;

  constructor(ground: PairGround, client: number, server: number, onClose: () => void) {
    this.#ground = ground;
    this.#client = client;
    this.#server = server;
    this.#onClose = onClose;
    for (const fd of [client, server]) {
      setOption(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
      prepareSocket(fd);
    }
    ground.host.watch(server, (events) => this.#hearServer(events));
  }

  #hearServer(events: number): void {
    if (this.#isClosed || this.#pair !== undefined) return;
    if (events & (EPOLLERR | EPOLLHUP)) return this.reset();
    this.#ground.host.unwatch(this.#server);
    this.#pair = new SplicedPair(this.#ground, this.#server, this.#client, this.#onClose);
    this.#pair.start();
  }

  reset(): void {
    if (this.#pair !== undefined) return this.#pair.abort();
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#ground.host.forget(this.#server);
    resetSocket(this.#server);
    resetSocket(this.#client);
    this.#onClose();
  }
}

/** Of IPv6 a network is one client, as whoever is in it may have any of its addresses. */
function sharerOf(client: AddressBytes, listener: number): number {
  return Math.imul(guestOf(...toWords(unmapped(client))), 31) + listener | 0;
}
