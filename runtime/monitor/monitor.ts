/**
 * The monitor of one container: a forked copy of the command, alone with its container until that ends.
 *
 * The order of work is the budget of `run`: what execve needs comes first, the rest while init sets itself up.
 */

import {
  LOCK_UN,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_PATH,
  O_TRUNC,
  O_WRONLY,
} from "../../ffi/constants/fcntl.ts";
import { MNT_DETACH } from "../../ffi/constants/mount.ts";
import { PR_SET_PDEATHSIG } from "../../ffi/constants/prctl.ts";
import { SIGKILL } from "../../ffi/constants/signal.ts";
import { close, closeAllExcept, Fd, flock, open, writeAll } from "../../ffi/file.ts";
import { umount2 } from "../../ffi/mount.ts";
import { _exit, chdir, getpid, getppid, kill, prctl, setsid } from "../../ffi/process.ts";
import { setProcessTitle } from "../../ffi/process_title.ts";
import { forbidOtherDevices } from "../init/devices.ts";
import { describeSetupFailure } from "../init/handshake.ts";
import { adoptEarlyInit, type EarlyInit, openBarrier, receiveInitMessage, spawnInit } from "../init/spawn.ts";
import { openNetwork } from "../network/open_network.ts";
import type { MonitorNetwork, NetworkLoop } from "../network/monitor_network.ts";
import { leaveUserNamespace, type Membership } from "../namespaces/user_namespace.ts";
import { performRootfs } from "../rootfs/perform.ts";
import { startAtEnd } from "./at_end.ts";
import { FaultLog, FAULTS_FILE } from "./faults.ts";
import { HeldPorts, type PortChange } from "./held_ports.ts";
import { killLeftProcesses } from "./left_processes.ts";
import { SkiffError } from "../errors.ts";
import { openLogWriter } from "./log_writer.ts";
import { openIdMapped, openLockedBinds, openRuntimeHooks } from "./lazy_code.ts";
import { EventLoop, type Timer } from "./loop.ts";
import { releaseMemory } from "./memory.ts";
import { type ExitRecord, type MonitorPlan, PROTOCOL_VERSION, type StateRecord } from "./plan.ts";
import {
  bootId,
  processStartTime,
  readName,
  removeRecord,
  removeRecords,
  writeExit,
  writeState,
} from "./records.ts";
import {
  blockSessionSignals,
  LINGER_MS,
  Session,
  type SessionOptions,
  type SessionProcess,
} from "./session.ts";
import { SocketFile } from "./socket_file.ts";
import { appendEvents, type NewEvent } from "../spec/event.ts";
import { forbidCoreDump } from "./core_dump.ts";
import type { Supervisor } from "./supervision.ts";
import {
  closeChildEnds,
  detachStandardStreams,
  keepStandardStreams,
  makePipes,
  type Pipes,
} from "./stdio.ts";

/** Clients of a run that is over must not keep the next one waiting. */
const RESTART_LINGER_MS = 5_000;

let supervision: typeof import("./supervision.ts") | undefined;

/** To be called before the fork of a monitor whose plan has `supervision`. */
export async function loadSupervision(): Promise<void> {
  supervision ??= await import("./supervision.ts");
}

/** Whether a monitor that is forked now can look after its container. */
export function hasSupervision(): boolean {
  return supervision !== undefined;
}

/** What the monitor inherits; it closes everything else. */
export interface MonitorFds {
  /** The listening socket at `plan.socketPath`. */
  listen: number;
  /** The container's lock file, locked: that it is held says that this monitor lives. */
  lock: number;
  /** The writing end of a pipe to the parent, for one ReadyMessage. */
  ready: number;
  /** Those that the plan passes on to the program. */
  passed?: number[];
  /** The sockets of `plan.ports`. */
  ports?: number[];
}

/** Where it stands: in the user's namespace and a mount namespace of its own. */
export interface MonitorGround {
  membership: Membership | undefined;
  /** An init that was forked ahead of the plan, which it suits (see `isOrdinary`). */
  init?: EarlyInit;
  /** Real root without a user namespace. */
  isPrivileged: boolean;
}

/** Starts the container's init in the right namespaces. Throws a StageError. */
export type BeginContainer = (plan: MonitorPlan, stdio: InitStreams) => SessionProcess;

/** What init gets for its standard streams. */
export type InitStreams = { stdin: number; stdout: number; stderr: number } | "terminal";

/**
 * Runs a container from here to its end, and ends this process. To be called in a forked child.
 *
 * Whatever fails is told to the parent and to the clients, and recorded.
 */
export function runMonitor(plan: MonitorPlan, ground: MonitorGround, fds: MonitorFds): never {
  const { membership, init: early, isPrivileged } = ground;
  closeAllExcept([
    fds.listen,
    fds.lock,
    fds.ready,
    ...(fds.passed ?? []),
    ...(fds.ports ?? []),
    ...(membership ? [membership.lockFd] : []),
    ...(early ? [early.pidfd, early.control] : []),
  ]);
  if (plan.parentPid !== undefined) {
    // the ids, whose change would clear it, stay from here on
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() !== plan.parentPid) _exit(125);
  }
  const isNested = plan.init.annex.nestedUserns !== undefined;
  let isMounted = false;
  let idMapped: ReturnType<ReturnType<typeof openIdMapped>> | undefined;
  const mountRoot = () => {
    const user = { root: plan.rootfs.target, user: plan.init.annex.user, isPrivileged };
    // where it is started again, it is still there
    if (isMounted) return plan.idMapped && idMapped?.renewIdMapped(plan.idMapped, user);
    inStage("mount the root filesystem", () => {
      for (const root of [plan.rootfs, ...(plan.mountRoots ?? [])]) performRootfs(root);
      if (plan.idMapped) {
        idMapped = openIdMapped()();
        idMapped.mountIdMapped(plan.idMapped, user);
      }
      if (isPrivileged && isNested) lockMounts(plan);
    });
    isMounted = true;
  };
  const begin: BeginContainer = (_, stdio) => {
    // taken out: a later run has none
    const passed = fds.passed?.splice(0);
    const options = {
      rootTarget: plan.rootfs.target,
      stdio,
      isPrivileged: isPrivileged && !isNested,
      windowSize: plan.stdio.size,
      passed: passed?.map((fd, at) => ({ fd, as: plan.passedFds![at]! })),
    };
    const init = early
      ? adoptEarlyInit(early, plan.init, options, mountRoot)
      : (mountRoot(), inStage("fork init", () => spawnInit(plan.init, options)));
    passed?.forEach(close);
    const { pid, pidfd, control } = init;
    return {
      pid,
      pidfd,
      control,
      receive: () => receiveInitMessage(init),
      openBarrier: () => openBarrier(init),
      onChildEnded: (child) => idMapped?.endServedBy(child),
    };
  };
  return supervise(plan, fds, begin, () => leaveUserNamespace(membership));
}

/**
 * As real root the layers hold the device nodes of the image, which the kernel opens for who is in a user namespace as
 * well, and so may what is mounted. From outside of that namespace, so that nobody in it can allow them again.
 */
function lockMounts({ rootfs, mountRoots = [], idMapped = [], containerDir, init }: MonitorPlan): void {
  using root = new Fd(open(rootfs.target, O_PATH | O_DIRECTORY | O_CLOEXEC));
  forbidOtherDevices(root.number);
  const own = new Set([...mountRoots, ...idMapped].map(({ target }) => target));
  openLockedBinds()().lockBinds(init.spec.mounts, lockedPlace(containerDir), own);
}

/** Where `lockMounts` mounts; nothing is there of a container without a user namespace of its own. */
function lockedPlace(containerDir: string): string {
  return `${containerDir}/binds`;
}

/**
 * The monitor but for how its container begins: `begin` starts it, `leave` is the last thing done.
 *
 * @internal for the tests of the loop
 */
export function supervise(
  plan: MonitorPlan,
  fds: Pick<MonitorFds, "listen" | "lock" | "ready" | "ports">,
  begin: BeginContainer,
  leave: () => void = () => {},
): never {
  const monitor = new ContainerMonitor(plan, fds);
  try {
    monitor.runBlocking(begin);
    leave();
  } catch (error) {
    monitor.reportLoss(error);
    _exit(125);
  }
  _exit(0);
}

class ContainerMonitor {
  readonly #plan: MonitorPlan;
  /** `ready` is -1 when the parent was told. */
  readonly #fds: Pick<MonitorFds, "listen" | "lock" | "ready">;
  readonly #ports: HeldPorts;
  readonly #socket: SocketFile;
  readonly #faults: FaultLog;
  #network: MonitorNetwork | undefined;
  #state: StateRecord | undefined;
  #process: SessionProcess | undefined;
  /** It is to be started again, though it is `--rm`. */
  #keepsFiles = false;
  #isStoppedByHand = false;
  #supervisor: Supervisor | undefined;
  /** How it has ended, where it is to run again. */
  #restartsAfter: ExitRecord | undefined;
  /** The same, as it is recorded where somebody stops it before it runs again. */
  #lastEnded: ExitRecord | undefined;

  /** Folders that are out of sight, and still to be removed. */
  readonly #trash: string[] = [];
  /** Of a container without a pid namespace of its own. */
  #mountNamespace: string | undefined;
  /** As the last event told it. */
  #name: string | undefined;
  #hooks: import("./runtime_hooks.ts").RuntimeHooks | undefined;
  /** The caller's standard streams, for the runs after the first where they are the log (passthrough). */
  #callerStreams: Exclude<InitStreams, "terminal"> | undefined;

  constructor(plan: MonitorPlan, fds: Pick<MonitorFds, "listen" | "lock" | "ready" | "ports">) {
    this.#plan = plan;
    this.#fds = { ...fds };
    this.#ports = new HeldPorts(plan.ports, fds.ports);
    this.#socket = new SocketFile(plan.socketPath);
    this.#faults = new FaultLog(plan.containerDir);
    if (plan.init.annex.bundle) this.#hooks = new (openRuntimeHooks()()).RuntimeHooks(plan.init);
  }

  /** The container's runs: one, or with supervision as many as are asked for. */
  runBlocking(begin: BeginContainer): void {
    const plan = this.#plan;
    setsid();
    // the caller's folder may be on a disk that he wants to unmount
    chdir("/");
    blockSessionSignals();
    removeRecords(plan.containerDir);
    removeRecord(`${plan.containerDir}/${FAULTS_FILE}`);
    if (plan.supervision && supervision) {
      this.#supervisor = new supervision.Supervisor(plan, (event) => this.#recordEvents(event));
    }
    for (;;) {
      this.#runOnceBlocking(begin);
      const ended = this.#restartsAfter;
      if (ended === undefined) return;
      this.#restartsAfter = undefined;
      this.#fds.ready = -1;
      this.#lastEnded = { ...ended, stoppedByHand: true };
      const give = () => this.#endBetween();
      if (!this.#supervisor!.waitBlocking(this.#fds.listen, () => this.#describe(), give)) {
        return this.#emptyTrash();
      }
      this.#recordEvents({ action: "restart" });
    }
  }

  #runOnceBlocking(begin: BeginContainer): void {
    const plan = this.#plan;
    this.#process = undefined;
    let session: Session;
    try {
      const pipes = plan.stdio.tty || plan.log.driver === "passthrough" ? undefined : makePipes(plan.stdio);
      this.#process = begin(plan, this.#callerStreams ?? streams(plan, pipes));
      if (pipes !== undefined) {
        closeChildEnds(pipes);
        this.#process.pipes = pipes;
      }
      // From here on init works beside us.
      session = this.#makeSession(true);
      this.#openNetwork(session);
      if (plan.log.driver === "passthrough" && this.#supervisor) {
        this.#callerStreams ??= keepStandardStreams();
      }
      detachStandardStreams();
      forbidCoreDump();
      setProcessTitle(`skiff: ${plan.name}`);
      writePidFile(plan.pidFile, this.#process.pid);
      writePidFile(plan.conmonPidFile, getpid());
    } catch (error) {
      if (this.#process !== undefined) kill(this.#process.pid, SIGKILL);
      const failure = error instanceof StageError
        ? describeSetupFailure(error.stage, error.cause)
        : describeSetupFailure("start the monitor", error);
      session = this.#makeSession(false);
      session.failBlocking(failure);
      return this.#restartsAfter && session.dispose();
    }
    session.runBlocking(this.#process);
    this.#withNetwork((network) => network.release?.());
    this.#network = undefined;
    if (this.#restartsAfter) session.dispose();
  }

  /** Writes down what no code expected, so that the next command can tell it. */
  reportLoss(error: unknown): void {
    try {
      if (this.#process !== undefined) kill(this.#process.pid, SIGKILL);
    } catch {
      // it has ended by itself
    }
    try {
      const at = new Date().toISOString();
      writeExit(this.#plan.containerDir, {
        version: PROTOCOL_VERSION,
        exitCode: 125,
        error: `monitor: ${error instanceof Error ? error.message : String(error)}`,
        startedAt: this.#state?.startedAt ?? at,
        finishedAt: at,
        oomKilled: false,
      });
      this.#socket.remove();
    } catch {
      // The next command finds the lock free and draws its conclusion.
    }
  }

  #makeSession(withLog: boolean): Session {
    const plan = this.#plan;
    const isFirst = this.#fds.ready !== -1;
    const session: Session = new Session({
      listen: this.#fds.listen,
      ready: this.#fds.ready,
      stdio: isFirst ? plan.stdio : { ...plan.stdio, startOnAttach: false, stdinOnce: false },
      stop: plan.stop,
      log: withLog ? openLogWriter(plan.log) : undefined,
      spillFolder: plan.containerDir,
      describe: () => this.#describe(),
      onRunning: (startedAt) => {
        this.#writeState("running", startedAt);
        this.#recordEvents({ action: "init" }, { action: "start" });
        this.#supervisor?.started(session, this.#state!);
      },
      onStopAsked: (keep) => {
        this.#keepsFiles ||= keep;
        this.#isStoppedByHand = true;
        this.#supervisor?.stopAsked();
      },
      onTerminated: () => this.#supervisor?.stopAsked(),
      onHealthAsked: () => {
        if (!this.#supervisor) throw new SkiffError("run health check: the container has none");
        this.#supervisor.checkHealth();
      },
      onSupervisionAsked: this.#supervisor && ((fd) => this.#supervisor!.change(fd, session)),
      onPortsAsked: this.#plan.network && ((change, fds, done) => this.#changePorts(change, fds, done)),
      onStopping: () =>
        this.#state && this.#tryWrite(() => this.#writeState("stopping", this.#state!.startedAt)),
      onNetwork: (descriptor) =>
        this.#network ? this.#withNetwork((network) => network.take(descriptor)) : close(descriptor),
      onNamespace: (netns, netlink) => this.#withNetwork((served) => served.takeNamespace?.(netns, netlink)),
      awaitNetwork: (go, fail) => this.#network ? this.#network.letStart(go, fail) : go(),
      ...this.#hooks && this.#hookHandlers(this.#hooks, () => session.loop),
      onChildEnded: (pid, status) => this.#childEnded(pid, status),
      onReady: (mountNamespace) => this.#mountNamespace = mountNamespace,
      onExited: () => {
        this.#withNetwork((network) => network.end());
        if (this.#mountNamespace !== undefined) killLeftProcesses(this.#mountNamespace);
      },
      onEnd: (record) => this.#end(record),
      onTold: () => this.#emptyTrash(),
      restarts: () => this.#restartsAfter !== undefined,
      onLinger: () => {
        if (this.#restartsAfter) return RESTART_LINGER_MS;
        this.#unmountRootfs();
        return LINGER_MS;
      },
    });
    return session;
  }

  #hookHandlers(
    hooks: import("./runtime_hooks.ts").RuntimeHooks,
    loop: () => EventLoop,
  ): Pick<SessionOptions, "onHooks" | "onStarted"> {
    const pid = () => this.#process!.pid;
    return {
      onHooks: (done) => hooks.run(loop(), ["prestart", "createRuntime"], pid(), done),
      onStarted: (done) => {
        hooks.run(loop(), ["poststart"], pid(), (error) => {
          if (error !== undefined) this.#faults.record(error);
          done();
        });
      },
    };
  }

  #childEnded(pid: number, status: number): void {
    this.#hooks?.childEnded(pid, status);
    try {
      this.#process?.onChildEnded?.(pid);
    } catch (error) {
      this.#faults.record(error);
    }
  }

  #openNetwork(session: Session): void {
    const { network } = this.#plan;
    if (!network) return;
    const { loop } = session;
    const guard = <T extends unknown[]>(action: (...words: T) => void) => (...words: T) => {
      try {
        action(...words);
      } catch (error) {
        this.#faults.record(error);
      }
    };
    const guarded: NetworkLoop = {
      fd: loop.fd,
      follow: (lead) => loop.follow(lead),
      watch: (fd, handler, events) => loop.watch(fd, guard(handler), events),
      unwatch: (fd) => loop.unwatch(fd),
      after: (ms, callback) => loop.after(ms, guard(callback)),
      cancel: (timer) => loop.cancel(timer as Timer),
    };
    this.#network = openNetwork(network, {
      loop: guarded,
      makeLoop: () => new EventLoop(),
      initPid: this.#process!.pid,
      onFault: (error) => this.#faults.record(error),
      onLull: () => releaseMemory(),
    });
    this.#withNetwork((served) => this.#ports.publishOn(served));
  }

  #changePorts(change: PortChange, fds: readonly number[], done: (error?: unknown) => void): void {
    if (this.#network && !this.#network.changePorts) {
      return this.#ports.change(change, fds, this.#network, done);
    }
    fds.forEach(close);
    if (!this.#network) throw new SkiffError("change published ports: the container has ended");
    this.#network.changePorts!(change, done);
  }

  /** A fault of the network's ends neither monitor nor container. */
  #withNetwork(action: (network: MonitorNetwork) => void): void {
    try {
      if (this.#network) action(this.#network);
    } catch (error) {
      this.#faults.record(error);
    }
  }

  #describe(): Record<string, unknown> {
    const { id, name } = this.#plan;
    return { id, name, monitorPid: getpid(), state: this.#state ?? null };
  }

  #writeState(status: StateRecord["status"], startedAt: string): void {
    const pid = status === "restarting" ? 0 : this.#process!.pid;
    this.#state = {
      version: PROTOCOL_VERSION,
      status,
      monitorPid: getpid(),
      initPid: pid,
      initStartTime: this.#state?.initPid === pid ? this.#state.initStartTime : processStartTime(pid),
      startedAt,
      bootId: this.#state?.bootId ?? bootId(),
      ...(this.#supervisor?.restartCount && { restartCount: this.#supervisor.restartCount }),
      ...(this.#mountNamespace !== undefined && { mountNamespace: this.#mountNamespace }),
    };
    writeState(this.#plan.containerDir, this.#state);
  }

  /** A full disk ends no container, and who waits for its end is told all the same. */
  #tryWrite(write: () => void): void {
    try {
      write();
    } catch (error) {
      this.#faults.record(error);
    }
  }

  /** A stop between two runs: the last one was the last. */
  #endBetween(): ExitRecord {
    this.#finish(this.#lastEnded!);
    return this.#lastEnded!;
  }

  #end(ended: ExitRecord): ExitRecord | void {
    // so it is, too, where the next was being set up
    if (this.#lastEnded && this.#isStoppedByHand && ended.startedAt === "") return this.#endBetween();
    const { restartCount } = this.#supervisor ?? {};
    const record: ExitRecord = {
      ...ended,
      ...(restartCount && { restartCount }),
      ...(this.#isStoppedByHand && { stoppedByHand: true }),
    };
    const takesFilesAlong = this.#plan.autoRemove && !this.#keepsFiles;
    this.#hooks?.containerEnded(takesFilesAlong, (error) => this.#faults.record(error));
    if (record.startedAt !== "") this.#recordEvents({ action: "died", exitCode: record.exitCode });
    if (this.#supervisor?.ended(record)) {
      this.#restartsAfter = record;
      this.#tryWrite(() => this.#writeState("restarting", record.startedAt));
    } else this.#finish(record);
    // who asked for the end is told that it is by him; why it never began is told as that
    return record.startedAt === "" ? undefined : record;
  }

  /** The container does not run any more. */
  #finish(record: ExitRecord): void {
    const plan = this.#plan;
    // whoever learns of the end may have the ports of the host
    this.#withNetwork((network) => network.end());
    this.#network = undefined;
    this.#ports.close();
    this.#tryWrite(() => writeExit(plan.containerDir, record));
    this.#socket.remove();
    this.#supervisor?.dispose();
    if (plan.autoRemove && !this.#keepsFiles) {
      this.#unmountRootfs();
      for (const folder of [plan.containerDir, ...plan.removeWith.filter(isUnshared)]) this.#discard(folder);
      this.#recordEvents({ action: "remove" });
    }
    // Whoever is told of the end may start or remove the container at once.
    flock(this.#fds.lock, LOCK_UN);
    close(this.#fds.lock);
    if (plan.atEnd) startAtEnd(plan.atEnd);
  }

  /** Nobody sees the folder any more; to empty it, which waits for the disk, is left for when all are told. */
  #discard(folder: string): void {
    const trash = `${this.#plan.trash}-${this.#trash.length}`;
    try {
      Deno.renameSync(folder, trash);
      this.#trash.push(trash);
    } catch {
      // A volume may be on another file system.
      removeFolder(folder);
    }
  }

  #emptyTrash(): void {
    for (const folder of this.#trash.splice(0)) removeFolder(folder);
  }

  #recordEvents(...events: Partial<NewEvent>[]): void {
    const { path, subject } = this.#plan.events;
    // it may have been renamed since its first event
    if (this.#name !== undefined) this.#name = readName(this.#plan.containerDir) ?? this.#name;
    const name = this.#name ??= subject.name;
    appendEvents(path, ...events.map((event) => ({ action: "", ...subject, name, ...event })));
  }

  #unmountRootfs(): void {
    const { rootfs, mountRoots = [], idMapped = [], init, containerDir } = this.#plan;
    const lazy = rootfs.kind === "overlay" && rootfs.lazy !== undefined ? [rootfs.lazy] : [];
    const locked = init.annex.nestedUserns ? [{ target: lockedPlace(containerDir) }] : [];
    for (const { target } of [...locked, ...idMapped, rootfs, ...mountRoots, ...lazy]) {
      try {
        umount2(target, MNT_DETACH);
      } catch {
        // It was never mounted, or is unmounted already.
      }
    }
  }
}

/** An error with the stage that it happened in. */
class StageError extends Error {
  constructor(readonly stage: string, cause: unknown) {
    super(stage, { cause });
  }
}

function inStage<T>(stage: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw new StageError(stage, error);
  }
}

function writePidFile(path: string | undefined, pid: number): void {
  if (!path) return;
  try {
    using file = new Fd(open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644));
    writeAll(file.number, new TextEncoder().encode(String(pid)));
  } catch (cause) {
    throw new SkiffError(`write pid file: ${(cause as Error).message}`, { cause });
  }
}

function streams(plan: MonitorPlan, pipes: Pipes | undefined): InitStreams {
  if (plan.stdio.tty) return "terminal";
  return pipes?.child ?? { stdin: 0, stdout: 1, stderr: 2 };
}

/** An anonymous volume that another container has by --volumes-from bears a mark. */
function isUnshared(folder: string): boolean {
  try {
    Deno.lstatSync(`${folder}/shared`);
    return false;
  } catch {
    return true;
  }
}

/** Files of subordinate ids and folders of mode 0 go as well: the monitor is root of the user's namespace. */
function removeFolder(path: string): void {
  try {
    Deno.removeSync(path, { recursive: true });
  } catch {
    // A row whose folder stays is seen by the next command, which removes it.
  }
}
