/**
 * The container's standard streams, seen from the monitor: pipes, or one terminal.
 *
 * ```
 *  clients ─▶ stdin pipe ─▶ container ─▶ stdout pipe ─▶ log, clients
 *                                     ─▶ stderr pipe ─▶
 *  with a terminal: one master for all three, which init opens in the container's own devpts and sends here
 * ```
 */

import {
  F_DUPFD_CLOEXEC,
  F_GETPIPE_SZ,
  F_SETPIPE_SZ,
  O_CLOEXEC,
  O_NOFOLLOW,
  O_RDWR,
} from "../../ffi/constants/fcntl.ts";
import { EPOLLOUT } from "../../ffi/constants/poll.ts";
import { EAGAIN, EINTR, EIO, errno, isErrno, SyscallError } from "../../ffi/errno.ts";
import { close, fcntl, open, pipe2, setNonblocking, write } from "../../ffi/file.ts";
import { libc } from "../../ffi/libc.ts";
import type { EventLoop } from "./loop.ts";
import type { OutputStream } from "./log_writer.ts";
import type { StdioPlan } from "./plan.ts";
import { FRAME, FRAME_HEADER_BYTES, writeFrameHeader } from "./protocol.ts";

/** What the container gets, and what the monitor keeps of it; -1 where there is none. */
export interface Pipes {
  child: { stdin: number; stdout: number; stderr: number };
  stdin: number;
  stdout: number;
  stderr: number;
}

const READ_BYTES = 256 * 1024;
/** Linux's default capacity: who fills it at once gains from a larger one. @see pipe(7) */
const PIPE_BYTES = 64 * 1024;
const LARGE_PIPE_BYTES = 1024 * 1024;
const STDIN_LIMIT_BYTES = 256 * 1024;

/** Pipes for a container without a terminal. */
export function makePipes(plan: StdioPlan): Pipes {
  const [stdoutRead, stdoutWrite] = pipe2(O_CLOEXEC);
  const [stderrRead, stderrWrite] = pipe2(O_CLOEXEC);
  setNonblocking(stdoutRead);
  setNonblocking(stderrRead);
  const [stdinRead, stdinWrite] = plan.openStdin
    ? pipe2(O_CLOEXEC)
    : [open("/dev/null", O_RDWR | O_CLOEXEC | O_NOFOLLOW), -1];
  if (stdinWrite !== -1) setNonblocking(stdinWrite);
  return {
    child: { stdin: stdinRead, stdout: stdoutWrite, stderr: stderrWrite },
    stdin: stdinWrite,
    stdout: stdoutRead,
    stderr: stderrRead,
  };
}

/** Closes the container's ends, so that the monitor sees when the last writer has gone. */
export function closeChildEnds(pipes: Pipes): void {
  close(pipes.child.stdin);
  close(pipes.child.stdout);
  close(pipes.child.stderr);
}

/**
 * Points 0, 1 and 2 of this process to /dev/null: a monitor keeps nothing of its parent's open but, with the log
 * driver passthrough and a restart policy, what `keepStandardStreams` gave it.
 */
export function detachStandardStreams(): void {
  const nothing = open("/dev/null", O_RDWR);
  for (const fd of [0, 1, 2]) if (fd !== nothing) libc("file").dup2(nothing, fd);
  if (nothing > 2) close(nothing);
}

/** The same streams under other numbers. */
export function keepStandardStreams(): { stdin: number; stdout: number; stderr: number } {
  const [stdin, stdout, stderr] = [0, 1, 2].map((fd) => fcntl(fd, F_DUPFD_CLOEXEC, 3));
  return { stdin: stdin!, stdout: stdout!, stderr: stderr! };
}

/** Room for one read, and before it for the frame header, so that clients get what was read as it lies. */
export class ReadBuffer {
  readonly bytes: Uint8Array<ArrayBuffer> = new Uint8Array(FRAME_HEADER_BYTES + READ_BYTES);
  readonly room: Uint8Array<ArrayBuffer> = this.bytes.subarray(FRAME_HEADER_BYTES);

  /** The first `count` bytes that were read. */
  content(count: number): Uint8Array<ArrayBuffer> {
    return this.room.subarray(0, count);
  }

  /** The same as one frame. */
  frame(type: typeof FRAME.STDOUT | typeof FRAME.STDERR, count: number): Uint8Array<ArrayBuffer> {
    writeFrameHeader(this.bytes, type, count);
    return this.bytes.subarray(0, FRAME_HEADER_BYTES + count);
  }
}

/** One stream that the container writes to. */
export class OutputPipe {
  #isLarge: boolean;
  isOpen = true;

  constructor(readonly fd: number, readonly stream: OutputStream, readonly isTerminal: boolean) {
    this.#isLarge = isTerminal;
  }

  /** Reads once. Gives 0 at the end of the stream, -1 where nothing is there. */
  read(buffer: ReadBuffer): number {
    const count = libc("file").read(this.fd, buffer.room, buffer.room.length);
    if (count === -1) {
      const code = errno();
      if (code === EAGAIN || code === EINTR) return -1;
      // The last slave of a terminal was closed. @see pty(7)
      if (code === EIO) return 0;
      throw new SyscallError("read", code, this.stream);
    }
    if (count >= PIPE_BYTES && !this.#isLarge) this.#enlarge();
    return count;
  }

  /** How many bytes it can hold at once. */
  capacity(): number {
    return this.isTerminal ? LARGE_PIPE_BYTES : fcntl(this.fd, F_GETPIPE_SZ, 0);
  }

  close(): void {
    if (this.isOpen) close(this.fd);
    this.isOpen = false;
  }

  /** On demand only: the kernel grants a user 64 MiB of pipe buffers in all. @see pipe-user-pages-soft, pipe(7) */
  #enlarge(): void {
    this.#isLarge = true;
    try {
      fcntl(this.fd, F_SETPIPE_SZ, LARGE_PIPE_BYTES);
    } catch {
      // The user's share is used up: 64 KiB does as well.
    }
  }
}

/** The container's stdin: a pipe or the terminal, with a bounded queue before it. */
export class InputPipe {
  #queue: Uint8Array<ArrayBuffer>[] = [];
  #queuedBytes = 0;
  #isWatched = false;
  #isClosing = false;
  isOpen = true;

  /**
   * `onDrained` is called when a full queue has room again. A terminal's descriptor is the output's too, so
   * who watches that is told by `onInterest` when `isWaiting` has changed.
   */
  constructor(
    readonly loop: EventLoop,
    readonly fd: number,
    readonly isTerminal: boolean,
    readonly onDrained: () => void,
    readonly onInterest: () => void,
  ) {}

  /** Whether the descriptor must be watched for EPOLLOUT. */
  get isWaiting(): boolean {
    return this.isOpen && this.#queue.length > 0;
  }

  get isFull(): boolean {
    return this.#queuedBytes > STDIN_LIMIT_BYTES;
  }

  /** `bytes` is free again when this returns. Input that nobody reads any more is dropped. */
  write(bytes: Uint8Array): void {
    if (!this.isOpen || this.#isClosing) return;
    this.#queue.push(bytes.slice());
    this.#queuedBytes += bytes.length;
    this.flush();
  }

  /** Closes stdin behind what is queued. A terminal stays: its output is still to come. */
  end(): void {
    if (this.isTerminal || !this.isOpen) return;
    this.#isClosing = true;
    this.flush();
  }

  /** To be called while the descriptor takes input. */
  flush(): void {
    const wasFull = this.isFull;
    try {
      while (this.#queue.length > 0) {
        const chunk = this.#queue[0]!;
        const count = write(this.fd, chunk);
        this.#queuedBytes -= count;
        if (count === chunk.length) this.#queue.shift();
        else this.#queue[0] = chunk.subarray(count);
      }
    } catch (error) {
      if (!isErrno(error, EAGAIN)) return this.close();
    }
    if (this.#queue.length === 0 && this.#isClosing) return this.close();
    this.#watch(this.#queue.length > 0);
    if (wasFull && !this.isFull) this.onDrained();
  }

  /** Drops what is queued. */
  close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.#queue = [];
    const wasFull = this.isFull;
    this.#queuedBytes = 0;
    if (!this.isTerminal) {
      this.#watch(false);
      close(this.fd);
    }
    if (wasFull) this.onDrained();
  }

  #watch(isWaiting: boolean): void {
    if (isWaiting === this.#isWatched) return;
    this.#isWatched = isWaiting;
    if (this.isTerminal) this.onInterest();
    else if (isWaiting) this.loop.watch(this.fd, () => this.flush(), EPOLLOUT);
    else this.loop.unwatch(this.fd);
  }
}
