/**
 * An exec session: a further program in a container that runs.
 *
 * It joins by the pidfd of the container's init, so a reused pid is never joined, and applies what the
 * container itself has: capabilities, seccomp, no_new_privs.
 *
 * @see setns(2), by pidfd; OCI runtime-spec runtime.md, exec
 */

import { ENOENT, ENOMEM, ESRCH, isErrno } from "../../ffi/errno.ts";
import { close, closeAllExcept, fchownat, Fd, fstat, ioctl, open, statx } from "../../ffi/file.ts";
import { forkChild } from "../../ffi/fork.ts";
import { filesystemType } from "../../ffi/mount.ts";
import { setns } from "../../ffi/namespaces.ts";
import { POLLIN } from "../../ffi/constants/poll.ts";
import { pollBlocking } from "../../ffi/poll.ts";
import {
  getpid,
  pidfd_open,
  prctl,
  setProcessName,
  setresgid,
  setresuid,
  setsid,
} from "../../ffi/process.ts";
import { setProcessTitle } from "../../ffi/process_title.ts";
import { ownStatus } from "../../ffi/own_status.ts";
import { resetSignalDispositions, setSignalMask } from "../../ffi/signal.ts";
import { openTerminal, openTerminalPeer, setWindowSize } from "../../ffi/tty.ts";
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  O_RDONLY,
} from "../../ffi/constants/fcntl.ts";
import { DEVPTS_SUPER_MAGIC } from "../../ffi/constants/mount.ts";
import { NS_GET_PARENT } from "../../ffi/constants/ioctl.ts";
import { PR_SET_DUMPABLE } from "../../ffi/constants/prctl.ts";
import {
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWUSER,
  CLONE_NEWUTS,
} from "../../ffi/constants/sched.ts";
import { SkiffError } from "../errors.ts";
import type { ExecPlan } from "../monitor/plan.ts";
import { assumeCredentials, dieWithParent } from "./credentials.ts";
import { execute, ExecuteError, findProgram, openExecStub } from "./execute.ts";
import { decodeFilter } from "./filter.ts";
import {
  describeSetupFailure,
  type InitMessage,
  isLastWord,
  MonitorLink,
  openControl,
  receiveFromInit,
} from "./handshake.ts";
import { giveStdio, type InitStdio, placeStdio, withHome } from "./stdio.ts";
import { setOwnAttributes } from "./own_attributes.ts";
import { resolveUserInRoot } from "./user.ts";
import { enterWorkdir } from "./workdir.ts";

/** File below /proc/PID/ns and the flag to join it. The user's comes first: the others need its rights. */
const NAMESPACES: readonly (readonly [file: string, flag: number])[] = [
  ["user", CLONE_NEWUSER],
  ["pid", CLONE_NEWPID],
  ["mnt", CLONE_NEWNS],
  ["net", CLONE_NEWNET],
  ["ipc", CLONE_NEWIPC],
  ["uts", CLONE_NEWUTS],
  ["cgroup", CLONE_NEWCGROUP],
];

/** A session's program, on its way or running. */
export interface ExecHandle {
  pid: number;
  pidfd: number;
  control: number;
  plan: ExecPlan;
}

/**
 * Forks the session's program; for the session's own monitor, which is in the container's user and pid
 * namespace afterwards, and else in the host's.
 *
 * @throws {SkiffError} where the container's init is gone
 */
export function spawnExec(plan: ExecPlan, stdio: InitStdio, passed: readonly number[] = []): ExecHandle {
  const init = openInit(plan);
  const joined = unlessGone(plan, () => namespacesToJoin(plan.initPid));
  setOwnAttributes(plan.process);
  prctl(PR_SET_DUMPABLE, 0);
  const early = plan.nestedUserns && joined & CLONE_NEWUSER ? joinShared(init, plan.initPid, joined) : 0;
  const first = joined & (CLONE_NEWUSER | CLONE_NEWPID);
  // The copy of this process that the container can list must not carry the command's words.
  setProcessTitle("skiff: exec");
  if (first) unlessGone(plan, () => setns(init, first));
  const [control, ownControl] = openControl();
  const monitorPid = getpid();
  const context = {
    plan,
    stdio,
    passed,
    init,
    monitorPid,
    control: ownControl,
    joined: joined & ~first & ~early,
  };
  const pid = unlessGone(plan, () => forkChild(() => runExec(context)), init);
  close(ownControl);
  close(init);
  return { pid, pidfd: pidfd_open(pid), control, plan };
}

/** The next word of the session; after its last `control` is closed. */
export function receiveExecMessage(handle: ExecHandle): InitMessage {
  const message = receiveFromInit(handle.control, handle.plan.process.args[0] ?? "");
  if (isLastWord(message)) close(handle.control);
  return message;
}

/** A pidfd of the container's init, proven to be the process that the plan means. */
function openInit(plan: ExecPlan): number {
  const pidfd = unlessGone(plan, () => pidfd_open(plan.initPid));
  // The descriptor is held first: if the number still has this start time, the descriptor is init's.
  if (startTime(plan.initPid) === plan.initStartTime) return pidfd;
  close(pidfd);
  throw gone(plan);
}

/** The container may end at any moment. `init` is a pidfd of it, where there is one already. */
function unlessGone<T>(plan: ExecPlan, action: () => T, init?: number): T {
  try {
    return action();
  } catch (error) {
    if (isErrno(error, ENOENT, ESRCH)) throw gone(plan);
    // a pid namespace that is being ended takes nobody in: fork(2) says that there is no memory
    const isEnding = isErrno(error, ENOMEM) && init !== undefined &&
      pollBlocking(init, POLLIN, ENDING_MS) !== 0;
    throw isEnding ? gone(plan) : error;
  }
}

function gone({ containerId }: ExecPlan): SkiffError {
  return new SkiffError(`container ${containerId.slice(0, 12)} is not running`);
}

function startTime(pid: number): string | undefined {
  try {
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    return undefined;
  }
}

/** Between the first sign of an init's end and its end. */
const ENDING_MS = 1000;

/** What a container may have of another's. */
const SHARED = CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;

/**
 * The network of a container whose user namespace is nested may be another container's, and so belong to the
 * user's shared namespace: it is joined from there, since the nested one has no rights over it. Ipc and uts alike.
 *
 * @returns what was joined. @see ioctl_ns(2)
 */
function joinShared(init: number, pid: number, joined: number): number {
  const flags = joined & SHARED;
  if (!flags) return 0;
  using nested = new Fd(open(`/proc/${pid}/ns/user`, O_RDONLY | O_CLOEXEC));
  using shared = new Fd(ioctl(nested.number, NS_GET_PARENT, 0));
  // As real root, one is in it already.
  if (fstat(shared.number).ino !== statx(AT_FDCWD, "/proc/self/ns/user").ino) {
    setns(shared.number, CLONE_NEWUSER);
  }
  setns(init, flags);
  return flags;
}

/** Joining a namespace one is in already may be forbidden (host network) or invalid (user). */
function namespacesToJoin(pid: number): number {
  return NAMESPACES.reduce((flags, [file, flag]) => isSameNamespace(pid, file) ? flags : flags | flag, 0);
}

function isSameNamespace(pid: number, file: string): boolean {
  const [own, other] = [statx(AT_FDCWD, `/proc/self/ns/${file}`), statx(AT_FDCWD, `/proc/${pid}/ns/${file}`)];
  return own.ino === other.ino && own.devMinor === other.devMinor;
}

interface ExecContext {
  plan: ExecPlan;
  stdio: InitStdio;
  passed: readonly number[];
  init: number;
  joined: number;
  control: number;
  monitorPid: number;
}

function runExec(context: ExecContext): number {
  const link = new MonitorLink(context.control);
  let stage = "start";
  try {
    performExec(context, link, (name) => stage = name);
  } catch (error) {
    link.reportFailure(error instanceof ExecuteError ? error.failure : describeSetupFailure(stage, error));
  }
  return 1;
}

function performExec(context: ExecContext, link: MonitorLink, stage: (name: string) => void): void {
  const { plan: { process, annex }, control } = context;
  stage("prepare exec");
  setProcessName("skiff: exec");
  const kept = context.stdio === "terminal" ? [] : Object.values(context.stdio);
  closeAllExcept([control, context.init, ...kept, ...context.passed]);
  setSignalMask([]);
  const status = ownStatus();
  resetSignalDispositions(status.ignoredSignals);
  setsid();

  stage("enter namespaces");
  if (context.joined) unlessGone(context.plan, () => setns(context.init, context.joined));
  close(context.init);
  setresgid(0);
  setresuid(0);
  prctl(PR_SET_DUMPABLE, 0);

  stage("find the user");
  using root = new Fd(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  const user = resolveUserInRoot(root.number, annex.user, annex.groupAdd);

  stage("open the console");
  const terminal = context.stdio === "terminal" ? openConsole(link, context.plan) : undefined;
  // with a single-id map nobody but 0 owns anything
  const owner = annex.fakeOwnership ? { uid: 0, gid: 0 } : user;
  if (terminal !== undefined) fchownat(terminal, "", owner.uid, -1 >>> 0, AT_EMPTY_PATH);
  // the session's monitor has them under the same numbers as the command
  const passed = context.passed.map((fd) => ({ fd, as: fd }));
  const stub = openExecStub(undefined, passed);
  giveStdio(context.stdio, owner.uid);
  placeStdio(context.stdio, terminal);

  stage("assume credentials");
  const env = withHome(process.env, annex.setHome ? user.home : undefined);
  assumeCredentials({
    process,
    user,
    seccomp: decodeFilter(annex),
    canSetGroups: !annex.fakeOwnership && !annex.keepGroups,
    personality: context.plan.personality,
    boundingSet: status.boundingSet,
  });
  stage("enter the working directory");
  enterWorkdir(root.number, process.cwd);
  stage("execute");
  const path = findProgram(process.args[0] ?? "", env);
  dieWithParent(context.monitorPid);
  execute(stub, control, path, process.args, env, passed);
}

/** A terminal of the container's devpts, proven to be one: the container may have put anything there. */
function openConsole(link: MonitorLink, { stdio }: ExecPlan): number {
  const { master } = openTerminal("/dev/pts/ptmx");
  if (filesystemType(master) !== DEVPTS_SUPER_MAGIC) throw new SkiffError("/dev/pts/ptmx is not on devpts");
  const terminal = openTerminalPeer(master);
  if (stdio.size) setWindowSize(master, stdio.size.rows, stdio.size.cols);
  link.sendConsole(master);
  close(master);
  return terminal;
}
