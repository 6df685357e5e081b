/**
 * One question to one server, by UDP or TCP: each from a socket of its own, so that port and id are both new and an
 * answer is believed from that server only.
 *
 * @see RFC 5452 (forged answers), RFC 7766 (DNS over TCP)
 */

import { IPPROTO_TCP, TCP_NODELAY } from "../../../ffi/constants/inet.ts";
import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT } from "../../../ffi/constants/poll.ts";
import {
  AF_INET,
  AF_INET6,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
} from "../../../ffi/constants/socket.ts";
import { receiveFrom, sendTo } from "../../../ffi/datagram.ts";
import { EAGAIN, EINPROGRESS } from "../../../ffi/errno.ts";
import { closeSocket, connectTo, openSocket, setOption, SocketAddress } from "../../../ffi/inet.ts";
import type { StackPlan } from "../plan.ts";
import { isLoopback } from "./addresses.ts";
import { isAnswer, type Message, MESSAGE_LIMIT_BYTES, type Query, withId } from "./dns_message.ts";
import type { DnsServer } from "./dns_servers.ts";
import type { Host, Timer } from "./host.ts";
import { bindOutbound, openDatagramSocket } from "./udp_socket.ts";

export interface UpstreamGround {
  host: Host;
  outbound: StackPlan["outbound"];
  /** 53, but in tests. */
  port: number;
}

/** Wrong answers (another id, another question) that are passed over before a server counts as failed. */
const WRONG_ANSWERS = 16;

/** One attempt; `done` is called once, with nothing where there was no answer, and never after `cancel`. */
export abstract class Attempt {
  protected readonly ground: UpstreamGround;
  protected readonly query: Query;
  protected readonly id = crypto.getRandomValues(new Uint16Array(1))[0]!;
  protected fd = -1;
  readonly #done: (answer: Message | undefined) => void;
  #timer: Timer | undefined;
  #isOver = false;

  constructor(ground: UpstreamGround, query: Query, timeoutMs: number, done: (answer?: Message) => void) {
    this.ground = ground;
    this.query = query;
    this.#done = done;
    this.#timer = ground.host.after(timeoutMs, () => this.finish(undefined));
  }

  cancel(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.ground.host.cancel(this.#timer);
    this.#timer = undefined;
    if (this.fd === -1) return;
    this.ground.host.forget(this.fd);
    closeSocket(this.fd);
  }

  protected get isOver(): boolean {
    return this.#isOver;
  }

  /** `done` comes in a later round where the attempt failed at once: nobody has it in hand yet. */
  protected fail(): void {
    this.ground.host.defer(() => this.finish(undefined));
  }

  protected finish(answer: Message | undefined): void {
    if (this.#isOver) return;
    this.cancel();
    this.#done(answer);
  }
}

function outboundFor(ground: UpstreamGround, server: DnsServer): StackPlan["outbound"] {
  return isLoopback(server.address) ? undefined : ground.outbound;
}

export class UdpAttempt extends Attempt {
  #wrong = 0;

  constructor(
    ground: UpstreamGround,
    server: DnsServer,
    query: Query,
    timeoutMs: number,
    done: (answer?: Message) => void,
  ) {
    super(ground, query, timeoutMs, done);
    const fd = openDatagramSocket(server.address.length === 4 ? 4 : 6, 0, outboundFor(ground, server));
    if (fd < 0) return this.fail(), this;
    this.fd = fd;
    const address = new SocketAddress().set(server.address, ground.port, server.scope);
    if (connectTo(fd, address) < 0 || sendTo(fd, withId(query.message, this.id), null) < 0) {
      return this.fail(), this;
    }
    ground.host.watch(fd, () => this.#receive(), EPOLLIN);
  }

  #receive(): void {
    const buffer = new Uint8Array(MESSAGE_LIMIT_BYTES);
    const from = new SocketAddress();
    while (!this.isOver) {
      const length = receiveFrom(this.fd, buffer, from);
      if (length === -EAGAIN) return;
      // nobody listens there
      if (length < 0) return this.finish(undefined);
      const answer = buffer.slice(0, length);
      if (isAnswer(answer, this.query, this.id)) return this.finish(answer);
      if (++this.#wrong >= WRONG_ANSWERS) return this.finish(undefined);
    }
  }
}

export class TcpAttempt extends Attempt {
  /** What is still to be sent: the length and the query. */
  #unsent: Message;
  #received: Message = new Uint8Array(2);
  #count = 0;

  constructor(
    ground: UpstreamGround,
    server: DnsServer,
    query: Query,
    timeoutMs: number,
    done: (answer?: Message) => void,
  ) {
    super(ground, query, timeoutMs, done);
    this.#unsent = withLength(withId(query.message, this.id));
    const isIpv4 = server.address.length === 4;
    const fd = openSocket(isIpv4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return this.fail(), this;
    this.fd = fd;
    setOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    const outbound = outboundFor(ground, server);
    let result = bindOutbound(fd, isIpv4 ? outbound?.ipv4 : outbound?.ipv6);
    const address = new SocketAddress().set(server.address, ground.port, server.scope);
    if (result >= 0) result = connectTo(fd, address);
    if (result < 0 && result !== -EINPROGRESS) return this.fail(), this;
    ground.host.watch(fd, (events) => this.#ready(events), EPOLLIN | EPOLLOUT);
  }

  #ready(events: number): void {
    if (events & (EPOLLERR | EPOLLHUP) && !(events & EPOLLIN)) return this.finish(undefined);
    if (events & EPOLLOUT) this.#send();
    if (events & EPOLLIN) this.#receive();
  }

  #send(): void {
    while (!this.isOver && this.#unsent.length > 0) {
      const sent = sendTo(this.fd, this.#unsent, null);
      if (sent === -EAGAIN) return;
      if (sent < 0) return this.finish(undefined);
      this.#unsent = this.#unsent.subarray(sent);
    }
  }

  #receive(): void {
    const from = new SocketAddress();
    while (!this.isOver) {
      const length = receiveFrom(this.fd, this.#received.subarray(this.#count), from);
      if (length === -EAGAIN) return;
      if (length <= 0) return this.finish(undefined);
      this.#count += length;
      if (this.#count < this.#received.length) continue;
      if (this.#received.length > 2) {
        const answer = this.#received.slice(2);
        return this.finish(isAnswer(answer, this.query, this.id) ? answer : undefined);
      }
      const whole = new Uint8Array(2 + (this.#received[0]! << 8 | this.#received[1]!));
      if (whole.length === 2) return this.finish(undefined);
      whole.set(this.#received);
      this.#received = whole;
    }
  }
}

/** A message as it goes by TCP. */
export function withLength(message: Message): Message {
  const whole = new Uint8Array(2 + message.length);
  whole.set([message.length >> 8, message.length & 255]);
  whole.set(message, 2);
  return whole;
}
