/**
 * TCP of the stack: finds the connection of a segment, opens those that the guest asks for, and offers the guest those
 * that come in on published ports.
 *
 * @see RFC 9293; libslirp's tcp_input.c for what a guest is told of connections that cannot be made
 */

import {
  AF_INET,
  AF_INET6,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
} from "../../../ffi/constants/socket.ts";
import { IPPROTO_TCP, SO_BINDTODEVICE } from "../../../ffi/constants/inet.ts";
import { EPOLLIN } from "../../../ffi/constants/poll.ts";
import {
  EAGAIN,
  EALREADY,
  ECONNABORTED,
  ECONNREFUSED,
  EHOSTUNREACH,
  EINPROGRESS,
  EINTR,
  EMFILE,
  ENETUNREACH,
} from "../../../ffi/errno.ts";
import {
  acceptFrom,
  bindTo,
  closeSocket,
  connectTo,
  openSocket,
  resetSocket,
  setTextOption,
  SocketAddress,
} from "../../../ffi/inet.ts";
import type { PublishedPort } from "../plan.ts";
import { isGroup, parseAddress } from "./addresses.ts";
import type { StackContext } from "./context.ts";
import { GATEWAY, isIpv4Words, NAMESERVER, NOBODY } from "./destinations.ts";
import type { PacketHandler } from "./link.ts";
import { type IpPacket, IPV4_PREFIX, toWords, type Words } from "./packet.ts";
import { Queue } from "./queue.ts";
import { guestOf, guestOfEntry, Shares } from "./shares.ts";
import { Connection, type TcpGround } from "./tcp_connection.ts";
import { HandOvers } from "./tcp_handover.ts";
import { Budget, prepareSocket } from "./tcp_host_stream.ts";
import { ACK, RST, Segment, sendReset, SYN, type TcpRoute } from "./tcp_segment.ts";
import { ConnectionTable, ports, type TableKey } from "./tcp_table.ts";

/** Bytes that all connections together may hold, because a host or a guest does not take them. */
const BUDGET_BYTES = 6 << 20;
/** Connections that are not made yet; one of who has most gives way, so that a flood of them shuts nobody out. */
const HALF_OPEN_MAX = 1024;
/** Connections that are over but may have to acknowledge a FIN again. */
const LATE_MAX = 512;
/** Bytes that all connections send in a round, and the least that one does. */
const ROUND_BYTES = 2 << 20;
const TURN_BYTES_MIN = 64 << 10;
const TURN_BYTES_MAX = 256 << 10;
/** Connections accepted at once, and those that go on sending in a round. */
const ACCEPTS_A_TURN = 32;
const TURNS_A_ROUND = 32;
/** A power of two. */
const ADDRESSES_KEPT = 16;
/** When descriptors have run out. */
const ACCEPT_AGAIN_MS = 100;
/** @see RFC 9293, 3.8.6.3, which allows 500 */
const DELAYED_ACK_MS = 10;
/** Ports tried for a client whose own is taken. */
const PORTS_TRIED = 64;

const LOOPBACK_IPV4 = 0x7f000001;

interface Listener {
  port: PublishedPort;
  fd: number;
  guest: { ipv4?: Words; ipv6?: Words };
  /** Accepting goes on by itself: what comes meanwhile needs no other turn. */
  goesOn: boolean;
}

/** What tests and the limits of the process decide. */
export interface TcpLimits {
  /** Connections that move much are handed over to the kernel: so many at a time. */
  handedOver: number;
  /** Connections at a time; what comes beyond is refused. */
  connections: number;
  mayPeek: boolean;
}

export class Tcp implements PacketHandler, TcpGround {
  readonly table = new ConnectionTable<Connection>();
  readonly budget = new Budget(BUDGET_BYTES);
  readonly mayPeek: boolean;
  readonly handOvers: HandOvers | undefined;
  readonly #segment = new Segment();
  readonly #key: { -readonly [Name in keyof TableKey]: TableKey[Name] } = {
    ...{ g0: 0, g1: 0, g2: 0, g3: 0, p0: 0, p1: 0, p2: 0, p3: 0, ports: 0 },
  };
  readonly #address = new SocketAddress();
  /** Of connections that were made lately. */
  readonly #addresses: (Words | undefined)[] = new Array(ADDRESSES_KEPT).fill(undefined);
  readonly #limit: number;
  #halfOpenCount = 0;
  readonly #halfOpenShares = new Shares<Connection>();
  readonly #late = new Set<Connection>();
  readonly #listed = new Queue<Connection>();
  readonly #turns = new Queue<Connection>();
  readonly #delayed = new Queue<Connection>();
  #listeners: Listener[] = [];
  /** Of the socket that was opened last: it is one of a pair; it had an answer at once. */
  #isPair = false;
  #isConnected = false;
  /**
   * The last that closed. Compiled code is thrown away when the garbage collector finds nothing of the form that it was
   * made for: without this, at each lull in which no connection is open.
   */
  #form: Connection | undefined;

  constructor(readonly context: StackContext, limits: TcpLimits) {
    this.mayPeek = limits.mayPeek;
    if (limits.handedOver > 0) this.handOvers = new HandOvers(context.host, context.link, limits.handedOver);
    this.#limit = limits.connections;
    context.link.handlers[IPPROTO_TCP] = this;
    context.afterBatch.push(() => this.#flush());
  }

  packet(packet: IpPacket): void {
    const segment = this.#segment;
    if (!segment.parse(packet)) return;
    const connection = this.#find(packet, segment);
    const isSyn = (segment.flags & (SYN | ACK | RST)) === SYN;
    if (connection !== undefined && !(isSyn && connection.isReplaceable)) {
      const wasHalfOpen = connection.isHalfOpen;
      try {
        return connection.receive(segment);
      } catch (error) {
        connection.abort();
        throw error;
      } finally {
        if (wasHalfOpen && !connection.isHalfOpen) this.#isMade(connection);
      }
    }
    connection?.forget();
    if (isSyn) this.#open(segment);
    else if (!isGroup(packet.destination())) sendReset(this.context.link, segment);
  }

  #find(packet: IpPacket, segment: Segment): Connection | undefined {
    const key = this.#key;
    key.g0 = packet.s0;
    key.g1 = packet.s1;
    key.g2 = packet.s2;
    key.g3 = packet.s3;
    key.p0 = packet.d0;
    key.p1 = packet.d1;
    key.p2 = packet.d2;
    key.p3 = packet.d3;
    key.ports = ports(segment.sourcePort, segment.destinationPort);
    return this.table.find(key);
  }

  #keyOf(guest: Words, peer: Words, guestPort: number, peerPort: number): TableKey {
    const key = this.#key;
    [key.g0, key.g1, key.g2, key.g3] = guest;
    [key.p0, key.p1, key.p2, key.p3] = peer;
    key.ports = ports(guestPort, peerPort);
    return key;
  }

  /** The guest asks for a connection. */
  #open(segment: Segment): void {
    const { packet } = segment;
    const { s0, s1, s2, s3, d0, d1, d2, d3 } = packet;
    const route: TcpRoute = {
      version: packet.version,
      protocol: IPPROTO_TCP,
      source: this.#words(d0, d1, d2, d3),
      destination: this.#words(s0, s1, s2, s3),
      sourcePort: segment.destinationPort,
      destinationPort: segment.sourcePort,
    };
    this.#isPair = this.#isConnected = false;
    const fd = this.#reach(packet, segment.destinationPort);
    const connection = new Connection(this, route, fd < 0 ? -1 : fd);
    if (fd < 0) return isGroup(packet.destination()) ? undefined : connection.refuseWith(-fd, segment);
    connection.isPair = this.#isPair;
    this.#begin(connection, segment);
  }

  /** One array for all connections of an address: two for each are a tenth of what a connection takes. */
  #words(a: number, b: number, c: number, d: number): Words {
    const at = (d ^ (d >> 8) ^ c ^ b ^ a) & (ADDRESSES_KEPT - 1);
    const kept = this.#addresses[at];
    if (kept !== undefined && kept[3] === d && kept[2] === c && kept[1] === b && kept[0] === a) return kept;
    return this.#addresses[at] = [a, b, c, d];
  }

  /** @param syn the guest's; none where a client of a published port was accepted */
  #begin(connection: Connection, syn: Segment | undefined): void {
    this.table.add(connection);
    this.#halfOpenCount++;
    connection.halfOpenPlace = this.#halfOpenShares.add(guestOfEntry(connection), connection);
    try {
      if (syn === undefined) connection.beginOffering();
      else connection.beginConnecting(syn, this.#isConnected);
    } catch (error) {
      // nobody would ever hear of its socket
      connection.abort();
      throw error;
    }
  }

  /** A socket for a destination of the guest's, as `#isPair` and `#isConnected` tell; or a negated errno. */
  #reach(packet: IpPacket, port: number): number {
    const { plan, destinations } = this.context;
    const { d0, d1, d2, d3 } = packet;
    const destination = destinations.of(d0, d1, d2, d3);
    if (destination === NOBODY) return -EHOSTUNREACH;
    if (destination === GATEWAY && !plan.allowHostLoopback) return -ENETUNREACH;
    const isResolver = destination === NAMESERVER;
    if (isResolver && (port !== 53 || this.context.resolverStream === undefined)) return -ECONNREFUSED;
    if (!this.#hasRoom(guestOf(packet.s0, packet.s1, packet.s2, packet.s3))) return -EMFILE;
    if (isResolver) {
      this.#isPair = this.#isConnected = true;
      return this.context.resolverStream!(packet.source());
    }
    const isIpv4 = packet.version === 4;
    if (destination !== GATEWAY) this.#address.setWords(d0, d1, d2, d3, port);
    else if (isIpv4) this.#address.setWords(0, 0, IPV4_PREFIX, LOOPBACK_IPV4, port);
    else this.#address.setWords(0, 0, 0, 1, port);
    return this.#connect(isIpv4, destination === GATEWAY);
  }

  /** Makes room by what was never answered, where connections have reached their limit, or by what another has too much. */
  #hasRoom(guest: number): boolean {
    const isFull = this.table.size >= this.#limit;
    if (this.#halfOpenCount >= HALF_OPEN_MAX || (isFull && this.#halfOpenCount > 0)) {
      const [oldest] = this.#halfOpenShares.most();
      oldest!.abort();
    }
    if (this.table.size < this.#limit) return true;
    const surplus = this.table.shares.roomFor(guest);
    surplus?.abort();
    surplus?.forget();
    return this.table.size < this.#limit;
  }

  #isMade(connection: Connection): void {
    const place = connection.halfOpenPlace;
    if (place === undefined) return;
    connection.halfOpenPlace = undefined;
    this.#halfOpenCount--;
    this.#halfOpenShares.delete(place);
  }

  /**
   * A socket that is connecting to `#address`, or is connected where `#isConnected` says so; or a negated errno.
   *
   * @param isLocal it is of the host itself: the source that was asked for is not for it
   */
  #connect(isIpv4: boolean, isLocal: boolean): number {
    const type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
    const fd = openSocket(isIpv4 ? AF_INET : AF_INET6, type, 0);
    if (fd < 0) return fd;
    const { outbound } = this.context.plan;
    const from = isLocal ? undefined : isIpv4 ? outbound?.ipv4 : outbound?.ipv6;
    let error = from === undefined ? 0 : this.#bind(fd, from);
    if (error >= 0) {
      prepareSocket(fd);
      error = connectTo(fd, this.#address);
      // over the loopback it is decided when connect(2) returns: the guest has its answer before other work is done
      if (isLocal && error === -EINPROGRESS) error = connectTo(fd, this.#address);
      this.#isConnected = error === 0;
    }
    if (error >= 0 || error === -EINPROGRESS || error === -EALREADY) return fd;
    closeSocket(fd);
    return error;
  }

  /** Gives what goes out the source that was asked for: an address or an interface of the host. */
  #bind(fd: number, from: string): number {
    const address = parseAddress(from);
    return address === undefined
      ? setTextOption(fd, SOL_SOCKET, SO_BINDTODEVICE, from)
      : bindTo(fd, new SocketAddress().set(address, 0));
  }

  /**
   * Offers the connections of a listening socket to the guest. Adopts `fd`, which has the options that `prepareSocket` gives
   * others from its beginning (listeners.ts): what is accepted has them, too, before anybody serves the port.
   */
  publish(port: PublishedPort, fd: number, guest: { ipv4?: string; ipv6?: string }): void {
    const words = (text: string | undefined) => {
      const bytes = text === undefined ? undefined : parseAddress(text);
      return bytes === undefined ? undefined : toWords(bytes);
    };
    const seen = { ipv4: words(guest.ipv4), ipv6: words(guest.ipv6) };
    const listener: Listener = { port, fd, guest: seen, goesOn: false };
    this.#listeners.push(listener);
    this.context.host.watch(fd, () => listener.goesOn || this.#accept(listener), EPOLLIN);
  }

  /** Ends listening; connections that were made stay. */
  unpublish(port: PublishedPort): void {
    this.#listeners = this.#listeners.filter((listener) => {
      const { hostAddress, hostPort, containerPort } = listener.port;
      if (
        hostAddress !== port.hostAddress || hostPort !== port.hostPort || containerPort !== port.containerPort
      ) return true;
      this.#stopListening(listener);
      return false;
    });
  }

  #stopListening(listener: Listener): void {
    this.context.host.unwatch(listener.fd);
    closeSocket(listener.fd);
    listener.fd = -1;
  }

  #accept(listener: Listener): void {
    const { host } = this.context;
    listener.goesOn = false;
    for (let count = 0; count < ACCEPTS_A_TURN; count++) {
      if (listener.fd === -1) return;
      const fd = acceptFrom(listener.fd, this.#address, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd === -EAGAIN) return;
      if (fd === -EINTR || fd === -ECONNABORTED) continue;
      if (fd < 0) {
        // no descriptors or no memory: those who wait are taken when there are some again
        listener.goesOn = true;
        host.after(ACCEPT_AGAIN_MS, () => this.#accept(listener));
        return;
      }
      const { ipv4, ipv6 } = listener.guest;
      const route = this.#hasRoom(guestOf(...(ipv4 ?? ipv6)!)) ? this.#routeOf(listener) : undefined;
      if (route === undefined) {
        resetSocket(fd);
        continue;
      }
      const connection = new Connection(this, route, fd);
      host.attempt(() => this.#begin(connection, undefined));
    }
    listener.goesOn = true;
    host.defer(() => this.#accept(listener));
  }

  /** How the guest sees the client that was accepted last; undefined where the guest cannot be reached for it. */
  #routeOf({ port, guest }: Listener): TcpRoute | undefined {
    const { destinations } = this.context;
    const client = this.#words(...this.#address.words);
    const isIpv4 = isIpv4Words(client);
    const same = isIpv4 ? guest.ipv4 : guest.ipv6;
    const destination = same ?? guest.ipv4 ?? guest.ipv6;
    if (destination === undefined) return undefined;
    const version = destination === guest.ipv4 ? 4 : 6;
    // loopback and what means something else inside would be dropped there, or trusted: CVE-2021-20199
    const keepsAddress = same !== undefined && destinations.isForeign(...client);
    const source = keepsAddress ? client : destinations.gateway(version);
    if (source === undefined) return undefined;
    const route: TcpRoute = {
      ...{ version, protocol: IPPROTO_TCP, source, destination },
      sourcePort: this.#address.port,
      destinationPort: port.containerPort,
    };
    for (let tries = 0; tries < PORTS_TRIED; tries++) {
      const taken = this.table.find(this.#keyOf(destination, source, port.containerPort, route.sourcePort));
      taken?.forget();
      if (taken === undefined || taken.isForgotten) return route;
      route.sourcePort = 1024 + Math.floor(Math.random() * 64512);
    }
    return undefined;
  }

  flushLater(connection: Connection): void {
    if (connection.isListed) return;
    connection.isListed = true;
    this.#listed.push(connection);
  }

  catchUpLater(connection: Connection): void {
    this.#delayed.push(connection);
    if (this.#delayed.size === 1) this.context.host.after(DELAYED_ACK_MS, this.#catchUp);
  }

  readonly #catchUp = (): void => {
    while (this.#delayed.size > 0) {
      const connection = this.#delayed.shift()!;
      try {
        connection.catchUp();
      } catch (error) {
        this.#report(error);
      }
    }
  };

  #abort(connection: Connection): void {
    this.context.host.attempt(() => connection.abort());
  }

  /** Apart from loops: what makes a closure makes what that holds at each turn. */
  #report(error: unknown): void {
    this.context.host.attempt(() => {
      throw error;
    });
  }

  turnLater(connection: Connection): void {
    if (connection.hasTurn) return;
    connection.hasTurn = true;
    if (this.#turns.size === 0) this.context.host.defer(this.#takeTurns);
    this.#turns.push(connection);
  }

  readonly #takeTurns = (): void => {
    for (let left = Math.min(TURNS_A_ROUND, this.#turns.size); left > 0; left--) {
      const connection = this.#turns.shift()!;
      connection.hasTurn = false;
      this.flushLater(connection);
    }
    if (this.#turns.size > 0) this.context.host.defer(this.#takeTurns);
  };

  closed(connection: Connection): void {
    this.#isMade(connection);
    this.#form = connection;
    this.context.ended++;
    if (connection.isReplaceable) {
      this.#late.add(connection);
      if (this.#late.size > LATE_MAX) {
        const [oldest] = this.#late;
        oldest!.forget();
      }
    } else this.#late.delete(connection);
  }

  #flush(): void {
    const count = this.#listed.size;
    if (count === 0) return;
    const turn = Math.max(TURN_BYTES_MIN, Math.min(TURN_BYTES_MAX, (ROUND_BYTES / count) | 0));
    // those that are listed meanwhile have their turn at the end of the next round
    for (let left = count; left > 0; left--) {
      const connection = this.#listed.shift()!;
      try {
        connection.flush(turn);
      } catch (error) {
        this.#abort(connection);
        this.#report(error);
      }
    }
  }

  dispose(): void {
    for (const listener of this.#listeners) this.#stopListening(listener);
    this.#listeners = [];
    for (const connection of this.table.list()) {
      connection.abort();
      connection.forget();
    }
    this.handOvers?.dispose();
  }
}
