/**
 * Runs the hooks of a container, one after another: programs of this machine (those of `startContainer`: of the
 * container) that are told of it in JSON on their standard input.
 *
 * @see OCI runtime-spec runtime.md, lifecycle and state; config.md, POSIX-platform hooks
 */

import { SIGKILL } from "../../ffi/constants/signal.ts";
import { MFD_CLOEXEC } from "../../ffi/constants/memfd.ts";
import { POLLIN } from "../../ffi/constants/poll.ts";
import { ENOENT, isErrno } from "../../ffi/errno.ts";
import { O_CLOEXEC } from "../../ffi/constants/fcntl.ts";
import { PR_SET_PDEATHSIG } from "../../ffi/constants/prctl.ts";
import {
  close,
  closeAllExcept,
  dup2,
  Fd,
  lseek,
  memfd_create,
  pipe2,
  read,
  writeAll,
} from "../../ffi/file.ts";
import { forkChild } from "../../ffi/fork.ts";
import { pollBlocking } from "../../ffi/poll.ts";
import { ownStatus } from "../../ffi/own_status.ts";
import {
  chdir,
  execve,
  getpid,
  getppid,
  kill,
  pidfd_open,
  prctl,
  waitpidBlocking,
} from "../../ffi/process.ts";
import { resetSignalDispositions, setSignalMask } from "../../ffi/signal.ts";
import { posix_spawn } from "../../ffi/spawn.ts";
import { SkiffError } from "../errors.ts";
import type { InitPlan } from "../monitor/plan.ts";
import type { HookKind, HookSpec } from "../spec/runtime.ts";
import { execute } from "./execute.ts";
import { openControl } from "./handshake.ts";

/** What the container is doing while they run. */
const STATUS: Record<HookKind, string> = {
  prestart: "creating",
  createRuntime: "creating",
  createContainer: "creating",
  startContainer: "created",
  poststart: "running",
  poststop: "stopped",
};

/** As much as is shown of what a hook has written. */
const OUTPUT_LIMIT_BYTES = 4096;

/** A hook that runs. */
export interface RunningHook {
  hook: HookSpec;
  pid: number;
  /** What it writes. */
  output: number;
}

/** Whether the plan has hooks that this side of the socket runs. */
export function hooksOf({ spec }: InitPlan, ...kinds: HookKind[]): HookSpec[] {
  return kinds.flatMap((kind) => spec.hooks?.[kind] ?? []);
}

/** Runs all of a kind in this process's namespaces, waiting. @throws {SkiffError} for the first that fails */
export function runHooksBlocking(plan: InitPlan, kind: HookKind): void {
  for (const hook of hooksOf(plan, kind)) runHookBlocking(plan, kind, hook, getpid());
}

/** Runs one, waiting. @throws {SkiffError} where it fails */
export function runHookBlocking(plan: InitPlan, kind: HookKind, hook: HookSpec, pid: number): void {
  const running = spawnHook(plan, kind, hook, pid);
  endHook(running, waitBlocking(running));
}

/** Those that make sense only as long as somebody waits for them. */
const BEFORE_START: readonly HookKind[] = ["prestart", "createRuntime"];

/**
 * Starts one; who reaps it says how it went by `endHook`. One that comes before the start dies with this process.
 *
 * @throws {SkiffError} where it cannot be executed
 */
export function spawnHook(plan: InitPlan, kind: HookKind, hook: HookSpec, pid: number): RunningHook {
  using input = new Fd(stateFile(plan, kind, pid));
  const output = memfd_create("skiff-hook", MFD_CLOEXEC);
  try {
    enterBundle(plan.annex.bundle!.folder);
    const descriptors = { 0: input.number, 1: output, 2: output };
    const start = BEFORE_START.includes(kind) ? forkBound : posix_spawn;
    return { hook, output, pid: start(hook.path, argvOf(hook), hook.env ?? [], descriptors) };
  } catch (error) {
    close(output);
    throw new SkiffError(`executing hook \`${hook.path}\`: ${(error as Error).message}`, { cause: error });
  } finally {
    chdir("/");
  }
}

/** As posix_spawn, which knows nothing of PR_SET_PDEATHSIG. */
function forkBound(
  path: string,
  argv: readonly string[],
  env: readonly string[],
  descriptors: Record<number, number>,
): number {
  const parent = getpid();
  const [failed, report] = pipe2(O_CLOEXEC);
  const pid = forkChild(() => {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() !== parent) return 125;
    resetSignalDispositions(ownStatus().ignoredSignals);
    setSignalMask([]);
    for (const [target, source] of Object.entries(descriptors)) dup2(source, Number(target));
    closeAllExcept([...Object.keys(descriptors).map(Number), report]);
    execve(path, argv, env);
  }, (error) => writeAll(report, new TextEncoder().encode((error as Error).message)));
  close(report);
  using reading = new Fd(failed);
  const bytes = new Uint8Array(OUTPUT_LIMIT_BYTES);
  // ends at once where execve has worked
  const count = read(reading.number, bytes);
  if (count === 0) return pid;
  waitpidBlocking(pid);
  throw new SkiffError(new TextDecoder().decode(bytes.subarray(0, count)));
}

/** Of a container that is removed with its end, the folder may be gone before the last hook. */
function enterBundle(folder: string): void {
  try {
    chdir(folder);
  } catch (error) {
    if (!isErrno(error, ENOENT)) throw error;
    chdir("/");
  }
}

/** @throws {SkiffError} unless it has ended well */
export function endHook({ hook, output }: RunningHook, status: number): void {
  using file = new Fd(output);
  if (status === 0) return;
  const text = readEnd(file.number).trim();
  const said = text === "" ? "" : `: ${text}`;
  throw new SkiffError(`error executing hook \`${hook.path}\` (exit code: ${status})${said}`);
}

/**
 * Runs those of `startContainer`, which belong to the container as its program does: with the rights that this process
 * has by now, and through the sealed stub. What they write is the container's output.
 *
 * `stub` was made before the seccomp filter was in place (see `openExecStub`).
 */
export function runInsideBlocking(plan: InitPlan, stub: number): void {
  for (const hook of hooksOf(plan, "startContainer")) {
    using input = new Fd(stateFile(plan, "startContainer", getpid()));
    const [status, childStatus] = openControl();
    const pid = forkChild(() => {
      dup2(input.number, 0);
      execute(stub, childStatus, hook.path, argvOf(hook), hook.env ?? []);
    });
    close(childStatus);
    const code = waitBlocking({ hook, pid });
    close(status);
    if (code !== 0) throw new SkiffError(`error executing hook \`${hook.path}\` (exit code: ${code})`);
  }
}

function waitBlocking({ hook, pid }: Pick<RunningHook, "hook" | "pid">): number {
  using process = new Fd(pidfd_open(pid));
  const limitMs = (hook.timeout ?? 0) > 0 ? hook.timeout! * 1000 : -1;
  if (pollBlocking(process.number, POLLIN, limitMs) === 0) kill(pid, SIGKILL);
  return waitpidBlocking(pid).status;
}

function readEnd(fd: number): string {
  const size = lseek(fd, 0, 2);
  lseek(fd, Math.max(0, size - OUTPUT_LIMIT_BYTES), 0);
  const bytes = new Uint8Array(OUTPUT_LIMIT_BYTES);
  return new TextDecoder().decode(bytes.subarray(0, read(fd, bytes)));
}

function argvOf({ path, args = [] }: HookSpec): string[] {
  return args.length === 0 ? [path] : args;
}

/** A file, not a pipe: a hook that does not read it holds up nothing. */
function stateFile({ spec, annex }: InitPlan, kind: HookKind, pid: number): number {
  const fd = memfd_create("skiff-state", MFD_CLOEXEC);
  const state = {
    ociVersion: spec.ociVersion,
    id: annex.bundle!.id,
    status: STATUS[kind],
    ...(kind !== "poststop" && { pid }),
    bundle: annex.bundle!.folder,
    ...(spec.annotations && { annotations: spec.annotations }),
  };
  writeAll(fd, new TextEncoder().encode(JSON.stringify(state)));
  lseek(fd, 0, 0);
  return fd;
}
