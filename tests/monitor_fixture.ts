/** A monitor with a plain shell under it instead of a container: for the tests of its loop and protocol. */

import { O_CLOEXEC } from "../ffi/constants/fcntl.ts";
import { POLLIN } from "../ffi/constants/poll.ts";
import { SIGKILL } from "../ffi/constants/signal.ts";
import { SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM } from "../ffi/constants/socket.ts";
import { close, closeAllExcept, flock, open, pipe2, readAsync } from "../ffi/file.ts";
import { forkChild } from "../ffi/fork.ts";
import { openFamilies } from "../ffi/libc.ts";
import { ownStatus } from "../ffi/own_status.ts";
import { pollBlocking } from "../ffi/poll.ts";
import { execve, getpid, kill, pidfd_open, setsid, waitpidAsync } from "../ffi/process.ts";
import { resetSignalDispositions, setSignalMask } from "../ffi/signal.ts";
import { listenUnix, send } from "../ffi/socket.ts";
import { openTerminal, openTerminalPeer } from "../ffi/tty.ts";
import {
  answerInit,
  isLastWord,
  MonitorLink,
  openControl,
  receiveFromInit,
} from "../runtime/init/handshake.ts";
import { openBarrier } from "../runtime/init/spawn.ts";
import { placeStdio } from "../runtime/init/stdio.ts";
import { type BeginContainer, type InitStreams, supervise } from "../runtime/monitor/monitor.ts";
import { type LogPlan, type MonitorPlan, PROTOCOL_VERSION } from "../runtime/monitor/plan.ts";
import type { SessionProcess } from "../runtime/monitor/session.ts";
import type { ReadyMessage } from "../runtime/monitor/records.ts";

export interface FixtureOptions {
  script: string;
  tty?: boolean;
  openStdin?: boolean;
  stdinOnce?: boolean;
  startOnAttach?: boolean;
  log?: LogPlan["driver"];
  maxSize?: number;
  autoRemove?: boolean;
  stopTimeout?: number;
  /** As `--timeout`; `loadSupervision` is the caller's to call. */
  timeoutSeconds?: number;
  /** Fails before there is a program. */
  failSetup?: boolean;
  /** Init is killed before it executes: when it has said that it is ready, or with the word to go unread. */
  dies?: "ready" | "told to go";
}

/** A monitor that lives until its shell has ended, or `dispose`. */
export class MonitorFixture implements AsyncDisposable {
  private constructor(
    readonly plan: MonitorPlan,
    readonly pid: number,
    readonly ready: Promise<ReadyMessage>,
    readonly lockPath: string,
    readonly root: string,
  ) {}

  static start(options: FixtureOptions): MonitorFixture {
    const root = Deno.makeTempDirSync({ prefix: "skiff-monitor-" });
    const containerDir = `${root}/container`;
    Deno.mkdirSync(containerDir);
    const plan = fixturePlan(root, containerDir, options);
    const listen = listenUnix(plan.socketPath, 16, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK);
    const [readyRead, ready] = pipe2(O_CLOEXEC);
    const lockPath = `${containerDir}/lock`;
    Deno.writeTextFileSync(lockPath, "");
    const lock = open(lockPath, 2 | O_CLOEXEC);
    flock(lock, 2 | 4);
    openFamilies("file", "process", "poll", "signal", "socket", "clock", "mount", "credentials");
    const pid = forkChild(() => {
      closeAllExcept([listen, ready, lock]);
      return supervise(plan, { listen, lock, ready }, beginShell(options));
    });
    for (const fd of [listen, ready, lock]) close(fd);
    return new MonitorFixture(plan, pid, readReady(readyRead), lockPath, root);
  }

  /** Resolves when the monitor has gone; gives its exit status. */
  ended(): Promise<number> {
    return this.#ended ??= waitpidAsync(this.pid).then((child) => child.status);
  }
  #ended: Promise<number> | undefined;

  get logText(): string {
    return Deno.readTextFileSync(this.plan.log.path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    let isOver = false;
    const ended = this.ended().then(() => isOver = true);
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 50))]);
    try {
      if (!isOver) kill(this.pid, SIGKILL);
    } catch {
      // reaped at this very moment
    }
    await ended;
    Deno.removeSync(this.root, { recursive: true });
  }
}

function fixturePlan(root: string, containerDir: string, options: FixtureOptions): MonitorPlan {
  return {
    protocol: PROTOCOL_VERSION,
    id: "f".repeat(64),
    name: "fixture",
    containerDir,
    runtimeDir: root,
    socketPath: `${root}/socket`,
    rootfs: { kind: "directory", source: "/", target: `${root}/nowhere` },
    // what the monitor itself looks at
    init: { annex: {} } as MonitorPlan["init"],
    stdio: {
      tty: options.tty ?? false,
      openStdin: options.openStdin ?? false,
      stdinOnce: options.stdinOnce ?? false,
      startOnAttach: options.startOnAttach ?? false,
    },
    log: { driver: options.log ?? "k8s-file", path: `${root}/log`, maxSize: options.maxSize ?? 0 },
    stop: { signal: 15, timeoutSeconds: options.stopTimeout ?? 10 },
    autoRemove: options.autoRemove ?? false,
    events: {
      path: `${root}/events/log`,
      subject: { type: "container", id: "f".repeat(64), name: "fixture", image: "host", attributes: {} },
    },
    removeWith: [],
    trash: `${root}/trash`,
    ...(options.timeoutSeconds && { supervision: { timeoutSeconds: options.timeoutSeconds } }),
  };
}

/** Speaks init's side of the handshake, then becomes a shell. */
function beginShell(options: FixtureOptions): BeginContainer {
  return (_, stdio) => {
    if (options.failSetup) throw new Error("the fixture was told to fail");
    const [control, own] = openControl();
    const pid = forkChild(() =>
      options.dies ? dieReady(own, options.dies === "told to go") : becomeShell(options.script, own, stdio)
    );
    close(own);
    const shell = shellProcess(pid, control);
    if (options.dies === "told to go") answerInit(control, "go");
    if (options.dies) pollBlocking(shell.pidfd, POLLIN, -1);
    return shell;
  };
}

function shellProcess(pid: number, control: number): SessionProcess {
  return {
    pid,
    pidfd: pidfd_open(pid),
    control,
    receive: () => {
      const message = receiveFromInit(control, "/bin/sh");
      if (message.kind === "map-ids") throw new Error("unexpected");
      if (isLastWord(message)) close(control);
      return message;
    },
    openBarrier: () => openBarrier({ control }),
  };
}

function becomeShell(script: string, control: number, stdio: InitStreams): never {
  closeAllExcept([control, ...(stdio === "terminal" ? [] : Object.values(stdio))]);
  const link = new MonitorLink(control);
  setSignalMask([]);
  resetSignalDispositions(ownStatus().ignoredSignals);
  setsid();
  if (stdio === "terminal") {
    const { master } = openTerminal("/dev/ptmx");
    const terminal = openTerminalPeer(master);
    link.sendConsole(master);
    close(master);
    placeStdio(stdio, terminal);
  } else placeStdio(stdio, undefined);
  link.reportReady();
  execve("/bin/sh", ["sh", "-c", script], ["PATH=/usr/bin:/bin", "LC_ALL=C"]);
}

/** Says that it is ready and is killed; `isTold`: when a word of the monitor's has come, which it does not read. */
function dieReady(control: number, isTold: boolean): number {
  send(control, new TextEncoder().encode("R"));
  if (isTold) pollBlocking(control, POLLIN, -1);
  kill(getpid(), SIGKILL);
  return 1;
}

async function readReady(fd: number): Promise<ReadyMessage> {
  let text = "";
  const buffer = new Uint8Array(4096);
  for (;;) {
    const count = await readAsync(fd, buffer);
    if (count === 0) break;
    text += new TextDecoder().decode(buffer.subarray(0, count));
  }
  close(fd);
  return JSON.parse(text);
}

/** Collects what an attached client gets. */
export class Collected {
  text = "";
  bytes = 0;
  readonly #waiters = new Set<() => void>();
  readonly #decoder = new TextDecoder();

  readonly sink = (piece: Uint8Array): void => {
    this.bytes += piece.length;
    this.text += this.#decoder.decode(piece, { stream: true });
    for (const wake of this.#waiters) wake();
  };

  /** Resolves when the text so far matches. */
  async until(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.text)) {
      await new Promise<void>((resolve) => {
        const wake = () => {
          this.#waiters.delete(wake);
          resolve();
        };
        this.#waiters.add(wake);
      });
    }
  }
}

/** Input that a test types. */
export class Typed {
  readonly #pieces: (Uint8Array | null)[] = [];
  #wake: (() => void) | undefined;

  type(text: string): void {
    this.#push(new TextEncoder().encode(text));
  }

  end(): void {
    this.#push(null);
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    while (this.#pieces.length === 0) await new Promise<void>((resolve) => this.#wake = resolve);
    const piece = this.#pieces.shift()!;
    if (piece === null) return null;
    buffer.set(piece);
    return piece.length;
  }

  #push(piece: Uint8Array | null): void {
    this.#pieces.push(piece);
    this.#wake?.();
    this.#wake = undefined;
  }
}
