/** DNS messages over one TCP connection: each after its length in two bytes. @see RFC 7766 */

import { EPOLLIN, EPOLLOUT } from "../../../ffi/constants/poll.ts";
import { EAGAIN, isErrno } from "../../../ffi/errno.ts";
import { closeSocket } from "../../../ffi/inet.ts";
import { recv, send } from "../../../ffi/socket.ts";
import type { ProcessLoop } from "../monitor_network.ts";
import type { Message } from "../stack/dns_message.ts";

export interface TcpMessageEvents {
  take(message: Message): void;
  /** Once, when the connection has ended for whatever reason. */
  ended(): void;
}

/** Whoever asks and does not read gets no more. */
const UNREAD_LIMIT_BYTES = 256 * 1024;

export class TcpMessages {
  readonly #loop: ProcessLoop;
  readonly #fd: number;
  readonly #events: TcpMessageEvents;
  readonly #timer: unknown;
  #isOpen = true;
  #received: Message = new Uint8Array(0);
  #unsent: Message = new Uint8Array(0);

  /** `fd`: connected or about to be, not blocking; its own from here on. Ends after `limitMs` in any case. */
  constructor(loop: ProcessLoop, fd: number, limitMs: number, events: TcpMessageEvents) {
    this.#loop = loop;
    this.#fd = fd;
    this.#events = events;
    this.#timer = loop.after(limitMs, () => this.end());
    this.#watch();
  }

  send(message: Message): void {
    if (!this.#isOpen) return;
    if (this.#unsent.length > UNREAD_LIMIT_BYTES) return this.end();
    this.#unsent = concat(this.#unsent, Uint8Array.of(message.length >> 8, message.length & 255), message);
    this.#flush();
  }

  end(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#loop.cancel(this.#timer);
    this.#loop.unwatch(this.#fd);
    closeSocket(this.#fd);
    this.#events.ended();
  }

  #watch(): void {
    const events = EPOLLIN | (this.#unsent.length > 0 ? EPOLLOUT : 0);
    this.#loop.watch(this.#fd, (ready) => {
      if (ready & EPOLLOUT) this.#flush();
      if (ready & ~EPOLLOUT) this.#read();
    }, events);
  }

  #flush(): void {
    if (!this.#isOpen) return;
    const before = this.#unsent.length;
    try {
      while (this.#unsent.length > 0) this.#unsent = this.#unsent.slice(send(this.#fd, this.#unsent));
    } catch (error) {
      // EAGAIN, or not connected yet, which is told when it is
      if (!isErrno(error, EAGAIN) && !isErrno(error, ENOTCONN)) return this.end();
    }
    if (before > 0 || this.#unsent.length > 0) {
      this.#loop.unwatch(this.#fd);
      this.#watch();
    }
  }

  #read(): void {
    if (!this.#isOpen) return;
    const buffer = new Uint8Array(16 * 1024);
    try {
      const count = recv(this.#fd, buffer);
      if (count === 0) return this.end();
      this.#received = concat(this.#received, buffer.subarray(0, count));
    } catch (error) {
      return isErrno(error, EAGAIN) ? undefined : this.end();
    }
    for (;;) {
      const [high, low] = this.#received;
      if (low === undefined) return;
      const end = 2 + (high! << 8 | low);
      if (this.#received.length < end) return;
      const message = this.#received.slice(2, end);
      this.#received = this.#received.slice(end);
      this.#events.take(message);
    }
  }
}

const ENOTCONN = 107;

function concat(...parts: Uint8Array[]): Message {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
