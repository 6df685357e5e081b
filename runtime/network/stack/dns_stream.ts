/** DNS over TCP from guests: messages with their lengths on one end of a socket pair. @see RFC 7766 */

import { EPOLLIN, EPOLLOUT } from "../../../ffi/constants/poll.ts";
import { AF_UNIX, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM } from "../../../ffi/constants/socket.ts";
import { receiveFrom, sendTo } from "../../../ffi/datagram.ts";
import { EAGAIN, EMFILE } from "../../../ffi/errno.ts";
import { closeSocket, SocketAddress } from "../../../ffi/inet.ts";
import { socketpair } from "../../../ffi/socket.ts";
import type { AddressBytes } from "./addresses.ts";
import type { DnsForwarder } from "./dns_forwarder.ts";
import { HEADER_BYTES, type Message } from "./dns_message.ts";
import { withLength } from "./dns_upstream.ts";
import type { Host, Timer } from "./host.ts";
import { MAX_STREAMS } from "./limits.ts";

/** Of a connection that asks nothing. */
const IDLE_MS = 20_000;
/** Questions of one connection that wait, and bytes of answers that it does not take: then it is closed. */
const MAX_PENDING = 16;
const MAX_UNSENT_BYTES = 256 * 1024;
/** Questions are short; a longer one is no question. */
const MAX_QUESTION_BYTES = 4096;

export class DnsStreams {
  readonly #host: Host;
  readonly #forwarder: DnsForwarder;
  readonly #streams = new Set<DnsStream>();
  #count = 0;

  constructor(host: Host, forwarder: DnsForwarder) {
    this.#host = host;
    this.#forwarder = forwarder;
  }

  /** The other end of a connection to the forwarder, the caller's; -errno where there can be no more. */
  open(asker: AddressBytes): number {
    if (this.#streams.size >= MAX_STREAMS) return -EMFILE;
    let ends: [number, number];
    try {
      ends = socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC);
    } catch {
      return -EMFILE;
    }
    this.serve(ends[0], asker);
    return ends[1];
  }

  /** Serves a connection, whose descriptor is its own from here on; where there are too many it ends at once. */
  serve(fd: number, asker: AddressBytes): void {
    if (this.#streams.size >= MAX_STREAMS) return closeSocket(fd);
    const stream = new DnsStream(
      ...[this.#host, this.#forwarder, fd, asker] as const,
      `stream ${this.#count++}`,
      () => this.#streams.delete(stream),
    );
    this.#streams.add(stream);
  }

  get size(): number {
    return this.#streams.size;
  }

  dispose(): void {
    for (const stream of this.#streams) stream.close();
  }
}

class DnsStream {
  readonly #host: Host;
  readonly #forwarder: DnsForwarder;
  readonly #fd: number;
  readonly #asker: AddressBytes;
  readonly #id: string;
  readonly #onClose: () => void;
  readonly #buffer = new Uint8Array(2 + MAX_QUESTION_BYTES);
  readonly #from = new SocketAddress();
  #length = 0;
  #unsent: Message[] = [];
  #unsentBytes = 0;
  #pending = 0;
  #hasEnded = false;
  #isClosed = false;
  #timer: Timer | undefined;

  constructor(
    host: Host,
    forwarder: DnsForwarder,
    fd: number,
    asker: AddressBytes,
    id: string,
    onClose: () => void,
  ) {
    this.#host = host;
    this.#forwarder = forwarder;
    this.#fd = fd;
    this.#asker = asker;
    this.#id = id;
    this.#onClose = onClose;
    this.#wait();
    host.watch(fd, (events) => this.#ready(events), EPOLLIN | EPOLLOUT);
  }

  #wait(): void {
    this.#host.cancel(this.#timer);
    this.#timer = this.#host.after(IDLE_MS, () => this.close());
  }

  #ready(events: number): void {
    if (events & EPOLLOUT) this.#send();
    if (!this.#isClosed) this.#receive();
  }

  #receive(): void {
    while (!this.#isClosed) {
      if (!this.#takeQuestions()) return this.close();
      if (this.#pending >= MAX_PENDING) return; // goes on with the next answer
      if (this.#hasEnded) break;
      const length = receiveFrom(this.#fd, this.#buffer.subarray(this.#length), this.#from);
      if (length === -EAGAIN) return;
      if (length < 0) return this.close();
      if (length === 0) this.#hasEnded = true;
      this.#length += length;
    }
    if (this.#hasEnded && this.#pending === 0 && this.#unsentBytes === 0) this.close();
  }

  /** Takes as many as may wait. False where these are no questions. */
  #takeQuestions(): boolean {
    for (;;) {
      if (this.#length < 2 || this.#pending >= MAX_PENDING || this.#isClosed) return true;
      const size = this.#buffer[0]! << 8 | this.#buffer[1]!;
      if (size < HEADER_BYTES || size > MAX_QUESTION_BYTES) return false;
      if (this.#length < 2 + size) return true;
      const message = this.#buffer.slice(2, 2 + size);
      this.#buffer.copyWithin(0, 2 + size, this.#length);
      this.#length -= 2 + size;
      this.#wait();
      this.#pending++;
      const asker = { address: this.#asker, id: this.#id, isTcp: true };
      if (!this.#forwarder.ask(message, asker, (answer) => this.#reply(answer))) this.#pending--;
    }
  }

  #reply(answer: Message): void {
    if (this.#isClosed) return;
    this.#pending--;
    const whole = withLength(answer);
    this.#unsentBytes += whole.length;
    if (this.#unsentBytes > MAX_UNSENT_BYTES) return this.close();
    this.#unsent.push(whole);
    this.#wait();
    this.#send();
    // outside of the forwarder's own work
    this.#host.defer(() => {
      if (!this.#isClosed) this.#receive();
    });
  }

  #send(): void {
    for (let first = this.#unsent[0]; first !== undefined; first = this.#unsent[0]) {
      const sent = sendTo(this.#fd, first, null);
      if (sent === -EAGAIN) return;
      if (sent < 0) return this.close();
      this.#unsentBytes -= sent;
      if (sent === first.length) this.#unsent.shift();
      else this.#unsent[0] = first.subarray(sent);
    }
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#host.cancel(this.#timer);
    this.#forwarder.forget(this.#id);
    this.#host.forget(this.#fd);
    closeSocket(this.#fd);
    this.#onClose();
  }
}
