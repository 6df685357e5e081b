/**
 * Two connected sockets whose bytes go from one to the other inside the kernel, as references to its pages: a connection of
 * the guest that ends in a socket of its own network namespace, and the host's.
 *
 * ```
 *  guest ─ splice ─▶ pipe ─ splice ─▶ host        each way for itself: FIN ⇄ end of file ⇄ shutdown(2)
 *  guest ◀─ splice ─ pipe ◀─ splice ─ host
 * ```
 *
 * @see splice(2), tcp(7)
 */

import {
  F_SETPIPE_SZ,
  O_CLOEXEC,
  O_NONBLOCK,
  SPLICE_F_MOVE,
  SPLICE_F_NONBLOCK,
} from "../../../ffi/constants/fcntl.ts";
import { IPPROTO_TCP, MSG_OOB, TCP_CLOSE, TCP_INFO } from "../../../ffi/constants/inet.ts";
import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLPRI, EPOLLRDHUP } from "../../../ffi/constants/poll.ts";
import { MSG_DONTWAIT, MSG_NOSIGNAL, SHUT_WR } from "../../../ffi/constants/socket.ts";
import { EAGAIN, EINTR, EMFILE, ENFILE, isErrno } from "../../../ffi/errno.ts";
import { close, fcntl, pipe2 } from "../../../ffi/file.ts";
import {
  closeSocket,
  getOption,
  Memory,
  recvInto,
  resetSocket,
  sendFrom,
  shutdownSocket,
  spliceBetween,
} from "../../../ffi/inet.ts";
import type { Host, Timer } from "./host.ts";
import { isAtMark } from "./tcp_host_stream.ts";

const HEARS = EPOLLIN | EPOLLPRI | EPOLLRDHUP;
/** What may be there to read: at the end the end, or why. */
const TELLS = HEARS | EPOLLERR | EPOLLHUP;
const FLAGS = SPLICE_F_MOVE | SPLICE_F_NONBLOCK;
const SEND_MARK = MSG_OOB | MSG_DONTWAIT | MSG_NOSIGNAL;
const PIPE_BYTES = 256 << 10;
/** So many of them: all pipes of a user share a limit (pipe(7)), which readers that take nothing must not use up. */
const LARGE_PIPES_MAX = 32;
/** How often one way fills a pipe before others have their turn: what comes in small pieces takes as long as large ones. */
const FILLS_A_TURN = 8;
const PIPES_KEPT = 4;
/** Until descriptors may be free again. */
const RETRY_MS = 100;
/** For the last acknowledgements of the guest: more than a kernel waits for them that closed the socket itself. */
const END_MS = 60_000;

export interface Pipe {
  readonly reader: number;
  readonly writer: number;
  readonly isLarge: boolean;
}

/** Empty pipes: a way has one only while there is something in it. */
export class Pipes {
  readonly #free: Pipe[] = [];
  #largeCount = 0;

  /** Undefined where there are no descriptors. */
  take(): Pipe | undefined {
    return this.#free.pop() ?? this.#open();
  }

  #open(): Pipe | undefined {
    try {
      const [reader, writer] = pipe2(O_NONBLOCK | O_CLOEXEC);
      const isLarge = this.#largeCount < LARGE_PIPES_MAX && enlarge(writer);
      if (isLarge) this.#largeCount++;
      return { reader, writer, isLarge };
    } catch (error) {
      if (isErrno(error, EMFILE, ENFILE)) return undefined;
      throw error;
    }
  }

  /** @param pipe empty */
  give(pipe: Pipe): void {
    if (this.#free.length < PIPES_KEPT) this.#free.push(pipe);
    else this.close(pipe);
  }

  /** Loses what is in it. */
  close({ reader, writer, isLarge }: Pipe): void {
    if (isLarge) this.#largeCount--;
    close(reader);
    close(writer);
  }

  dispose(): void {
    for (const pipe of this.#free.splice(0)) this.close(pipe);
  }
}

/** A third less work than with the usual 64 KB; four times as much again is hardly any better. */
function enlarge(pipe: number): boolean {
  try {
    fcntl(pipe, F_SETPIPE_SZ, PIPE_BYTES);
    return true;
  } catch {
    // it stays small, and is filled more often
    return false;
  }
}

/** What a pair needs of its stack. */
export interface PairGround {
  readonly host: Host;
  readonly pipes: Pipes;
}

/** One way of a pair. */
class Way {
  pipe: Pipe | undefined;
  /** Bytes in the pipe. */
  held = 0;
  /** An urgent byte that was taken and not sent yet; -1 without one. */
  mark = -1;
  moved = 0;
  isReadable = false;
  isMarkAhead = false;
  /** `to` takes no more until it says so. */
  isFull = false;
  /** `to` is heard saying so. */
  isRoomHeard = false;
  hasEnded = false;
  /** `to` was told of the end. */
  isDone = false;
  /** The connection of `from` has broken: what it has left can be read still. */
  isBroken = false;

  constructor(readonly from: number, readonly to: number) {}

  get isEmpty(): boolean {
    return this.held === 0 && this.mark === -1;
  }
}

/** For an urgent byte, within one call. */
const single = new Memory(1);

/**
 * Takes six descriptors at most, two of them its own. An urgent byte stays one where both sockets have SO_OOBINLINE; both are
 * non-blocking.
 */
export class SplicedPair {
  readonly #ground: PairGround;
  readonly #ended: () => void;
  readonly #toHost: Way;
  readonly #toGuest: Way;
  /** Both ways are done: the host's socket is closed, and the guest's has its last acknowledgements to wait for. */
  #isFinishing = false;
  #hasEnded = false;
  #isDeferred = false;
  #timer: Timer | undefined;

  /** @param ended called once, when both descriptors are closed and the guest's connection is over */
  constructor(ground: PairGround, guest: number, host: number, ended: () => void) {
    this.#ground = ground;
    this.#ended = ended;
    this.#toHost = new Way(guest, host);
    this.#toGuest = new Way(host, guest);
  }

  get toHostBytes(): number {
    return this.#toHost.moved;
  }

  get toGuestBytes(): number {
    return this.#toGuest.moved;
  }

  /** Owns both descriptors from here on, also where it throws. */
  start(): void {
    try {
      this.#watch(this.#toHost, this.#toGuest);
      this.#watch(this.#toGuest, this.#toHost);
    } catch (error) {
      this.abort();
      throw error;
    }
  }

  /** Hears the socket that `out` comes from and `into` goes to. */
  #watch(out: Way, into: Way): void {
    this.#ground.host.watch(out.from, (events) => {
      try {
        this.#onEvents(events, out, into);
      } catch (error) {
        this.abort();
        throw error;
      }
    }, HEARS);
  }

  #onEvents(events: number, out: Way, into: Way): void {
    if (this.#hasEnded) return;
    if (this.#isFinishing) return this.#endWhenOver();
    if (events & TELLS) {
      out.isReadable = true;
      // as it is now: what an earlier event told may have been passed
      out.isMarkAhead = (events & EPOLLPRI) !== 0;
    }
    if (events & EPOLLERR) out.isBroken = true;
    if (events & EPOLLOUT) into.isFull = false;
    this.#moveBoth();
  }

  readonly #turn = (): void => {
    this.#isDeferred = false;
    try {
      this.#moveBoth();
    } catch (error) {
      this.abort();
      throw error;
    }
  };

  #moveBoth(): void {
    this.#move(this.#toHost);
    this.#move(this.#toGuest);
    if (this.#hasEnded || this.#isFinishing) return;
    if (this.#toHost.isDone && this.#toGuest.isDone) this.#finish();
  }

  #move(way: Way): void {
    if (this.#hasEnded || this.#isFinishing) return;
    for (let left = FILLS_A_TURN; this.#drain(way) && way.isReadable && !way.hasEnded; left--) {
      if (left === 0) {
        this.#turnLater();
        break;
      }
      if (!this.#fill(way)) break;
    }
    if (this.#hasEnded) return;
    if (way.held === 0) this.#givePipe(way);
    if (way.hasEnded && way.isEmpty && !way.isDone) {
      way.isDone = true;
      shutdownSocket(way.to, SHUT_WR);
    }
    // nobody would hear of it again, and what is left has nobody who could ask for it again
    if (way.isBroken && (way.isFull || way.isDone)) this.abort();
  }

  /** Whether nothing is left in the pipe. */
  #drain(way: Way): boolean {
    while (!way.isFull && !this.#hasEnded) {
      if (way.isEmpty) return true;
      const count = way.mark === -1
        ? spliceBetween(way.pipe!.reader, way.to, way.held, FLAGS)
        : sendMark(way.to, way.mark);
      if (count > 0) {
        way.moved += count;
        if (way.mark === -1) way.held -= count;
        else way.mark = -1;
      } else if (count === -EAGAIN) this.#awaitRoom(way);
      else if (count !== -EINTR) this.abort();
    }
    return false;
  }

  #awaitRoom(way: Way): void {
    way.isFull = true;
    if (way.isRoomHeard) return;
    way.isRoomHeard = true;
    // tells at once where there is room again already
    this.#ground.host.change(way.to, HEARS | EPOLLOUT);
  }

  /** Fills an empty pipe; false where there is nothing more for now. */
  #fill(way: Way): boolean {
    way.pipe ??= this.#ground.pipes.take();
    if (way.pipe === undefined) return this.#retryLater();
    let count = spliceBetween(way.from, way.pipe.writer, PIPE_BYTES, FLAGS);
    if (count > 0) {
      way.held = count;
      return true;
    }
    // splice(2) stops before an urgent byte for ever, and calls it the end where a FIN came behind it
    if ((count === 0 || (count === -EAGAIN && way.isMarkAhead)) && isAtMark(way.from)) {
      count = recvInto(way.from, single.pointer, 1, MSG_DONTWAIT);
      if (count > 0) {
        way.mark = single.bytes[0]!;
        return true;
      }
    }
    if (count === -EINTR) return true;
    if (count === -EAGAIN) way.isReadable = false;
    else if (count === 0) way.hasEnded = true;
    else this.abort();
    return false;
  }

  #givePipe(way: Way): void {
    if (way.pipe === undefined) return;
    this.#ground.pipes.give(way.pipe);
    way.pipe = undefined;
  }

  #turnLater(): void {
    if (this.#isDeferred) return;
    this.#isDeferred = true;
    this.#ground.host.defer(this.#turn);
  }

  #retryLater(): false {
    if (this.#timer === undefined || this.#timer.index < 0) {
      this.#timer = this.#ground.host.after(RETRY_MS, this.#turn);
    }
    return false;
  }

  #finish(): void {
    const { host } = this.#ground;
    this.#isFinishing = true;
    host.cancel(this.#timer);
    host.forget(this.#toHost.to);
    closeSocket(this.#toHost.to);
    this.#timer = host.after(END_MS, () => this.abort());
    this.#endWhenOver();
  }

  /** In TIME_WAIT as well, which is no state of a socket but what the kernel keeps of one. */
  #endWhenOver(): void {
    const guest = this.#toHost.from;
    // the first byte of struct tcp_info
    if ((getOption(guest, IPPROTO_TCP, TCP_INFO) & 0xff) !== TCP_CLOSE) return;
    this.#end();
    closeSocket(guest);
    this.#ended();
  }

  /** Resets what is open of both. */
  abort(): void {
    if (this.#hasEnded) return;
    const { from: guest, to: host } = this.#toHost;
    if (!this.#isFinishing) {
      this.#ground.host.forget(host);
      resetSocket(host);
    }
    this.#end();
    resetSocket(guest);
    this.#ended();
  }

  #end(): void {
    this.#hasEnded = true;
    const { host } = this.#ground;
    host.cancel(this.#timer);
    host.forget(this.#toHost.from);
    for (const way of [this.#toHost, this.#toGuest]) {
      if (way.pipe !== undefined) this.#ground.pipes.close(way.pipe);
      way.pipe = undefined;
    }
  }
}

function sendMark(fd: number, byte: number): number {
  single.bytes[0] = byte;
  return sendFrom(fd, single.pointer, 1, SEND_MARK);
}
