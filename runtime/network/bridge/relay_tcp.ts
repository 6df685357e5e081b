/**
 * Connections to published ports that the packet filter cannot redirect: those of this machine's loopback, and those of
 * the IP version that the container has no address of. They end here, and others to the container begin; it sees its
 * gateway as the client.
 */

import { IPPROTO_TCP, SO_KEEPALIVE, TCP_NODELAY } from "../../../ffi/constants/inet.ts";
import { EPOLLERR, EPOLLHUP } from "../../../ffi/constants/poll.ts";
import {
  AF_INET,
  AF_INET6,
  MSG_NOSIGNAL,
  SHUT_WR,
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
  Memory,
  openSocket,
  recvInto,
  resetSocket,
  sendFrom,
  setOption,
  shutdownSocket,
  SocketAddress,
} from "../../../ffi/inet.ts";
import { type AddressBytes, unmapped } from "../stack/addresses.ts";
import type { Host } from "../stack/host.ts";
import { toWords } from "../stack/packet.ts";
import { guestOf, Shares } from "../stack/shares.ts";

/** At once, of all ports: then who comes takes the place of who has most, or is refused. */
const MAX_CONNECTIONS = 4096;
const ACCEPTS_A_TURN = 32;
const BUFFER_BYTES = 64 * 1024;
/** Buffers that one direction moves before others have their turn. */
const BUFFERS_A_TURN = 16;
/** Until descriptors may be free again. */
const RETRY_MS = 100;

interface Listener {
  fd: number;
  address: AddressBytes;
  port: number;
}

export class TcpRelay {
  readonly #host: Host;
  readonly #listeners = new Map<number, Listener>();
  /** By client and port: one client of one port cannot have them all. */
  readonly #shares = new Shares<Connection>();
  #count = 0;
  readonly #buffer = new Memory(BUFFER_BYTES);
  /** The last that closed: code stays compiled while there is something of the form that it was made for. */
  #form: Connection | undefined;
  /** There were no descriptors. */
  #isPaused = false;

  constructor(host: Host, readonly connectionsMax = MAX_CONNECTIONS) {
    this.#host = host;
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
    const connection = new Connection(this.#host, this.#buffer, client, server, () => {
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

/** One way of a connection. */
interface Way {
  from: number;
  to: number;
  /** What was read, and not taken yet. */
  unsent: Uint8Array<ArrayBuffer> | undefined;
  /** Nothing more comes; `isDone` when the other end has been told. */
  hasEnded: boolean;
  isDone: boolean;
}

class Connection {
  readonly #host: Host;
  readonly #buffer: Memory;
  readonly #onClose: () => void;
  readonly #ways: [Way, Way];
  #isConnected = false;
  #isClosed = false;
  #isDeferred = false;

  constructor(host: Host, buffer: Memory, client: number, server: number, onClose: () => void) {
    this.#host = host;
    this.#buffer = buffer;
    this.#onClose = onClose;
    const state = { unsent: undefined, hasEnded: false, isDone: false };
    this.#ways = [{ from: client, to: server, ...state }, { from: server, to: client, ...state }];
    for (const fd of [client, server]) {
      setOption(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
      setOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    }
    host.watch(server, (events) => this.#ready(events, true));
    host.watch(client, (events) => this.#ready(events, false));
  }

  #ready(events: number, isServer: boolean): void {
    if (this.#isClosed) return;
    if (isServer && !this.#isConnected) {
      if (events & (EPOLLERR | EPOLLHUP)) return this.reset();
      this.#isConnected = true;
    }
    this.#move();
  }

  #move(): void {
    if (this.#isClosed || !this.#isConnected) return;
    let isBusy = false;
    for (const way of this.#ways) {
      const result = this.#moveOneWay(way);
      if (result === "broken") return this.reset();
      isBusy ||= result === "busy";
    }
    if (this.#ways.every(({ isDone }) => isDone)) return this.#close(closeSocket);
    if (!isBusy || this.#isDeferred) return;
    this.#isDeferred = true;
    this.#host.defer(() => {
      this.#isDeferred = false;
      this.#move();
    });
  }

  #moveOneWay(way: Way): "waits" | "busy" | "broken" {
    for (let count = 0; count < BUFFERS_A_TURN; count++) {
      if (way.unsent) {
        const sent = sendCopy(way.to, way.unsent);
        if (sent < 0) return sent === -EAGAIN ? "waits" : "broken";
        way.unsent = sent === way.unsent.length ? undefined : way.unsent.subarray(sent);
        if (way.unsent) return "waits";
      }
      if (way.hasEnded) {
        if (!way.isDone) shutdownSocket(way.to, SHUT_WR);
        way.isDone = true;
        return "waits";
      }
      const { pointer, bytes } = this.#buffer;
      const length = recvInto(way.from, pointer, BUFFER_BYTES, 0);
      if (length === -EAGAIN) return "waits";
      if (length < 0) return "broken";
      if (length === 0) {
        way.hasEnded = true;
        continue;
      }
      const sent = sendFrom(way.to, pointer, length, MSG_NOSIGNAL);
      if (sent < 0 && sent !== -EAGAIN) return "broken";
      if (sent < length) way.unsent = bytes.slice(Math.max(0, sent), length);
    }
    return "busy";
  }

  reset(): void {
    this.#close(resetSocket);
  }

  #close(close: (fd: number) => void): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const { from } of this.#ways) {
      this.#host.forget(from);
      close(from);
    }
    this.#onClose();
  }
}

/** Of IPv6 a network is one client, as whoever is in it may have any of its addresses. */
function sharerOf(client: AddressBytes, listener: number): number {
  return Math.imul(guestOf(...toWords(unmapped(client))), 31) + listener | 0;
}

function sendCopy(fd: number, data: Uint8Array<ArrayBuffer>): number {
  return sendFrom(fd, Deno.UnsafePointer.of(data), data.length, MSG_NOSIGNAL);
}
