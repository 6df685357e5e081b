/**
 * One TCP connection: the stack's end of it towards the guest, and a socket of the host.
 *
 * ```
 *  guest → host    SYN ─ connect(2) … connected ─ SYN-ACK ─ ACK          CONNECTING, SYN_RECEIVED, ESTABLISHED
 *  host → guest    accept(2) ─ SYN … SYN-ACK ─ ACK                       SYN_SENT, ESTABLISHED
 *  each end closes for itself: FIN ⇄ shutdown(2), FIN ⇄ end of file      ESTABLISHED, then TIME_WAIT if ours was first
 * ```
 *
 * @see RFC 9293, 3.10
 */

import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLPRI, EPOLLRDHUP } from "../../../ffi/constants/poll.ts";
import { SHUT_WR } from "../../../ffi/constants/socket.ts";
import { EACCES, ECONNRESET, EHOSTUNREACH, ENETUNREACH, EPERM, ETIMEDOUT } from "../../../ffi/errno.ts";
import { closeSocket, resetSocket, shutdownSocket, socketError } from "../../../ffi/inet.ts";
import type { Timer } from "./host.ts";
import { openHostStream } from "./tcp_host_stream.ts";
import { toBytes, VNET_BYTES, writeHeaders } from "./packet.ts";
import type { SplicedPair } from "./spliced_pair.ts";
import type { TcpEnd } from "../../../ffi/tcp_repair.ts";
import {
  BULK_BYTES,
  type HandOver,
  type HandOvers,
  KEEPALIVE_INTERVAL_S,
  KEEPALIVE_PROBES,
  KEEPALIVE_S,
  type Movable,
} from "./tcp_handover.ts";
import { Receiver } from "./tcp_receiver.ts";
import {
  ACK,
  isBefore,
  NO_OPTIONS,
  payloadOffset,
  RST,
  sackOption,
  type Segment,
  sendSegment,
  SYN,
  synOptions,
  type TcpRoute,
  URG,
} from "./tcp_segment.ts";
import { NEVER, type SegmentOutput, Sender } from "./tcp_sender.ts";
import type { Lanes, Slot } from "./slots.ts";
import type { Place } from "./shares.ts";
import { type ConnectionTable, ports, type TableEntry } from "./tcp_table.ts";
import type { Budget } from "./tcp_host_stream.ts";
import type { StackContext } from "./context.ts";

export const CONNECTING = 0;
export const SYN_RECEIVED = 1;
export const SYN_SENT = 2;
export const ESTABLISHED = 3;
export const TIME_WAIT = 4;
export const CLOSED = 5;
/** The kernel's: here its place is kept, and what came late is dropped. */
export const HANDED_OVER = 6;

/** What the host's side tells. That a socket has room is told once for nothing as soon as that is asked for. */
const HEARS = EPOLLIN | EPOLLPRI | EPOLLRDHUP;
/** Our windows count in units of 128 bytes. */
const WINDOW_SCALE = 7;
/** A SYN is repeated after 1, 2, 4 … seconds. */
const SYN_RETRIES = 5;
const KEEPALIVE_MS = KEEPALIVE_S * 1000;
const KEEPALIVE_INTERVAL_MS = KEEPALIVE_INTERVAL_S * 1000;
const TIME_WAIT_MS = 5000;
/** Timers go off at multiples of this. */
const TICK_MS = 25;

/** What a connection needs of its surroundings. */
export interface TcpGround {
  readonly context: StackContext;
  readonly table: ConnectionTable<Connection>;
  readonly budget: Budget;
  /** For connections that move much; undefined where the stack keeps them all. */
  readonly handOvers: HandOvers | undefined;
  /** False keeps data here instead of in the kernel's buffer, as on old kernels. */
  readonly mayPeek: boolean;
  /** Has `flush` called after this batch of packets or events. */
  flushLater(connection: Connection): void;
  /** Has `flush` called in a turn of its own, after other work. */
  turnLater(connection: Connection): void;
  /** Has `catchUp` called in some milliseconds. */
  catchUpLater(connection: Connection): void;
  /** It is in no table any more, or over. */
  closed(connection: Connection): void;
}

export class Connection implements TableEntry, SegmentOutput, Movable {
  readonly g0: number;
  readonly g1: number;
  readonly g2: number;
  readonly g3: number;
  readonly p0: number;
  readonly p1: number;
  readonly p2: number;
  readonly p3: number;
  readonly ports: number;
  chain: TableEntry | undefined;
  place: Place<unknown> | undefined;
  /** The same among what is half open. */
  halfOpenPlace: Place<Connection> | undefined;
  state = CONNECTING;
  /** Waits for `flush`. */
  isListed = false;
  /** Waits for a turn of its own. */
  hasTurn = false;
  /** Its socket is one of a pair, where what was peeked at cannot be taken out unseen. */
  isPair = false;
  readonly route: TcpRoute;
  readonly receiver: Receiver;
  readonly sender: Sender = new Sender(this);
  readonly out: Slot;
  readonly payloadOffset: number;
  readonly lanes: Lanes;
  /** -1 when it is closed. */
  fd: number;
  readonly #ground: TcpGround;
  readonly #mtu: number;
  #iss = 0;
  #isSackPermitted = false;
  #receiveScale = 0;
  #isAckDue = false;
  /** The guest's data was answered by data lately, or may be at first: an acknowledgement may wait for the next answer. */
  #isAnswered = true;
  #isAckDelayed = false;
  /** Waits for `catchUp`. */
  #isLate = false;
  /** Data of the guest came since the last that it got. */
  #isAsked = false;
  #isShutDown = false;
  /** `#onHost` is called when the socket has room again. */
  #isRoomAwaited = false;
  /** Our FIN went out before the guest's came. */
  #hasClosedFirst = false;
  #retries = 0;
  #heardMs: number;
  #timer: Timer | undefined;
  /** Numbers of both ways from which on it is counted how much has been moved. */
  #receivedFrom = 0;
  #sentFrom = 0;
  #handOver: HandOver | undefined;
  #pair: SplicedPair | undefined;

  /** @param route its source is the other end, as the guest sees it */
  constructor(ground: TcpGround, route: TcpRoute, fd: number) {
    this.#ground = ground;
    const { link, plan, host } = ground.context;
    this.route = route;
    this.fd = fd;
    const { source, destination } = route;
    this.g0 = destination[0];
    this.g1 = destination[1];
    this.g2 = destination[2];
    this.g3 = destination[3];
    this.p0 = source[0];
    this.p1 = source[1];
    this.p2 = source[2];
    this.p3 = source[3];
    this.ports = ports(route.destinationPort, route.sourcePort);
    this.receiver = new Receiver(ground.budget, link.pool);
    this.out = link.out;
    this.lanes = link.lanes;
    this.payloadOffset = payloadOffset(route.version);
    this.#mtu = Math.min(plan.mtu, 65_535);
    this.#heardMs = host.nowMs;
    this.#iss = initialSequence();
  }

  /** The guest has asked for this connection; connect(2) is under way, or done. */
  beginConnecting(segment: Segment, isConnected: boolean): void {
    this.#takeSyn(segment);
    if (isConnected) this.#answer();
    this.#watch(isConnected ? HEARS : HEARS | EPOLLOUT);
  }

  #answer(): void {
    this.state = SYN_RECEIVED;
    this.#sendSyn();
  }

  /** A client of a published port was accepted. */
  beginOffering(): void {
    this.state = SYN_SENT;
    this.sender.mss = this.#ownMss;
    this.#sendSyn();
    this.#watch(HEARS);
  }

  get #ownMss(): number {
    return this.#mtu - (this.route.version === 4 ? 40 : 60);
  }

  #takeSyn(segment: Segment): void {
    this.receiver.start((segment.sequence + 1) | 0);
    const mss = segment.mss || (this.route.version === 4 ? 536 : 1220);
    // as Linux does, nobody gets away with tiny segments (TCP_MIN_MSS is 88)
    this.sender.mss = Math.max(88, Math.min(mss, this.#ownMss));
    const hasScale = segment.windowScale >= 0;
    this.sender.windowScale = hasScale ? segment.windowScale : 0;
    this.#receiveScale = hasScale ? WINDOW_SCALE : 0;
    this.#isSackPermitted = segment.isSackPermitted;
  }

  #watch(events: number): void {
    this.#isRoomAwaited = (events & EPOLLOUT) !== 0;
    this.#ground.context.host.watch(this.fd, (events) => {
      try {
        this.#onHost(events);
      } catch (error) {
        this.abort();
        throw error;
      }
    }, events);
  }

  /** The socket has taken less than all: only then is room worth a turn. */
  #awaitRoom(): void {
    if (this.#isRoomAwaited || this.fd === -1) return;
    this.#isRoomAwaited = true;
    this.#ground.context.host.change(this.fd, HEARS | EPOLLOUT);
  }

  #onHost(events: number): void {
    if (this.state === CLOSED || this.fd === -1) return;
    if (events & (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLERR | EPOLLHUP)) this.sender.isReadable = true;
    if (events & EPOLLPRI) this.sender.isMarkAhead = true;
    if (events & (EPOLLPRI | EPOLLRDHUP | EPOLLERR | EPOLLHUP)) this.sender.readsOn = true;
    if (this.state === CONNECTING) {
      // a socket that never was connected says EPOLLHUP
      if (events & (EPOLLERR | EPOLLHUP)) return this.#refuse(socketError(this.fd) || ECONNRESET);
      if (events & EPOLLOUT) this.#answer();
      return;
    }
    if (this.state !== ESTABLISHED) {
      // a client that went away before the guest answered
      if (events & EPOLLERR) this.#fail(socketError(this.fd) || ECONNRESET);
      return;
    }
    if (events & EPOLLOUT && !this.receiver.isFlushed) {
      this.receiver.flush(this.fd);
      // sending has taken the error off the socket, which would now read as if the host had ended in order
      if (this.receiver.error !== 0) return this.#fail(this.receiver.error);
      if (this.receiver.shallTellWindow(this.sender.mss)) this.#isAckDue = true;
    }
    if (events & EPOLLERR && this.sender.isEnded) this.#fail(socketError(this.fd) || ECONNRESET);
    this.#ground.flushLater(this);
  }

  /** The host's side could not be connected: what the guest learns of it. */
  #refuse(errno: number): void {
    const { unreachable, link } = this.#ground.context;
    const isForIcmp = errno === ENETUNREACH || errno === EHOSTUNREACH || errno === EACCES || errno === EPERM;
    if (isForIcmp && unreachable) unreachable(this.#copySyn(), errno);
    else {
      sendSegment(link, this.out, this.route, 0, this.receiver.next, RST | ACK, 0);
    }
    this.#close(false);
  }

  /** IP header and eight bytes of the guest's SYN, as an ICMP error quotes them. */
  #copySyn(): Uint8Array<ArrayBuffer> {
    const { route, out } = this;
    const { version, protocol, source, destination } = route;
    const at = writeHeaders(out, { version, protocol, source: destination, destination: source }, 20);
    out.view.setUint16(at, route.destinationPort);
    out.view.setUint16(at + 2, route.sourcePort);
    out.view.setInt32(at + 4, (this.receiver.next - 1) | 0);
    return out.bytes.slice(VNET_BYTES, at + 8);
  }

  /** Refuses at once, before there is a socket. */
  refuseWith(errno: number, segment: Segment): void {
    this.receiver.start((segment.sequence + 1) | 0);
    this.#refuse(errno);
  }

  /** SYN, or SYN-ACK; again while no answer comes. */
  #sendSyn(): void {
    const isAnswer = this.state === SYN_RECEIVED;
    const options = synOptions(
      this.#ownMss,
      !isAnswer || this.#isSackPermitted,
      isAnswer && this.#receiveScale === 0 ? -1 : WINDOW_SCALE,
    );
    const window = isAnswer ? this.receiver.advertise(0) : 0xffff;
    const flags = isAnswer ? SYN | ACK : SYN;
    const { link, host } = this.#ground.context;
    const acknowledged = isAnswer ? this.receiver.next : 0;
    sendSegment(link, this.out, this.route, this.#iss, acknowledged, flags, window, 0, 0, options);
    this.sender.deadlineMs = host.nowMs + (1000 << this.#retries);
    this.#armTimer();
  }

  /** A segment of the guest for this connection. */
  receive(segment: Segment): void {
    this.#heardMs = this.#ground.context.host.nowMs;
    if (this.state === ESTABLISHED) return this.#receiveEstablished(segment);
    if (this.state === SYN_SENT) return this.#receiveAnswer(segment);
    if (this.state === CONNECTING) {
      this.#isAcceptable(segment);
      return;
    }
    if (this.state === SYN_RECEIVED) {
      if (!this.#isAcceptable(segment)) return;
      if (segment.flags & SYN) return this.#sendSyn();
      if (!(segment.flags & ACK)) return;
      const wanted = (this.#iss + 1) | 0;
      if (segment.acknowledged !== wanted) {
        sendSegment(this.#ground.context.link, this.out, this.route, segment.acknowledged, 0, RST, 0);
        return;
      }
      this.#establish(segment);
      return this.#receiveEstablished(segment);
    }
    if (this.state === TIME_WAIT) this.#receiveLate(segment);
  }

  /** Whether it is no reset; one that is right closes. */
  #isAcceptable(segment: Segment): boolean {
    if (!(segment.flags & RST)) return true;
    const { next, edge } = this.receiver;
    if (segment.sequence === next) this.#fail(0);
    // in the window but not where it should be: may be forged (RFC 5961)
    else if (!isBefore(segment.sequence, next) && isBefore(segment.sequence, edge)) this.#sendAck();
    return false;
  }

  /** SYN-ACK or RST to our SYN. */
  #receiveAnswer(segment: Segment): void {
    const isOurs = segment.flags & ACK && segment.acknowledged === ((this.#iss + 1) | 0);
    if (segment.flags & RST) {
      if (isOurs) this.#fail(0);
      return;
    }
    if (!isOurs || !(segment.flags & SYN)) {
      // a half-open connection of old (RFC 9293, 3.5.1)
      if (segment.flags & ACK) {
        sendSegment(this.#ground.context.link, this.out, this.route, segment.acknowledged, 0, RST, 0);
      }
      return;
    }
    this.#takeSyn(segment);
    this.#establish(segment);
    this.#isAckDue = true;
    this.#ground.flushLater(this);
  }

  #establish(segment: Segment): void {
    this.state = ESTABLISHED;
    this.#retries = 0;
    const scale = this.sender.windowScale;
    // the window of a SYN is not scaled
    if (segment.flags & SYN) this.sender.windowScale = 0;
    this.sender.start((this.#iss + 1) | 0, segment);
    this.sender.windowScale = scale;
    this.#countFromHere();
    this.sender.stream = openHostStream(this.fd, this.#ground.budget, this.#ground.mayPeek && !this.isPair);
    this.#ground.flushLater(this);
  }

  #receiveEstablished(segment: Segment): void {
    // came too late: it will be sent again
    if (this.#handOver?.isDelivered) return;
    const { receiver, sender } = this;
    const { sequence, length, flags } = segment;
    const { next, edge } = receiver;
    const span = segment.span;
    const last = (sequence + span) | 0;
    const isOld = span > 0 ? !isBefore(next, last) : isBefore(sequence, next);
    const isBeyond = isBefore(edge, sequence) || (sequence === edge && span > 0 && edge !== next);
    if (isOld || isBeyond) {
      // a probe of our window, a segment that came twice: they get an answer (RFC 9293, 3.10.7.4)
      if (flags & RST) return;
      this.#isAckDue = true;
      this.#ground.flushLater(this);
      if (flags & ACK && !isBeyond) sender.acknowledge(segment, this.#heardMs);
      return;
    }
    if (!this.#isAcceptable(segment)) return;
    if (flags & SYN) return this.#sendAck();
    if (!(flags & ACK)) return;
    if (!sender.acknowledge(segment, this.#heardMs)) return this.#sendAck();
    if (length > 0 && !receiver.isEnded && !this.#isShutDown) this.#takeData(segment);
    if (flags & 1) {
      receiver.takeFin((sequence + length) | 0);
      this.#acknowledgeFin();
    }
    if (receiver.error !== 0) return this.#fail(receiver.error);
    this.#ground.flushLater(this);
  }

  #takeData(segment: Segment): void {
    const { receiver } = this;
    const { packet, sequence, length } = segment;
    const urgent = segment.flags & URG ? segment.urgent : 0;
    const hadGap = receiver.hasGap;
    this.#isAsked = true;
    const isKept = receiver.take(this.fd, packet.slot, sequence, segment.offset, length, urgent);
    if (isKept) packet.isKept = true;
    if (!receiver.isFlushed) this.#awaitRoom();
    // a gap is told at once, and again for each segment behind it; also that it was filled (RFC 5681, 4.2)
    if (receiver.hasGap || hadGap) this.#sendAck();
    else if (this.#isAnswered && !this.#isAckDelayed && !this.#isAckDue && length < this.sender.mss) {
      this.#isAckDelayed = true;
      this.#beLateWith();
    } else this.#isAckDue = true;
  }

  /** The host most often closes as well, at once: its FIN acknowledges the guest's. */
  #acknowledgeFin(): void {
    if (!this.receiver.isEnded || this.sender.isEnded || this.#isAckDue) this.#isAckDue = true;
    else {
      this.#isAckDelayed = true;
      this.#beLateWith();
    }
  }

  /** A segment for a connection that is over: its FIN again, whose acknowledgement was lost. */
  #receiveLate(segment: Segment): void {
    if (segment.flags & RST) this.#forget();
    else if (segment.span > 0) this.#sendAck();
  }

  /** A new SYN may take the place of a connection that is over. */
  get isReplaceable(): boolean {
    return this.state === TIME_WAIT;
  }

  get isForgotten(): boolean {
    return this.state === CLOSED;
  }

  get isHalfOpen(): boolean {
    return this.state < ESTABLISHED;
  }

  /** Sends what waits for the end of a batch. */
  flush(turnBytes: number): void {
    this.isListed = false;
    if (this.state !== ESTABLISHED) return;
    const { sender, receiver } = this;
    const { nowMs } = this.#ground.context.host;
    const isMore = sender.pump(turnBytes, nowMs);
    if (sender.isEnded && !receiver.isEnded) this.#hasClosedFirst = true;
    if (sender.stream?.settle(false) === false) this.#beLateWith();
    if (receiver.isEnded && receiver.isFlushed && !this.#isShutDown) {
      this.#isShutDown = true;
      shutdownSocket(this.fd, SHUT_WR);
    }
    if (this.#isAckDue) this.#sendAck();
    if (sender.error !== 0) return this.#fail(sender.error);
    if (this.#isShutDown && sender.isFinAcknowledged) return this.#finish();
    if (isMore) this.#ground.turnLater(this);
    this.#armTimer();
    if (this.#handOver !== undefined) this.#handOver.goOn();
    else if (((receiver.next - this.#receivedFrom) | 0) + ((sender.una - this.#sentFrom) | 0) >= BULK_BYTES) {
      this.#beginHandOver();
    }
  }

  #countFromHere(): void {
    this.#receivedFrom = this.receiver.next;
    this.#sentFrom = this.sender.una;
  }

  /** Where that fails, it is tried again when as much has been moved once more. */
  #beginHandOver(): void {
    this.#countFromHere();
    // a socket pair is the nameserver's
    if (this.isPair) return;
    this.#handOver = this.#ground.handOvers?.begin(this);
    this.#handOver?.goOn();
  }

  get isOpen(): boolean {
    return this.state === ESTABLISHED && !this.sender.isEnded && !this.receiver.isEnded && !this.#isShutDown;
  }

  get isQuiet(): boolean {
    return this.sender.isQuiet && this.receiver.isQuiet;
  }

  hold(isHeld: boolean): void {
    const { sender } = this;
    sender.isHeld = isHeld;
    if (isHeld) {
      // what the guest gets last it would acknowledge some time later, but an old byte at once
      this.out.bytes[this.payloadOffset] = 0;
      if (sender.inFlight > 0) this.emit((sender.una - 1) | 0, ACK, 1, 0);
      return;
    }
    this.#handOver = undefined;
    this.#ground.flushLater(this);
  }

  describe(): TcpEnd {
    const { sender, receiver } = this;
    // what the guest is told last is what the kernel has to keep to
    receiver.advertise(this.#receiveScale);
    return {
      address: toBytes(this.p0, this.p1, this.p2, this.p3),
      port: this.route.sourcePort,
      peer: { address: toBytes(this.g0, this.g1, this.g2, this.g3), port: this.route.destinationPort },
      sendNext: sender.max,
      receiveNext: receiver.next,
      receiveWindow: (receiver.edge - receiver.next) | 0,
      sendWindow: sender.window,
      mss: sender.mss,
      scales: { send: sender.windowScale, receive: this.#receiveScale },
      isSackPermitted: this.#isSackPermitted,
    };
  }

  nudge(): void {
    if (this.state === ESTABLISHED) this.#sendAck();
  }

  handOver(): number {
    const { host } = this.#ground.context;
    const { fd } = this;
    this.#handOver = undefined;
    this.#release();
    host.unwatch(fd);
    host.cancel(this.#timer);
    this.fd = -1;
    this.state = HANDED_OVER;
    return fd;
  }

  moved(pair: SplicedPair): void {
    this.#pair = pair;
  }

  ended(): void {
    this.#pair = undefined;
    this.#forget();
  }

  #beLateWith(): void {
    if (this.#isLate) return;
    this.#isLate = true;
    this.#ground.catchUpLater(this);
  }

  /** An acknowledgement has waited long enough for data to go with, and what was acknowledged to be given back. */
  catchUp(): void {
    this.#isLate = false;
    this.sender.stream?.settle(true);
    if (!this.#isAckDelayed) return;
    this.#isAnswered = false;
    this.#isAckDue = true;
    this.#ground.flushLater(this);
  }

  #sendAck(): void {
    const { receiver, sender } = this;
    this.#isAckDue = this.#isAckDelayed = false;
    const options = receiver.hasGap && this.#isSackPermitted ? sackOption(receiver.blocks()) : undefined;
    const window = receiver.advertise(this.#receiveScale);
    const { link } = this.#ground.context;
    sendSegment(link, this.out, this.route, sender.max, receiver.next, ACK, window, 0, 0, options);
  }

  emit(sequence: number, flags: number, length: number, urgent: number, slot: Slot = this.out): void {
    if (length > 0) {
      this.#isAnswered = this.#isAsked;
      this.#isAsked = false;
    }
    this.#isAckDue = this.#isAckDelayed = false;
    const { receiver, sender } = this;
    const window = receiver.advertise(this.#receiveScale);
    const { link } = this.#ground.context;
    const { route } = this;
    sendSegment(
      link,
      slot,
      route,
      sequence,
      receiver.next,
      flags,
      window,
      length,
      sender.mss,
      NO_OPTIONS,
      urgent,
    );
  }

  /** One timer for all: it goes off at the earliest time, and looks what is due. */
  #armTimer(): void {
    const { host } = this.#ground.context;
    const { deadlineMs } = this.sender;
    const aliveMs = this.#heardMs + KEEPALIVE_MS + this.#probesMs();
    const dueMs = deadlineMs !== NEVER && deadlineMs < aliveMs ? deadlineMs : aliveMs;
    const timer = this.#timer;
    if (timer !== undefined && timer.index >= 0 && timer.atMs < dueMs + TICK_MS) return;
    // a thousand connections wake the process together, most of them for nothing: what was due came in time
    const upMs = dueMs + TICK_MS - 1;
    const atMs = upMs - upMs % TICK_MS;
    if (timer === undefined) return host.arm(this.#timer = this.#makeTimer(atMs));
    timer.atMs = atMs;
    host.arm(timer);
  }

  /** Apart: a function that makes a closure makes what that holds at each call, needed or not. */
  #makeTimer(atMs: number): Timer {
    return { atMs, callback: () => this.#onTimer(), index: -1 };
  }

  #probesMs(): number {
    return this.state === ESTABLISHED ? this.#retries * KEEPALIVE_INTERVAL_MS : 0;
  }

  #onTimer(): void {
    const { nowMs } = this.#ground.context.host;
    if (this.state === CLOSED) return;
    if (this.state === TIME_WAIT) return this.#forget();
    const { deadlineMs } = this.sender;
    if (deadlineMs !== NEVER && deadlineMs <= nowMs) {
      if (this.state === ESTABLISHED) {
        if (!this.sender.timeOut(nowMs)) return this.abort();
        this.#ground.flushLater(this);
      } else {
        if (++this.#retries > SYN_RETRIES) return this.abort();
        this.#sendSyn();
      }
    }
    if (this.state === ESTABLISHED) this.#keepAlive(nowMs);
    this.#armTimer();
  }

  #keepAlive(nowMs: number): void {
    const idleMs = nowMs - this.#heardMs;
    if (idleMs < KEEPALIVE_MS) this.#retries = 0;
    else if (idleMs >= KEEPALIVE_MS + this.#probesMs()) {
      if (++this.#retries > KEEPALIVE_PROBES) return this.abort();
      this.emit((this.sender.una - 1) | 0, ACK, 0, 0);
    }
  }

  /** Both ends have closed, and both know it. */
  #finish(): void {
    if (!this.#hasClosedFirst) return this.#close(false);
    const { host } = this.#ground.context;
    this.#release();
    host.forget(this.fd);
    closeSocket(this.fd);
    this.fd = -1;
    this.state = TIME_WAIT;
    host.cancel(this.#timer);
    this.#timer = host.after(TIME_WAIT_MS, () => this.#forget());
    this.#ground.closed(this);
  }

  /** The host's side broke, or the guest's (errno 0): the other one learns it. */
  #fail(errno: number): void {
    if (errno !== 0) {
      const { link } = this.#ground.context;
      const { sender, receiver } = this;
      const sequence = this.state === ESTABLISHED ? sender.max : (this.#iss + 1) | 0;
      sendSegment(link, this.out, this.route, sequence, receiver.next, RST | ACK, 0);
    }
    this.#close(true);
  }

  /** Ends the connection at both sides, by resets. */
  abort(): void {
    if (this.#pair !== undefined) this.#pair.abort();
    else if (this.state !== CLOSED && this.state !== TIME_WAIT) this.#fail(ETIMEDOUT);
  }

  #close(withReset: boolean): void {
    if (this.state === CLOSED) return;
    const { host } = this.#ground.context;
    this.#release();
    if (this.fd !== -1) {
      host.forget(this.fd);
      if (withReset) resetSocket(this.fd);
      else closeSocket(this.fd);
      this.fd = -1;
    }
    this.#forget();
  }

  /** Before the socket is closed: what is left in it would make that a reset, which drops what is on its way there. */
  #release(): void {
    this.#handOver?.cancel();
    this.receiver.dispose();
    this.sender.stream?.dispose();
    this.sender.stream = undefined;
  }

  #forget(): void {
    this.state = CLOSED;
    this.#ground.context.host.cancel(this.#timer);
    this.#ground.table.delete(this);
    this.#ground.closed(this);
  }

  /** Drops what is left of a connection that is over. */
  forget(): void {
    if (this.state === TIME_WAIT) this.#forget();
  }
}

/** Random numbers ahead of their use: getting them costs as much as a system call. */
const random = new Int32Array(64);
let randomLeft = 0;

function initialSequence(): number {
  if (randomLeft === 0) {
    crypto.getRandomValues(random);
    randomLeft = random.length;
  }
  return random[--randomLeft]!;
}
