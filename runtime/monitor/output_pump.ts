/** Moves the container's output to the log and the clients, and knows when there is no more of it. */

import { EPOLLIN, EPOLLOUT } from "../../ffi/constants/poll.ts";
import type { LogWriter, OutputStream } from "./log_writer.ts";
import type { EventLoop, Timer } from "./loop.ts";
import { FRAME } from "./protocol.ts";
import { type InputPipe, OutputPipe, ReadBuffer } from "./stdio.ts";

/** Output that must wait longer than this for the last slave of a terminal to close is given up. */
const TERMINAL_DRAIN_MS = 500;
/** A terminal that nobody has open reports its end without pause, and may be opened again. */
const TERMINAL_RETRY_MS = 200;

/** So much output leaves garbage behind. */
const FLOOD_BYTES = 8 * 1024 * 1024;
const LULL_MS = 1_000;

const FRAME_OF: Record<OutputStream, typeof FRAME.STDOUT | typeof FRAME.STDERR> = {
  stdout: FRAME.STDOUT,
  stderr: FRAME.STDERR,
};

/** Who does not keep up with the container. */
export type OutputHolder = "clients" | "log";

export class OutputPump {
  readonly #buffer = new ReadBuffer();
  readonly #pipes: OutputPipe[] = [];
  #terminalInput: InputPipe | undefined;
  readonly #holders = new Set<OutputHolder>();
  #isDraining = false;
  #drainTimer: Timer | undefined;
  #whenDrained = () => {};
  #movedBytes = 0;
  #lullTimer: Timer | undefined;
  #whenLull = () => {};

  /** `send` gets each read as one frame, which is free again when it returns. */
  constructor(
    readonly loop: EventLoop,
    readonly log: LogWriter | undefined,
    readonly send: (type: typeof FRAME.STDOUT | typeof FRAME.STDERR, frame: Uint8Array<ArrayBuffer>) => void,
  ) {}

  /** Takes over a descriptor that must not block. A terminal's is shared with its input. */
  add(fd: number, stream: OutputStream, terminalInput?: InputPipe): void {
    const pipe = new OutputPipe(fd, stream, terminalInput !== undefined);
    this.#terminalInput = terminalInput;
    this.#pipes.push(pipe);
    if (!this.#isHeld) this.#watch(pipe);
  }

  /**
   * Stops reading, so that the container has to wait, and goes on again. A pipe is not even watched
   * meanwhile: its end would be reported again and again.
   */
  hold(held: boolean, holder: OutputHolder = "clients"): void {
    // what is left is moved, whoever has no room for it
    if (held && this.#isDraining) return;
    const wasHeld = this.#isHeld;
    if (held) this.#holders.add(holder);
    else this.#holders.delete(holder);
    if (this.#isHeld === wasHeld) return;
    for (const pipe of this.#pipes) {
      if (!pipe.isOpen) continue;
      if (this.#isHeld) this.loop.unwatch(pipe.fd);
      else this.#watch(pipe);
    }
  }

  /** To be called when the terminal's input has begun or ceased to wait. */
  updateInterest(): void {
    for (const pipe of this.#pipes) if (pipe.isOpen) this.loop.change(pipe.fd, this.#interest(pipe));
  }

  /** Calls `action` whenever a flood of output has ended for the time being. */
  onLull(action: () => void): void {
    this.#whenLull = action;
  }

  /**
   * After the program's end: moves what is left, closes all, and calls `done`.
   *
   * What a program wrote into a pipe before it ended is there to be read at once, so a grandchild that keeps
   * the pipe open delays nothing. A terminal's last bytes may take a moment. @see pty(7)
   */
  drain(done: () => void): void {
    this.#isDraining = true;
    this.#whenDrained = done;
    for (const pipe of this.#pipes) {
      if (!pipe.isOpen) continue;
      // as much as it can hold: a grandchild may be writing on
      for (let left = pipe.capacity(); pipe.isOpen && left > 0;) {
        const moved = this.#move(pipe);
        if (moved === 0) break;
        left -= moved;
      }
    }
    if (this.#pipes.some((pipe) => pipe.isOpen && pipe.isTerminal)) {
      for (const holder of [...this.#holders]) this.hold(false, holder);
      this.#drainTimer = this.loop.after(TERMINAL_DRAIN_MS, () => this.#finish());
    } else this.#finish();
  }

  get #isHeld(): boolean {
    return this.#holders.size > 0;
  }

  #finish(): void {
    this.loop.cancel(this.#drainTimer);
    for (const pipe of this.#pipes) this.#close(pipe);
    const done = this.#whenDrained;
    this.#whenDrained = () => {};
    done();
  }

  #watch(pipe: OutputPipe): void {
    this.loop.watch(pipe.fd, (events) => this.#serve(pipe, events), this.#interest(pipe));
  }

  #interest(pipe: OutputPipe): number {
    return EPOLLIN | (pipe.isTerminal && this.#terminalInput!.isWaiting ? EPOLLOUT : 0);
  }

  #serve(pipe: OutputPipe, events: number): void {
    if (events & EPOLLOUT) this.#terminalInput?.flush();
    if (pipe.isOpen && events & ~EPOLLOUT) this.#move(pipe);
  }

  /** Reads once, logs, sends. Gives how many bytes there were. */
  #move(pipe: OutputPipe): number {
    const count = pipe.read(this.#buffer);
    if (count === -1) return 0;
    if (count === 0) {
      this.#ended(pipe);
      return 0;
    }
    this.#movedBytes += count;
    if (this.#movedBytes > FLOOD_BYTES && this.#lullTimer === undefined) this.#awaitLull();
    this.log?.write(pipe.stream, this.#buffer.content(count));
    this.send(FRAME_OF[pipe.stream], this.#buffer.frame(FRAME_OF[pipe.stream], count));
    return count;
  }

  #awaitLull(): void {
    this.#movedBytes = 0;
    this.#lullTimer = this.loop.after(LULL_MS, () => {
      this.#lullTimer = undefined;
      if (this.#movedBytes > 0) return this.#awaitLull();
      this.#whenLull();
    });
  }

  #ended(pipe: OutputPipe): void {
    if (pipe.isTerminal && !this.#isDraining) {
      this.loop.unwatch(pipe.fd);
      this.loop.after(TERMINAL_RETRY_MS, () => {
        if (pipe.isOpen && !this.#isDraining && !this.#isHeld) this.#watch(pipe);
      });
      return;
    }
    this.#close(pipe);
    if (this.#drainTimer !== undefined && this.#pipes.every((one) => !one.isOpen)) this.#finish();
  }

  #close(pipe: OutputPipe): void {
    if (!pipe.isOpen) return;
    if (pipe.isTerminal) this.#terminalInput?.close();
    this.loop.unwatch(pipe.fd);
    pipe.close();
  }
}
