/**
 * The monitor's side of the socket: who is connected, and what each of them gets.
 *
 * Output goes to every attached client. A client that reads too slowly first holds the container back (one
 * second at most), then falls behind into a file of its own (64 MiB at most), then is told so and dropped:
 * it never stops the container or the others.
 */

import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, POLLIN } from "../../ffi/constants/poll.ts";
import { MSG_DONTWAIT, SOCK_CLOEXEC, SOCK_NONBLOCK } from "../../ffi/constants/socket.ts";
import { EAGAIN, isErrno } from "../../ffi/errno.ts";
import { close } from "../../ffi/file.ts";
import { geteuid } from "../../ffi/process.ts";
import { pollBlocking } from "../../ffi/poll.ts";
import { accept4, peerCredentials, receiveWithFds, recv } from "../../ffi/socket.ts";
import { SkiffError } from "../errors.ts";
import type { PortChange } from "./held_ports.ts";
import type { EventLoop, Timer } from "./loop.ts";
import { OutboundQueue } from "./outbound_queue.ts";
import { PROTOCOL_VERSION } from "./plan.ts";
import {
  decodeJson,
  encodeJsonFrame,
  FRAME,
  FrameDecoder,
  type FrameType,
  type Hello,
  parseHello,
  parseSignal,
  parseWindowSize,
  type WindowSize,
} from "./protocol.ts";

/** What clients may ask for. A method that cannot do it throws, and the client is told why. */
export interface Control {
  status(): Record<string, unknown>;
  start(): void;
  signal(signal: number): void;
  stop(signal?: number, timeoutSeconds?: number, keep?: boolean): void;
  /** Runs a health check; `answerHealth` tells its result. */
  checkHealth(): void;
  resize(size: WindowSize): void;
  /** `bytes` is free again when this returns. */
  writeStdin(bytes: Uint8Array): void;
  /** Whether clients must hold their input back. */
  isStdinFull(): boolean;
  /** An attached client came; `first` of all there ever were. */
  attached(first: boolean): void;
  /** A client that gave input has gone or closed its side. */
  stdinEnded(): void;
  /** Whether output must be held back; called at each change. */
  holdOutput(held: boolean): void;
  /** Takes what `update` has changed; `fd` stays the caller's. Absent where nothing looks after the program. */
  changeSupervision?(fd: number): void;
  /** `fds` are its own; it throws, or calls `done` now or later. Absent where there are no ports now. */
  changePorts?(change: PortChange, fds: readonly number[], done: (error?: unknown) => void): void;
}

const CLIENT_LIMIT = 64;
/** How long a client may be connected without a HELLO. */
const HELLO_TIMEOUT_MS = 10_000;
/** A client with more than this to read holds the output back. */
const CONGESTED_BYTES = 256 * 1024;
const CONGESTION_LIMIT_MS = 1_000;
/** @see unix(7), SCM_MAX_FD */
const MESSAGE_DESCRIPTORS = 253;
const READ_BYTES = 64 * 1024;

interface Client {
  fd: number;
  queue: OutboundQueue;
  decoder: FrameDecoder;
  op: Hello["op"] | "none";
  stdin: boolean;
  stdout: boolean;
  stderr: boolean;
  /** It has held the others back for long enough: until it has caught up it does not count. */
  isLate: boolean;
  /** Only what is queued is still sent, then it is closed. */
  isClosing: boolean;
  helloTimer?: Timer;
  /** Came before or with its HELLO, and are not used yet. */
  passed: number[];
}

export class Server {
  readonly #clients = new Map<number, Client>();
  /** Shared: what is read of a client is dealt with at once. */
  readonly #buffer = new Uint8Array(READ_BYTES);
  #wasAttached = false;
  #isHolding = false;
  #holdTimer: Timer | undefined;
  /** The frame that ends every conversation, once there is one. */
  #last: Uint8Array<ArrayBuffer> | undefined;
  #isFinal = false;
  #whenDrained: (() => void) | undefined;

  /** `listen` is a listening stream socket; `spillFolder` takes what slow clients have not read. */
  constructor(
    readonly loop: EventLoop,
    readonly listen: number,
    readonly control: Control,
    readonly spillFolder: string,
  ) {
    loop.watch(listen, () => this.#accept());
  }

  /** Whether any client was ever attached. */
  get wasAttached(): boolean {
    return this.#wasAttached;
  }

  get isEmpty(): boolean {
    return this.#clients.size === 0;
  }

  /** Sends output to who is attached. `frame` is whole, with its header, and free when this returns. */
  output(type: typeof FRAME.STDOUT | typeof FRAME.STDERR, frame: Uint8Array<ArrayBuffer>): void {
    if (this.#clients.size === 0) return;
    for (const client of this.#clients.values()) {
      if (client.op !== "attach" || client.isClosing) continue;
      if (type === FRAME.STDOUT ? !client.stdout : !client.stderr) continue;
      this.#guard(client, () => {
        if (!client.queue.push(frame)) this.#refuse(client, "attach: the client does not read; see the log");
        this.#await(client);
      });
    }
    this.#updateHold();
  }

  /** Takes input again from clients, after `isStdinFull`. */
  resumeStdin(): void {
    for (const client of this.#clients.values()) this.#await(client);
  }

  /** Answers who waits for the start, or for a health check. */
  answer(op: "start" | "health", payload: Record<string, unknown>): void {
    for (const client of [...this.#clients.values()]) {
      if (client.op === op && !client.isClosing) this.#finish(client, encodeJsonFrame(FRAME.OK, payload));
    }
  }

  /** Leaves the listening socket to whoever is next, and the clients to themselves. */
  dispose(): void {
    for (const client of [...this.#clients.values()]) this.#drop(client);
    this.loop.unwatch(this.listen);
  }

  /**
   * Sends the last frame to everyone who waits for it, now or later, and calls `whenDrained` when all have
   * read what is theirs, or have gone: now, or each time that is so again. `isFinal`: nobody listens on the socket after
   * this; else who comes now, or has not said yet what he wants, is for the next.
   */
  end(last: Uint8Array<ArrayBuffer>, isFinal: boolean, whenDrained: () => void): void {
    this.#last = last;
    this.#isFinal = isFinal;
    this.#whenDrained = whenDrained;
    for (const client of [...this.#clients.values()]) {
      if (client.op !== "none") {
        if (!client.isClosing) this.#finish(client, last);
      } else if (!isFinal) this.#drop(client);
    }
    this.#checkDrained();
  }

  /** Whether somebody was let in, or turned away. */
  #accept(): boolean {
    let fd: number;
    try {
      fd = accept4(this.listen, SOCK_NONBLOCK | SOCK_CLOEXEC);
    } catch {
      return false;
    }
    // The socket is 0600 in a 0700 folder; this holds where someone loosened that.
    if (this.#clients.size >= CLIENT_LIMIT || peerCredentials(fd).uid !== geteuid()) {
      close(fd);
      return true;
    }
    const client: Client = {
      fd,
      queue: new OutboundQueue(fd, this.spillFolder),
      decoder: new FrameDecoder(),
      op: "none",
      stdin: false,
      stdout: false,
      stderr: false,
      isLate: false,
      isClosing: false,
      passed: [],
    };
    client.helloTimer = this.loop.after(HELLO_TIMEOUT_MS, () => this.#drop(client));
    this.#clients.set(fd, client);
    this.loop.watch(fd, (events) => this.#guard(client, () => this.#serve(client, events)));
    // A client writes its HELLO at once: most often it is there already.
    this.#guard(client, () => this.#read(client));
    return true;
  }

  #serve(client: Client, events: number): void {
    if (events & EPOLLOUT) {
      const isEmpty = client.queue.flush();
      if (isEmpty) client.isLate = false;
      if (isEmpty && client.isClosing) return this.#drop(client);
      this.#await(client);
      this.#updateHold();
    }
    if (events & EPOLLIN) this.#read(client);
    else if (events & (EPOLLHUP | EPOLLERR)) this.#drop(client);
  }

  #read(client: Client): void {
    let count: number;
    try {
      count = client.op === "none" ? this.#receiveFirst(client) : recv(client.fd, this.#buffer, MSG_DONTWAIT);
    } catch (error) {
      if (isErrno(error, EAGAIN)) return;
      throw error;
    }
    if (count === 0) return this.#drop(client);
    if (client.isClosing) return;
    client.decoder.feed(this.#buffer.subarray(0, count), {
      stream: (type, bytes) => this.#stream(client, type, bytes),
      control: (type, payload) => {
        if (!client.isClosing) this.#handle(client, type, payload);
      },
    });
    if (client.stdin) this.#await(client);
  }

  /** Descriptors come with a HELLO only; later ones fall away. */
  #receiveFirst(client: Client): number {
    const { length, fds } = receiveWithFds(client.fd, this.#buffer, MESSAGE_DESCRIPTORS);
    client.passed.push(...fds);
    return length;
  }

  #stream(client: Client, type: FrameType, bytes: Uint8Array): void {
    if (type !== FRAME.STDIN || client.op !== "attach") throw new SkiffError("read frame: out of order");
    if (client.stdin) this.control.writeStdin(bytes);
  }

  #handle(client: Client, type: FrameType, payload: Uint8Array): void {
    if (client.op === "none") {
      if (type !== FRAME.HELLO) throw new SkiffError("read frame: HELLO comes first");
      return this.#hello(client, parseHello(payload));
    }
    if (client.op !== "attach") throw new SkiffError("read frame: nothing was expected");
    switch (type) {
      case FRAME.STDIN_EOF:
        return this.#endStdin(client);
      case FRAME.RESIZE:
        return attempt(() => this.control.resize(parseWindowSize(decodeJson(payload))));
      case FRAME.SIGNAL:
        return attempt(() => this.control.signal(parseSignal(decodeJson(payload).signal)));
      case FRAME.DETACH:
        return this.#drop(client);
      default:
        throw new SkiffError(`read frame: type ${type} is not for a monitor`);
    }
  }

  #hello(client: Client, hello: Hello): void {
    this.loop.cancel(client.helloTimer);
    client.op = hello.op;
    if (this.#last !== undefined) return this.#finish(client, this.#last);
    const answer = { version: PROTOCOL_VERSION, ...this.control.status() };
    switch (hello.op) {
      case "attach": {
        Object.assign(client, { stdin: hello.stdin, stdout: hello.stdout, stderr: hello.stderr });
        if (hello.size !== undefined) this.control.resize(hello.size);
        this.#send(client, encodeJsonFrame(FRAME.OK, answer));
        // not before: one that has died meanwhile was never there, and is not waited for any longer than that
        const isFirst = !this.#wasAttached;
        this.#wasAttached = true;
        return this.control.attached(isFirst);
      }
      case "wait":
        return this.#send(client, encodeJsonFrame(FRAME.OK, answer));
      case "start":
        return this.control.start();
      case "health":
        return this.control.checkHealth();
      case "supervise":
        if (!this.control.changeSupervision) {
          throw new SkiffError("change supervision: nothing looks after this program");
        }
        this.#useFd(client, (fd) => this.control.changeSupervision!(fd));
        break;
      case "stop":
        this.control.stop(hello.signal, hello.timeoutSeconds, hello.keep);
        return this.#send(client, encodeJsonFrame(FRAME.OK, answer));
      case "signal":
        this.control.signal(hello.signal);
        break;
      case "resize":
        this.control.resize(hello.size);
        break;
      case "ports":
        if (!this.control.changePorts) {
          throw new SkiffError(
            "change published ports: the container has no network of its own, or is restarting",
          );
        }
        return this.control.changePorts(hello, client.passed.splice(0), (error) => {
          if (this.#clients.get(client.fd) !== client || client.isClosing) return;
          if (error === undefined) this.#finish(client, encodeJsonFrame(FRAME.OK, answer));
          else this.#refuse(client, (error as Error).message);
        });
      case "status":
        break;
    }
    this.#finish(client, encodeJsonFrame(FRAME.OK, answer));
  }

  #useFd(client: Client, use: (fd: number) => void): void {
    const [fd, ...more] = client.passed.splice(0);
    more.forEach(close);
    if (fd === undefined) throw new SkiffError("read hello: a descriptor is missing");
    try {
      use(fd);
    } finally {
      close(fd);
    }
  }

  #endStdin(client: Client): void {
    if (!client.stdin) return;
    client.stdin = false;
    this.control.stdinEnded();
  }

  #send(client: Client, frame: Uint8Array<ArrayBuffer>): void {
    client.queue.push(frame);
    this.#await(client);
  }

  /** Sends a last frame; the client is closed when it has read that. */
  #finish(client: Client, frame: Uint8Array<ArrayBuffer>): void {
    this.#guard(client, () => {
      client.queue.pushLast(frame);
      client.isClosing = true;
      if (client.queue.backlogBytes === 0) this.#drop(client);
      else this.#await(client);
    });
  }

  #refuse(client: Client, message: string): void {
    this.#finish(client, encodeJsonFrame(FRAME.ERROR, { message }));
  }

  /** Waits for what this client can do next. */
  #await(client: Client): void {
    if (!this.#clients.has(client.fd)) return;
    const takesInput = !(client.stdin && this.control.isStdinFull());
    const hasOutput = client.queue.backlogBytes > 0;
    this.loop.change(client.fd, (takesInput ? EPOLLIN : 0) | (hasOutput ? EPOLLOUT : 0));
  }

  /** A failure while serving one client ends that client, not the monitor. */
  #guard(client: Client, serve: () => void): void {
    try {
      serve();
    } catch (error) {
      if (error instanceof SkiffError && !client.isClosing) this.#refuse(client, error.message);
      else this.#drop(client);
    }
  }

  #drop(client: Client): void {
    if (!this.#clients.delete(client.fd)) return;
    this.loop.cancel(client.helloTimer);
    this.loop.unwatch(client.fd);
    client.queue.dispose();
    for (const fd of [client.fd, ...client.passed.splice(0)]) close(fd);
    this.#endStdin(client);
    this.#updateHold();
    this.#checkDrained();
  }

  #updateHold(): void {
    const isCongested = [...this.#clients.values()].some(isCongesting);
    if (isCongested === this.#isHolding) return;
    this.#isHolding = isCongested;
    this.loop.cancel(this.#holdTimer);
    if (isCongested) {
      this.#holdTimer = this.loop.after(CONGESTION_LIMIT_MS, () => {
        for (const client of this.#clients.values()) client.isLate ||= isCongesting(client);
        this.#updateHold();
      });
    }
    this.control.holdOutput(isCongested);
  }

  #checkDrained(): void {
    if (this.#whenDrained === undefined) return;
    // who came just before the end still waits to be let in: the socket would close in his face
    while (this.#isFinal && this.#clients.size === 0 && pollBlocking(this.listen, POLLIN, 0) !== 0) {
      if (!this.#accept()) break;
    }
    if (this.#clients.size === 0) this.#whenDrained();
  }
}

/** A signal or a size that comes too late is no reason to end an attached client. */
function attempt(action: () => void): void {
  try {
    action();
  } catch {
    // The client learns from EXIT that it was too late.
  }
}

function isCongesting(client: Client): boolean {
  return !client.isLate && !client.isClosing && client.queue.backlogBytes > CONGESTED_BYTES;
}
