/**
 * One program under a monitor, from its barrier to its last byte of output. A container's monitor and an
 * exec session's are this, with different beginnings and ends.
 *
 * ```
 *  setting up ─init is ready─▶ waiting ─at once, or first attach─▶ starting ─execve worked─▶ running ─▶ ended
 *      └──────────────────────────┴── init failed or died, or the parent has gone ──────────────────────▲
 * ```
 */

import {
  SFD_CLOEXEC,
  SFD_NONBLOCK,
  SIGCHLD,
  SIGHUP,
  SIGINT,
  SIGKILL,
  SIGQUIT,
  SIGTERM,
  SIGUSR1,
  SIGUSR2,
} from "../../ffi/constants/signal.ts";
import { EAGAIN, EPIPE, isErrno } from "../../ffi/errno.ts";
import { close, read, setNonblocking, writeAll } from "../../ffi/file.ts";
import { pidfd_send_signal, reapChild } from "../../ffi/process.ts";
import { setSignalMask, signalfd } from "../../ffi/signal.ts";
import { setWindowSize } from "../../ffi/tty.ts";
import { SkiffError } from "../errors.ts";
import { answerInit, describeSetupFailure, type InitMessage } from "../init/handshake.ts";
import { setupExitCode } from "./exit_code.ts";
import { nowText } from "./log_clock.ts";
import type { PortChange } from "./held_ports.ts";
import type { LogWriter } from "./log_writer.ts";
import { EventLoop } from "./loop.ts";
import { releaseMemory } from "./memory.ts";
import { OutputPump } from "./output_pump.ts";
import { type ExitRecord, PROTOCOL_VERSION, type SetupFailure, type StdioPlan } from "./plan.ts";
import { encodeJsonFrame, FRAME, type WindowSize } from "./protocol.ts";
import type { ReadyMessage } from "./records.ts";
import { type Control, Server } from "./server.ts";
import { InputPipe, type Pipes } from "./stdio.ts";

/** The program's process, forked and setting itself up. Its descriptors are the session's from here on. */
export interface SessionProcess {
  pid: number;
  pidfd: number;
  /** Readable when `receive` has something to say. */
  control: number;
  /** Its next word; the last (see `isLastWord`) closes `control`. */
  receive(): Exclude<InitMessage, { kind: "map-ids" }>;
  /** Lets it execute the program; false where it has died. Absent where it does so at once. */
  openBarrier?(): boolean;
  /** Absent where a terminal comes by a message, and with the log driver passthrough. */
  pipes?: Pipes;
  /** Another child of this process has ended. */
  onChildEnded?(pid: number): void;
}

export interface SessionOptions {
  listen: number;
  /** The parent's pipe: told once whether the program runs. -1: there is nobody to tell any more. */
  ready: number;
  stdio: StdioPlan;
  stop: { signal: number; timeoutSeconds: number };
  log: LogWriter | undefined;
  /** Takes what slow clients have not read yet. */
  spillFolder: string;
  /** What the answer to a client tells about the program. */
  describe(): Record<string, unknown>;
  /** Init gives the descriptor of its network interface or namespace, owned from here on. */
  onNetwork?(descriptor: number): void;
  /** Init gives its network namespace and a netlink socket of it, owned from here on. */
  onNamespace?(netns: number, netlink: number): void;
  /** Lets the program start when its network is there; absent: at once. */
  awaitNetwork?(go: () => void, fail: (error: unknown) => void): void;
  /** Init has mounted everything, and waits until hooks have run; absent: there are none. */
  onHooks?(done: (error?: unknown) => void): void;
  /** Before anybody is told that the program runs. */
  onStarted?(done: () => void): void;
  /** A child of the monitor has ended that is not the program. */
  onChildEnded?(pid: number, status: number): void;
  /** Init has set itself up and waits to be let go. */
  onReady?(mountNamespace: string | undefined): void;
  /** The program has ended; what it wrote may still be unread. */
  onExited?(): void;
  /** execve has worked. */
  onRunning(startedAt: string): void;
  /** Somebody asks for its end, perhaps once more; `keep`: its files are still needed. */
  onStopAsked(keep: boolean): void;
  /** The monitor itself is asked to end. */
  onTerminated(): void;
  /** A client asks for a health check. */
  onHealthAsked(): void;
  /** A client has changed what looks after the program. */
  onSupervisionAsked?(fd: number): void;
  /** A client has ports published or not any more; `fds` are the receiver's, who throws or calls `done`. */
  onPortsAsked?(change: PortChange, fds: readonly number[], done: (error?: unknown) => void): void;
  /** It was asked to stop. */
  onStopping(): void;
  /** It is over and all output is logged; clients are told after this, and that which it gives where it gives one. */
  onEnd(record: ExitRecord): ExitRecord | void;
  /** Who waited for the end is told of it. */
  onTold?(): void;
  /** Whether it is to run again, when it has ended. */
  restarts?(): boolean;
  /** Clients have still to read: let go of all that the container held. Gives how long they may take, in ms. */
  onLinger(): number;
}

/** How long a foreground start waits for its client once the parent has gone. */
const ABANDONED_MS = 10_000;
/** How long the output of a foreground start that has ended waits for its client. */
const LATE_CLIENT_MS = 5_000;
/** A program that has run for so long may run for longer, and a burst of starts is over: time to look after memory. */
const SETTLED_MS = 2_000;

/** How long clients may take to read the rest when everything else is over. */
export const LINGER_MS = 600_000;

/** Of these, SIGTERM, SIGINT and SIGQUIT stop the container; the others are taken and change nothing. */
const HANDLED_SIGNALS = [SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2];
const STOP_SIGNALS: readonly number[] = [SIGTERM, SIGINT, SIGQUIT];
const SIGNALFD_INFO_BYTES = 128;
const CTRL_C = 3;

/** Blocks what the session's signalfd takes. To be called before the program is forked. */
export function blockSessionSignals(): void {
  setSignalMask(HANDLED_SIGNALS);
}

export class Session implements Control {
  readonly loop = new EventLoop();
  readonly #options: SessionOptions;
  readonly #server: Server;
  readonly #pump: OutputPump;
  #process: SessionProcess | undefined;
  #input: InputPipe | undefined;
  #terminal = -1;
  #size: WindowSize | undefined;
  #failure: SetupFailure | undefined;
  #isReady = false;
  /** Init has said its last word. */
  #hasSpoken = false;
  #mayStart: boolean;
  #hasGone = false;
  #startedAt = "";
  /** Init waits for what is run outside of the container. */
  #runsHooks = false;
  #isStopping = false;
  #exitCode: number | undefined;
  #hasAnsweredParent = false;
  #signals = -1;
  /** What is done when the client of a foreground start has come. */
  #whenAttached: (() => void) | undefined;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#mayStart = !options.stdio.startOnAttach;
    this.#size = options.stdio.size;
    this.#server = new Server(this.loop, options.listen, this, options.spillFolder);
    this.#pump = new OutputPump(this.loop, options.log, (type, frame) => this.#server.output(type, frame));
    options.log?.follow?.({ loop: this.loop, hold: (held) => this.#pump.hold(held, "log") });
    // The first client of a foreground start gets the output from its first byte on.
    this.#pump.hold(this.#isClientMissing);
  }

  /** Takes the program over and serves it to its end. Returns when every client has read what is its. */
  runBlocking(process: SessionProcess): void {
    this.#process = process;
    this.#hasGone = process.openBarrier === undefined;
    const { pipes } = process;
    if (pipes !== undefined) {
      if (pipes.stdin !== -1) this.#input = this.#makeInput(pipes.stdin, false);
      this.#pump.add(pipes.stdout, "stdout");
      this.#pump.add(pipes.stderr, "stderr");
    }
    this.loop.watch(process.control, () => this.#hearInit());
    const signals = signalfd(HANDLED_SIGNALS, SFD_NONBLOCK | SFD_CLOEXEC);
    this.#signals = signals;
    this.loop.watch(signals, () => this.#takeSignals(signals));
    if (this.#isClientMissing) this.#watchParent();
    this.loop.runBlocking();
  }

  /** Tells a failure from before there was a program to the parent, and to the client that it sends. */
  failBlocking(failure: SetupFailure): void {
    this.#failure = failure;
    this.#answerParent({ ok: false, failure });
    this.#withClient(() => this.#end(125));
    this.loop.runBlocking();
  }

  status(): Record<string, unknown> {
    return this.#options.describe();
  }

  start(): void {
    if (this.#startedAt !== "") this.#server.answer("start", this.#okPayload());
    else this.#letStart();
  }

  checkHealth(): void {
    this.#options.onHealthAsked();
  }

  get changeSupervision(): SessionOptions["onSupervisionAsked"] {
    return this.#options.onSupervisionAsked;
  }

  get changePorts(): SessionOptions["onPortsAsked"] {
    return this.#options.onPortsAsked;
  }

  /** Tells who waits for a health check how it went. */
  answerHealth(payload: Record<string, unknown>): void {
    this.#server.answer("health", payload);
  }

  /** Lets go of what the loop holds, for the next session on the same socket. */
  dispose(): void {
    this.#server.dispose();
    if (this.#signals !== -1) close(this.#signals);
    this.loop.dispose();
  }

  /** A client's signal. @throws {SkiffError} where the program has ended or the signal is refused */
  signal(signal: number): void {
    if (this.#runsHooks && STOP_SIGNALS.includes(signal)) return this.#giveUp(signal);
    // as docker and podman count it: who sends one of these wants it to end
    if (signal === SIGKILL || signal === this.#options.stop.signal) this.#options.onStopAsked(false);
    this.send(signal);
  }

  /** There is no program yet that a signal could mean something to, and a hook may hang. */
  #giveUp(signal: number): void {
    this.#failure ??= {
      stage: "run hooks",
      errno: 0,
      syscall: "",
      path: "",
      message: `run hooks: ended by signal ${signal} before the program ran`,
      exitCode: 128 + signal,
    };
    this.#options.onStopAsked(false);
    this.kill();
  }

  /** @throws {SkiffError} where the program has ended or the signal is refused */
  send(signal: number): void {
    if (this.#process === undefined || this.#exitCode !== undefined) {
      throw new SkiffError("send signal: the container is not running");
    }
    try {
      pidfd_send_signal(this.#process.pidfd, signal);
    } catch (error) {
      throw new SkiffError(`send signal ${signal}: ${(error as Error).message}`, { cause: error });
    }
  }

  /** Sends SIGKILL unless it has ended: for who finds out late, as timers do while clients still read. */
  kill(): void {
    if (this.#exitCode === undefined) this.send(SIGKILL);
  }

  /** Sends the stop signal, and SIGKILL after the timeout; a negative timeout waits for ever. */
  stop(
    signal: number = this.#options.stop.signal,
    timeoutSeconds: number = this.#options.stop.timeoutSeconds,
    keep = false,
  ): void {
    if (this.#exitCode !== undefined) return;
    this.#options.onStopAsked(keep);
    this.#stop(signal, timeoutSeconds);
  }

  /** Stops it, which is nobody's wish to have it stopped. */
  stopForRestart(): void {
    if (this.#exitCode === undefined) {
      this.#stop(this.#options.stop.signal, this.#options.stop.timeoutSeconds);
    }
  }

  /** A signal to the monitor: the machine or its session ends. */
  #terminate(): void {
    if (this.#exitCode !== undefined) return;
    this.#options.onTerminated();
    this.#stop(this.#options.stop.signal, this.#options.stop.timeoutSeconds);
  }

  #stop(signal: number, timeoutSeconds: number): void {
    // Before execve there is nobody to handle a signal.
    this.send(this.#startedAt === "" ? SIGKILL : signal);
    if (!this.#isStopping) this.#options.onStopping();
    this.#isStopping = true;
    if (timeoutSeconds < 0) return;
    this.loop.after(timeoutSeconds * 1000, () => this.kill());
  }

  resize(size: WindowSize): void {
    this.#size = size;
    if (this.#terminal !== -1 && this.#exitCode === undefined) {
      setWindowSize(this.#terminal, size.rows, size.cols);
    }
  }

  writeStdin(bytes: Uint8Array): void {
    // nobody has the terminal yet, which would make a signal of it
    if (this.#runsHooks && this.#options.stdio.tty && bytes.includes(CTRL_C)) return this.#giveUp(SIGINT);
    this.#input?.write(bytes);
  }

  isStdinFull(): boolean {
    return this.#input?.isFull ?? false;
  }

  stdinEnded(): void {
    if (this.#options.stdio.stdinOnce) this.#input?.end();
  }

  attached(first: boolean): void {
    if (!first) return;
    this.#pump.hold(false);
    this.#letStart();
    const waiting = this.#whenAttached;
    this.#whenAttached = undefined;
    waiting?.();
  }

  holdOutput(held: boolean): void {
    if (this.#exitCode === undefined) this.#pump.hold(held);
  }

  #makeInput(fd: number, isTerminal: boolean): InputPipe {
    const drained = () => this.#server.resumeStdin();
    return new InputPipe(this.loop, fd, isTerminal, drained, () => this.#pump.updateInterest());
  }

  /** A foreground start whose command died before it attached is given up. */
  #watchParent(): void {
    const { ready } = this.#options;
    // hangs up when the reader is gone: it may have died before this monitor looked for the first time
    this.loop.watch(ready, () => {
      this.loop.unwatch(ready);
      this.loop.after(ABANDONED_MS, () => {
        if (this.#isClientMissing) this.kill();
      });
    }, 0);
  }

  get #isClientMissing(): boolean {
    return this.#options.stdio.startOnAttach && !this.#server.wasAttached;
  }

  /** Does it now, or when the client of a foreground start has come, or not come in time. */
  #withClient(action: () => void): void {
    if (!this.#isClientMissing) return action();
    this.#whenAttached = action;
    this.loop.after(LATE_CLIENT_MS, () => {
      if (this.#whenAttached === action) action();
    });
  }

  #letStart(): void {
    this.#mayStart = true;
    if (!this.#isReady || this.#hasGone || this.#exitCode !== undefined) return;
    this.#hasGone = this.#process!.openBarrier!();
  }

  #hearInit(): void {
    const message = this.#process!.receive();
    switch (message.kind) {
      case "console":
        return this.#takeTerminal(message.master);
      case "network":
        if (this.#options.onNetwork) this.#options.onNetwork(message.descriptor);
        else close(message.descriptor);
        return;
      case "namespace":
        return this.#options.onNamespace?.(message.netns, message.netlink);
      case "hooks":
        return this.#runHooks();
      case "ready":
        this.#options.onReady?.(message.mountNamespace);
        return this.#awaitNetwork();
      case "failure":
        this.#failure = message.failure;
        break;
      case "executed":
        // An init that dies closes its end as well; only one that was let go can have executed.
        if (this.#hasGone) this.#startedAt = nowText();
    }
    this.loop.forget(this.#process!.control);
    this.#hasSpoken = true;
    if (this.#startedAt === "" || this.#exitCode !== undefined) return;
    this.#options.onRunning(this.#startedAt);
    this.loop.after(SETTLED_MS, () => this.#settle());
    const tell = () => {
      this.#answerParent({ ok: true, initPid: this.#process!.pid });
      this.#server.answer("start", this.#okPayload());
    };
    if (this.#options.onStarted) this.#options.onStarted(tell);
    else tell();
  }

  #runHooks(): void {
    if (this.#exitCode !== undefined) return;
    this.#runsHooks = true;
    this.#options.onHooks?.((error) => {
      this.#runsHooks = false;
      // what killed init is told already
      if (this.#exitCode !== undefined || this.#hasSpoken) return;
      if (error === undefined) return this.#answerHooks();
      this.#failure ??= describeSetupFailure("run hooks", error);
      this.kill();
    });
  }

  #answerHooks(): void {
    try {
      answerInit(this.#process!.control, "hooked");
    } catch (error) {
      // it has died, which is heard of next
      if (!isErrno(error, EPIPE)) throw error;
    }
  }

  #awaitNetwork(): void {
    const go = () => {
      this.#isReady = true;
      if (this.#mayStart) this.#letStart();
    };
    if (!this.#options.awaitNetwork) return go();
    this.#options.awaitNetwork(go, (error) => {
      this.#failure ??= describeSetupFailure("start the network", error);
      this.kill();
    });
  }

  #takeTerminal(master: number): void {
    setNonblocking(master);
    this.#terminal = master;
    this.#input = this.#makeInput(master, true);
    this.#pump.add(master, "stdout", this.#input);
    if (this.#size !== undefined) this.resize(this.#size);
  }

  #takeSignals(signals: number): void {
    // Each can wait once, so that one read takes them all.
    const infos = new Uint8Array(HANDLED_SIGNALS.length * SIGNALFD_INFO_BYTES);
    const taken: number[] = [];
    try {
      const length = read(signals, infos);
      // struct signalfd_siginfo begins with the number.
      for (let at = 0; at < length; at += SIGNALFD_INFO_BYTES) taken.push(infos[at]!);
    } catch (error) {
      if (!isErrno(error, EAGAIN)) throw error;
    }
    // first: at a shutdown the program gets its signal at the same moment, and is not to be started again
    if (taken.some((signal) => STOP_SIGNALS.includes(signal))) this.#terminate();
    if (taken.includes(SIGCHLD)) this.#reap();
  }

  #reap(): void {
    for (let ended = reapChild(); ended; ended = reapChild()) {
      if (ended.pid === this.#process!.pid) this.#exited(ended.status);
      else this.#options.onChildEnded?.(ended.pid, ended.status);
    }
  }

  #exited(exitCode: number): void {
    this.#exitCode = exitCode;
    this.#options.onExited?.();
    // What init said before it ended is still to be heard, up to the end of the socket.
    while (!this.#hasSpoken) this.#hearInit();
    this.#withClient(() =>
      this.#pump.drain(() => {
        this.#input?.close();
        this.#end(exitCode);
      })
    );
  }

  #end(exitCode: number): void {
    const failure = this.#failure ?? (this.#startedAt === "" ? killedInSetup(exitCode) : undefined);
    this.#options.log?.close();
    const record: ExitRecord = {
      version: PROTOCOL_VERSION,
      exitCode: this.#failure === undefined ? exitCode : setupExitCode(this.#failure),
      error: failure?.message ?? "",
      startedAt: this.#startedAt,
      finishedAt: nowText(),
      oomKilled: false,
    };
    const instead = this.#options.onEnd(record);
    const initPid = this.#process?.pid ?? 0;
    this.#answerParent(failure === undefined ? { ok: true, initPid } : { ok: false, failure });
    const last = instead || failure === undefined
      ? encodeJsonFrame(FRAME.EXIT, instead ?? record)
      : encodeJsonFrame(FRAME.ERROR, { message: failure.message, failure });
    this.#server.end(last, !this.#options.restarts?.(), () => this.loop.stop());
    this.#options.onTold?.();
    if (this.#server.isEmpty) return;
    this.loop.after(this.#options.onLinger(), () => this.loop.stop());
  }

  /** Gives memory back when the start is over, and after each flood of output. */
  #settle(): void {
    releaseMemory();
    this.#pump.onLull(() => releaseMemory());
  }

  #okPayload(): Record<string, unknown> {
    return { version: PROTOCOL_VERSION, ...this.status() };
  }

  #answerParent(message: ReadyMessage): void {
    if (this.#hasAnsweredParent || this.#options.ready === -1) return;
    this.#hasAnsweredParent = true;
    this.loop.unwatch(this.#options.ready);
    try {
      writeAll(this.#options.ready, new TextEncoder().encode(JSON.stringify(message)));
    } catch {
      // The parent does not listen any more; the records in the folder tell as much.
    }
    close(this.#options.ready);
  }
}

function killedInSetup(exitCode: number): SetupFailure {
  const how = exitCode > 128 ? `was killed by signal ${exitCode - 128}` : `ended with status ${exitCode}`;
  return {
    stage: "set up",
    errno: 0,
    syscall: "",
    path: "",
    message: `the container ${how} before its program ran`,
  };
}
