/**
 * The monitor of an exec session: the loop and protocol of a container's, for one more program in it.
 *
 * Its exit record lies in the session's folder. It keeps no log, and it does not outlive the container: its
 * program is killed with the container's pid namespace.
 */

import { SIGKILL, SIGTERM } from "../../ffi/constants/signal.ts";
import { LOCK_EX, LOCK_NB, O_CLOEXEC, O_DIRECTORY, O_RDONLY } from "../../ffi/constants/fcntl.ts";
import { close, closeAllExcept, flock, open } from "../../ffi/file.ts";
import { _exit, chdir, getpid, kill, setsid } from "../../ffi/process.ts";
import { setProcessTitle } from "../../ffi/process_title.ts";
import { SkiffError } from "../errors.ts";
import { type ExecHandle, receiveExecMessage, spawnExec } from "../init/exec.ts";
import { describeSetupFailure, type InitMessage } from "../init/handshake.ts";
import { type ExecPlan, type ExitRecord, PROTOCOL_VERSION, type StateRecord } from "./plan.ts";
import { bootId, processStartTime, writeExit, writeState } from "./records.ts";
import { blockSessionSignals, LINGER_MS, Session, type SessionProcess } from "./session.ts";
import { SocketFile } from "./socket_file.ts";
import { appendEvents } from "../spec/event.ts";
import { forbidCoreDump } from "./core_dump.ts";
import { closeChildEnds, detachStandardStreams, makePipes } from "./stdio.ts";

/** What the session's monitor inherits; it closes everything else. */
export interface ExecMonitorFds {
  /** The listening socket at `plan.socketPath`. */
  listen: number;
  /** The writing end of a pipe to the parent, for one ReadyMessage. */
  ready: number;
}

/** The words of a session that asks for no stop signal of its own. */
const STOP = { signal: SIGTERM, timeoutSeconds: 10 };

/** Runs an exec session to its end, and ends this process. To be called in a forked child. */
export function runExecMonitor(plan: ExecPlan, fds: ExecMonitorFds): never {
  let process: SessionProcess | undefined;
  try {
    const passed = plan.passedFds ?? [];
    closeAllExcept([fds.listen, fds.ready, ...passed]);
    setsid();
    chdir("/");
    attempt(() => holdFolder(plan.sessionDir));
    blockSessionSignals();
    const socket = new SocketFile(plan.socketPath);
    const session = makeSession(plan, fds, socket, () => process!.pid);
    try {
      process = spawn(plan, passed);
    } catch (error) {
      session.failBlocking(describeSetupFailure("enter the container", error));
      _exit(0);
    }
    detachStandardStreams();
    forbidCoreDump();
    setProcessTitle(`skiff: exec ${plan.containerId.slice(0, 12)}`);
    session.runBlocking(process);
  } catch (error) {
    reportLoss(plan, error, process);
    _exit(125);
  }
  _exit(0);
}

/** Its lock, which ends with this process, tells that the session lives where no record can be written. */
function holdFolder(path: string): void {
  flock(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), LOCK_EX | LOCK_NB);
}

function spawn(plan: ExecPlan, passed: readonly number[]): SessionProcess {
  const pipes = plan.stdio.tty ? undefined : makePipes(plan.stdio);
  const handle = spawnExec(plan, pipes?.child ?? "terminal", passed);
  passed.forEach(close);
  if (pipes !== undefined) closeChildEnds(pipes);
  const { pid, pidfd, control } = handle;
  return { pid, pidfd, control, receive: () => receive(handle), pipes };
}

/** A session joins namespaces and never makes one: there are no ids to be mapped. */
function receive(handle: ExecHandle): Exclude<InitMessage, { kind: "map-ids" }> {
  const message = receiveExecMessage(handle);
  if (message.kind === "map-ids") throw new Error("an exec session asked for id maps");
  return message;
}

function makeSession(plan: ExecPlan, fds: ExecMonitorFds, socket: SocketFile, pid: () => number): Session {
  let state: StateRecord | undefined;
  return new Session({
    listen: fds.listen,
    ready: fds.ready,
    stdio: plan.stdio,
    stop: STOP,
    log: undefined,
    spillFolder: plan.sessionDir,
    describe: () => ({ id: plan.sessionId, containerId: plan.containerId, state: state ?? null }),
    onRunning: (startedAt) => {
      state = {
        version: PROTOCOL_VERSION,
        status: "running",
        monitorPid: getpid(),
        initPid: pid(),
        initStartTime: processStartTime(pid()),
        startedAt,
        bootId: bootId(),
      };
      attempt(() => writeState(plan.sessionDir, state!));
    },
    onStopAsked: () => {},
    onTerminated: () => {},
    onHealthAsked: () => {
      throw new SkiffError("run health check: this is an exec session");
    },
    onStopping: () => {},
    onEnd: (record: ExitRecord) => {
      attempt(() => writeExit(plan.sessionDir, record));
      socket.remove();
      const { path, subject } = plan.events;
      const attributes = { ...subject.attributes, execID: plan.sessionId };
      appendEvents(path, { ...subject, action: "exec_died", exitCode: record.exitCode, attributes });
    },
    onLinger: () => LINGER_MS,
  });
}

/** The folder of a container that is removed goes under its sessions, or the disk is full: clients are told all the same. */
function attempt(write: () => void): void {
  try {
    write();
  } catch {
    // what the record would tell has gone with the folder, or is told as a session without an end
  }
}

function reportLoss(plan: ExecPlan, error: unknown, process: SessionProcess | undefined): void {
  try {
    if (process !== undefined) kill(process.pid, SIGKILL);
  } catch {
    // it has ended by itself
  }
  try {
    const at = new Date().toISOString();
    writeExit(plan.sessionDir, {
      version: PROTOCOL_VERSION,
      exitCode: 125,
      error: `monitor: ${error instanceof Error ? error.message : String(error)}`,
      startedAt: at,
      finishedAt: at,
      oomKilled: false,
    });
  } catch {
    // The session's clients see their connection end.
  }
}
