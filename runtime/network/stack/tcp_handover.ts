/**
 * Connections that move much are handed over to the kernel: a socket in the guest's network namespace takes the place of
 * the stack's end, and what comes is moved between it and the host's socket by splice(2), without a copy. The guest's
 * packets reach that socket by the loopback of its namespace. Nobody notices: numbers, windows and options go on.
 *
 * ```
 *  hold      nothing more is read from the host, until the guest has acknowledged all
 *  block     the guest's packets are lost, once what it has sent before was taken
 *  deliver   the socket is made, gets the guest's packets, and has to hear the guest once
 * ```
 *
 * Where any of it fails or takes too long, the stack goes on as before.
 */

import {
  IPPROTO_TCP,
  SO_KEEPALIVE,
  TCP_KEEPCNT,
  TCP_KEEPIDLE,
  TCP_KEEPINTVL,
} from "../../../ffi/constants/inet.ts";
import { SOL_SOCKET } from "../../../ffi/constants/socket.ts";
import { closeSocket, resetAtClose, setOption } from "../../../ffi/inet.ts";
import { announceEnd, becomeEnd, hasHeard, type TcpEnd, withdrawEnd } from "../../../ffi/tcp_repair.ts";
import { type Flow, GuestNamespace } from "./guest_namespace.ts";
import type { Host, Timer } from "./host.ts";
import type { Link } from "./link.ts";
import { type PairGround, Pipes, SplicedPair } from "./spliced_pair.ts";
import { prepareSocket } from "./tcp_host_stream.ts";

/** Both ways together: below, the copies that are saved cost less than handing over. */
export const BULK_BYTES = 8 << 20;
/** One after the other: then it is tried no more. */
const FAILURES_MAX = 8;
/** A guest or a host that does not take what is under way keeps the stack. */
const PATIENCE_MS = 500;
/** Where the guest's packets do not come by the loopback, its own rules for routes standing before ours. */
const UNHEARD_MS = 200, LISTEN_MS = 2;
/** An idle guest is asked whether it is still there, whoever has the connection. @see RFC 9293, 3.8.4 */
export const KEEPALIVE_S = 15 * 60, KEEPALIVE_INTERVAL_S = 75, KEEPALIVE_PROBES = 8;

/** The stack's end of a connection. */
export interface Movable {
  /** Both ends may send, in order. */
  readonly isOpen: boolean;
  /** Nothing is under way: all is acknowledged, and taken. */
  readonly isQuiet: boolean;
  /** Sends the guest nothing new while `isHeld`. */
  hold(isHeld: boolean): void;
  describe(): TcpEnd;
  /** Acknowledges once more: a guest whose packets were lost goes on at once. */
  nudge(): void;
  /** Gives the host's socket away, unwatched. */
  handOver(): number;
  /** It is the pair's from here on. */
  moved(pair: SplicedPair): void;
  /** The pair has ended. */
  ended(): void;
  /** Ends it at both sides. */
  abort(): void;
}

export class HandOvers {
  readonly host: Host;
  readonly link: Link;
  readonly namespace: GuestNamespace;
  readonly pairGround: PairGround;
  /** So many were handed over until now. */
  done = 0;
  readonly #limit: number;
  #count = 0;
  /** Since the last that was done. */
  #failures = 0;

  /** @param limit at a time */
  constructor(host: Host, link: Link, limit: number) {
    this.#limit = limit;
    this.host = host;
    this.link = link;
    this.namespace = new GuestNamespace(link.fd, host);
    this.pairGround = { host, pipes: new Pipes() };
  }

  /** Undefined where there is no room for it, or this kernel does not let us. */
  begin(end: Movable): HandOver | undefined {
    if (this.#failures >= FAILURES_MAX || this.#count >= this.#limit) return undefined;
    this.#count++;
    return new HandOver(this, end);
  }

  /** One of `begin` is over. */
  left(): void {
    this.#count--;
  }

  succeeded(): void {
    this.done++;
    this.#failures = 0;
  }

  /** One may fail for its own sake; a kernel that does not let us refuses each. */
  failed(): void {
    this.#failures++;
  }

  dispose(): void {
    this.namespace.dispose();
    this.pairGround.pipes.dispose();
  }
}

/** The way of one connection to the kernel. */
export class HandOver {
  readonly #all: HandOvers;
  readonly #end: Movable;
  readonly #flow: Flow;
  readonly #timer: Timer;
  #isBlocked = false;
  /** The socket that takes over, as soon as it has heard the guest; -1 before there is one. */
  #socket = -1;
  /** When it has waited long enough. */
  #unheardMs = 0;
  /** It was withdrawn, and had heard the guest between the last look and the end of its rule: what that was is lost. */
  #hasTaken = false;
  /** `#step` is to be called. */
  #isDue = false;
  #isOver = false;

  constructor(all: HandOvers, end: Movable) {
    this.#all = all;
    this.#end = end;
    const { address, port, peer } = end.describe();
    this.#flow = { guest: peer.address, guestPort: peer.port, peer: address, peerPort: port };
    this.#timer = all.host.after(PATIENCE_MS, () => this.cancel());
    end.hold(true);
  }

  /** Something has happened to the connection. */
  goOn(): void {
    if (this.#isOver || this.#isDue || this.isDelivered) return;
    if (!this.#end.isOpen) return this.cancel();
    if (!this.#end.isQuiet) return;
    this.#isDue = true;
    this.#all.host.defer(this.#step);
  }

  /** What the guest sends is the socket's to take. */
  get isDelivered(): boolean {
    return this.#socket !== -1;
  }

  readonly #step = (): void => {
    this.#isDue = false;
    if (this.#isOver) return;
    try {
      if (this.isDelivered) return this.#listen();
      if (!this.#isBlocked) {
        this.#all.namespace.block(this.#flow);
        this.#isBlocked = true;
      }
      // what the guest has sent before lies in the interface's queue
      const isDrained = this.#all.link.drain();
      if (this.#isOver) return;
      if (isDrained && this.#end.isOpen && this.#end.isQuiet) this.#deliver();
      else this.goOn();
    } catch {
      this.#all.failed();
      this.cancel();
      if (this.#hasTaken) this.#end.abort();
    }
  };

  #deliver(): void {
    const end = this.#end.describe();
    const { namespace, host } = this.#all;
    const socket = namespace.takeSocket(end.address.length === 4 ? 4 : 6);
    try {
      becomeEnd(socket, end);
      namespace.deliver(this.#flow);
      announceEnd(socket);
    } catch (error) {
      closeSocket(socket);
      throw error;
    }
    this.#socket = socket;
    host.cancel(this.#timer);
    this.#unheardMs = host.nowMs + UNHEARD_MS;
    this.#end.nudge();
    this.#listen();
  }

  /** Most often the guest has answered before `announceEnd` was over. */
  #listen(): void {
    const { host } = this.#all;
    if (hasHeard(this.#socket)) return this.#finish();
    if (host.nowMs >= this.#unheardMs) throw new Error("the guest's packets come another way");
    host.after(LISTEN_MS, this.#step);
  }

  #finish(): void {
    const { pairGround } = this.#all;
    const socket = this.#socket;
    this.#isOver = true;
    prepareEnd(socket);
    const connection = this.#end;
    const pair = new SplicedPair(pairGround, socket, connection.handOver(), () => {
      this.#release();
      this.#all.left();
      connection.ended();
    });
    connection.moved(pair);
    this.#all.succeeded();
    pair.start();
  }

  /** What the kernel says to it is a fault, but none of the connection. */
  #release(): void {
    this.#all.host.attempt(() => this.#all.namespace.release(this.#flow));
  }

  /** The stack keeps the connection. Harmless where that is decided. */
  cancel(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#all.host.cancel(this.#timer);
    this.#all.left();
    this.#end.hold(false);
    if (!this.#isBlocked) return;
    this.#release();
    if (this.isDelivered) this.#hasTaken = withdrawEnd(this.#socket);
    this.#end.nudge();
  }
}

function prepareEnd(fd: number): void {
  prepareSocket(fd);
  // a stack that is killed must not look like an end of what comes
  resetAtClose(fd);
  setOption(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  setOption(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_S);
  setOption(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
  setOption(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
}
