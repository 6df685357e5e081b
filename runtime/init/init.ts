/**
 * Init: the first process of a container, from the fork to the user's program.
 *
 * It performs an InitPlan, top to bottom in this file, and tells its monitor over the control socket (see
 * handshake.ts). Each step is a stage, so that a failure says what was being done.
 *
 * @see OCI runtime-spec runtime.md, lifecycle
 */

import { emitPidOneStub } from "../../ffi/pid_one_stub.ts";
import { close, closeAllExcept, fchownat, Fd, open } from "../../ffi/file.ts";
import { mount, mount_setattr, pivot_root, umount2 } from "../../ffi/mount.ts";
import { EINVAL, EPERM, isErrno } from "../../ffi/errno.ts";
import { setns, unshare } from "../../ffi/namespaces.ts";
import { openNetlink } from "../../ffi/netlink.ts";
import { chdir, fchdir, prctl, setdomainname, sethostname, setresgid, setresuid } from "../../ffi/process.ts";
import { ALL_SIGNALS, setSignalMask } from "../../ffi/signal.ts";
import { openTerminal, openTerminalPeer, setWindowSize } from "../../ffi/tty.ts";
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  O_RDONLY,
} from "../../ffi/constants/fcntl.ts";
import { MNT_DETACH, MOUNT_ATTR_RDONLY, MS_BIND, MS_REC, MS_SLAVE } from "../../ffi/constants/mount.ts";
import { PR_SET_DUMPABLE } from "../../ffi/constants/prctl.ts";
import {
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWUTS,
} from "../../ffi/constants/sched.ts";
import type { InitPlan, SetupFailure } from "../monitor/plan.ts";
import type { TunPlan } from "../network/plan.ts";
import type { MountSpec, NamespaceType } from "../spec/runtime.ts";
import { SkiffError } from "../errors.ts";
import { listAccounts } from "./accounts.ts";
import { assumeCredentials, dieWithParent } from "./credentials.ts";
import { forbidOtherDevices, openNullMask, placeConsole, placeDevices } from "./devices.ts";
import { becomeInit, type EarlyWork, takeDevices, takeMounts, workEarly } from "./early.ts";
import { execute, ExecuteError, findProgram, openExecStub, type PassedFd } from "./execute.ts";
import { describeSetupFailure, MonitorLink } from "./handshake.ts";
import { decodeFilter } from "./filter.ts";
import { openHooks } from "./lazy_code.ts";
import { allowPing, bringLoopbackUp } from "./loopback.ts";
import { setOwnAttributes } from "./own_attributes.ts";
import { attachMounts, copyUpVolume, giveVolumes, openSource } from "./mounts.ts";
import { maskPaths, protectPaths } from "./protect.ts";
import { giveMountInside, giveTree } from "./give_tree.ts";
import { giveStdio, type InitStdio, placeStdio, withHome } from "./stdio.ts";
import { cloneSharedMemory, shareMemory } from "./shared_memory.ts";
import { writeSysctls } from "./sysctl.ts";
import { openTun } from "../network/tun.ts";
import { resolveUserInRoot } from "./user.ts";
import { createWorkdir, enterWorkdir } from "./workdir.ts";

export interface InitContext {
  plan: InitPlan;
  /** Where the monitor has mounted the root filesystem. */
  rootTarget: string;
  stdio: InitStdio;
  control: number;
  monitorPid: number;
  /** Real root without a user namespace: device nodes can be made. */
  isPrivileged: boolean;
  windowSize?: { rows: number; cols: number };
  /** The caller's, which the program gets as well (`--preserve-fds`, `--preserve-fd`). */
  passed?: readonly PassedFd[];
}

/** CLONE_NEW* by the spec's words; the pid namespace was made by the monitor before the fork. */
const NAMESPACE_FLAGS: Partial<Record<NamespaceType, number>> = {
  network: CLONE_NEWNET,
  ipc: CLONE_NEWIPC,
  uts: CLONE_NEWUTS,
  cgroup: CLONE_NEWCGROUP,
};

/** Runs in the forked child and never returns: it ends as the user's program or with status 1. */
export function runInit(context: InitContext): number {
  const link = new MonitorLink(context.control);
  const progress = { stage: "start" };
  try {
    performInit(context, link, progress);
  } catch (error) {
    link.reportFailure(describeFailure(progress.stage, error));
  }
  return 1;
}

/**
 * The same for an init that was forked ahead of its plan: works as far as it can without, and waits for it. `mounts`
 * and `tun` are those that the plan will most likely have.
 */
export function runEarlyInit(
  control: number,
  monitorPid: number,
  mounts: readonly MountSpec[],
  tun: TunPlan | undefined,
): number {
  const link = new MonitorLink(control);
  const progress = { stage: "enter namespaces" };
  try {
    const early = workEarly(control, mounts, tun);
    const plan = link.receivePlan();
    if (plan !== undefined) performInit({ ...plan, control, monitorPid }, link, progress, early);
  } catch (error) {
    link.reportFailure(describeFailure(progress.stage, error));
  }
  return 1;
}

function performInit(
  context: InitContext,
  link: MonitorLink,
  progress: { stage: string },
  early?: EarlyWork,
): void {
  const { plan, plan: { spec, annex }, control } = context;
  const stage = (name: string) => progress.stage = name;
  stage("prepare init");
  const { passed = [] } = context;
  const kept = [
    ...(context.stdio === "terminal" ? [] : Object.values(context.stdio)),
    ...passed.map(({ fd }) => fd),
  ];
  const hooks = annex.bundle && openHooks()();
  const done: EarlyWork = early ?? { status: becomeInit([control, ...kept]), mounts: new Map(), devices: [] };

  stage("enter namespaces");
  let sharedMemory: number | undefined;
  if (early) {
    link.waitForRoot();
    unshare(CLONE_NEWNS);
  } else {
    stage("set own attributes");
    setOwnAttributes(spec.process);
    stage("enter namespaces");
    prctl(PR_SET_DUMPABLE, 0);
    if (annex.sharedMemoryOf !== undefined) sharedMemory = cloneSharedMemory(annex.sharedMemoryOf);
    enterNamespaces(context);
  }

  if (annex.loopbackUp && !early) {
    stage("bring the loopback interface up");
    bringLoopbackUp();
    allowPing();
  }
  if (annex.tun) {
    stage("create network interface");
    const tun = done.tun ?? openTun(annex.tun);
    link.sendNetwork(tun);
    close(tun);
  } else if (annex.sendNetns) {
    using namespace = new Fd(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    link.sendNetwork(namespace.number);
  }

  if (annex.handsOverNetwork) {
    stage("hand over network namespace");
    using netns = new Fd(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    using netlink = new Fd(openNetlink());
    link.sendNamespace(netns.number, netlink.number);
  }

  const mountNamespace = ownsPidNamespace(spec) ? undefined : Deno.readLinkSync("/proc/self/ns/mnt");

  stage("mount the root filesystem");
  mount(null, "/", null, MS_REC | MS_SLAVE);
  mount(context.rootTarget, context.rootTarget, null, MS_BIND | MS_REC);
  const root = open(context.rootTarget, O_PATH | O_DIRECTORY | O_CLOEXEC);
  const onlyBoundDevices = context.isPrivileged && !annex.privileged;
  if (onlyBoundDevices) forbidOtherDevices(root);

  // While the ids are still the user's own: the host's folders may let nobody else through.
  stage("prepare mounts");
  const volumes = annex.copyUp.map(({ source, ...rest }) => ({
    fd: open(source, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
    ...rest,
  }));
  const mounts = takeMounts(spec.mounts, done);
  const gifts = (annex.giveToUser ?? []).map(openSource);
  const devices = takeDevices(annex.devices, done);
  const openMask = done.covers ? atFirstUse(openNullMask) : openNullMask();
  shareMemory(mounts, sharedMemory);
  if (annex.nestedUserns) {
    setresgid(0);
    setresuid(0);
    prctl(PR_SET_DUMPABLE, 0);
  }

  stage("fill volumes");
  const emptyVolumes = volumes.filter((volume) => !copyUpVolume(root, volume)).map(({ fd }) => fd);

  stage("attach mounts");
  attachMounts(root, mounts);
  if (!mounts.some(isForeignDev)) {
    placeDevices(root, devices, { canMakeNodes: context.isPrivileged, onlyBound: onlyBoundDevices });
  }

  stage("open the console");
  const terminal = context.stdio === "terminal" ? openConsole(root, mounts, link, context) : undefined;

  stage("set kernel parameters");
  const procfs = mounts.find((one) => one.type === "proc");
  if (spec.hostname) sethostname(spec.hostname);
  if (spec.domainname) setdomainname(spec.domainname);
  if (procfs) writeSysctls(procfs.fd, spec.linux.sysctl ?? {});

  stage("protect kernel files");
  const views = mounts.filter((one) => one.isView).map((one) => one.destination);
  protectPaths(root, spec.linux.readonlyPaths, views);
  maskPaths(root, spec.linux.maskedPaths, openMask, views, done.covers);

  if (hooks) {
    stage("run hooks");
    link.awaitHooks();
    hooks.runHooksBlocking(plan, "createContainer");
  }

  stage("change the root");
  pivotInto(root);
  // Everything that was opened on the way, of the host as well, goes at once.
  closeAllExcept([
    control,
    ...kept,
    ...emptyVolumes,
    ...gifts,
    ...(terminal === undefined ? [] : [terminal]),
  ]);

  stage("find the user");
  using inside = new Fd(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  const found = resolveUserInRoot(inside.number, annex.user, annex.groupAdd);
  const user = annex.accounts
    ? listAccounts(inside.number, annex.accounts, annex.user, found, spec.process.cwd)
    : found;
  // with a single-id map nobody but 0 owns anything
  const owner = annex.fakeOwnership ? { uid: 0, gid: 0 } : user;
  if (terminal !== undefined) fchownat(terminal, "", owner.uid, -1 >>> 0, AT_EMPTY_PATH);
  stage("give mounts to the user");
  giveVolumes(emptyVolumes, owner);
  for (const gift of gifts) giveTree(gift, owner);
  for (const path of annex.giveInside ?? []) giveMountInside(inside.number, path, owner);

  stage("prepare the working directory");
  if (annex.createWorkdir) createWorkdir(inside.number, spec.process.cwd, owner);
  if (spec.root.readonly) mount_setattr(AT_FDCWD, "/", 0, { set: MOUNT_ATTR_RDONLY, clear: 0 });

  const stub = openExecStub(annex.initProcess ? emitPidOneStub : undefined, passed);
  const hookStub = hooks?.hooksOf(plan, "startContainer").length ? openExecStub() : undefined;
  giveStdio(context.stdio, owner.uid);
  placeStdio(context.stdio, terminal);

  stage("wait for the start");
  link.reportReady(mountNamespace);

  const env = withHome(spec.process.env, annex.setHome ? user.home : undefined);
  stage("assume credentials");
  assumeCredentials({
    process: spec.process,
    user,
    seccomp: decodeFilter(annex),
    canSetGroups: !annex.fakeOwnership && !annex.keepGroups,
    personality: spec.linux.personality,
    boundingSet: done.status.boundingSet,
  });
  stage("enter the working directory");
  enterWorkdir(inside.number, spec.process.cwd);
  if (hooks && hookStub !== undefined) {
    stage("run hooks");
    hooks.runInsideBlocking(plan, hookStub);
  }
  stage("execute");
  const path = findProgram(spec.process.args[0] ?? "", env);
  dieWithParent(context.monitorPid);
  if (annex.initProcess) setSignalMask(ALL_SIGNALS);
  execute(stub, control, path, spec.process.args, env, passed);
}

/** A mask of this mount namespace, where those that were made ahead are too few. */
function atFirstUse(open: () => () => number): () => number {
  let opened: (() => number) | undefined;
  return () => (opened ??= open())();
}

/** With it all processes of the container end when this one does. */
function ownsPidNamespace({ linux }: InitPlan["spec"]): boolean {
  return linux.namespaces.some(({ type, path }) => type === "pid" && path === undefined);
}

function describeFailure(stage: string, error: unknown): SetupFailure {
  return error instanceof ExecuteError ? error.failure : describeSetupFailure(stage, error);
}

function enterNamespaces({ plan }: InitContext): void {
  const { spec, annex } = plan;
  const own = spec.linux.namespaces.filter((one) =>
    !one.path && !annex.join.some((other) => other.type === one.type)
  );
  // Opened first: from the new mount namespace on, /proc may be another.
  const join = annex.nestedUserns ? undefined : openJoinedNamespaces(plan);
  unshare(own.reduce((flags, one) => flags | (NAMESPACE_FLAGS[one.type] ?? 0), CLONE_NEWNS));
  join?.();
}

/**
 * Opens the namespaces of others that the plan joins, and gives what enters them.
 *
 * They belong to the user's shared namespace, so that whoever goes into a nested one joins them before.
 */
export function openJoinedNamespaces({ annex }: InitPlan): () => void {
  const joined = annex.join.filter((one) => one.type !== "pid").map((one) => ({
    fd: open(one.path, O_RDONLY | O_CLOEXEC),
    ...one,
  }));
  return () => {
    for (const { fd, type, path } of joined) {
      try {
        setns(fd, NAMESPACE_FLAGS[type]!);
      } catch (cause) {
        throw new SkiffError(`join ${type} namespace ${path}: ${whyNotJoined(type, cause as Error)}`, {
          cause,
        });
      }
      close(fd);
    }
  };
}

function whyNotJoined(type: string, error: Error): string {
  if (isErrno(error, EPERM)) return "it belongs to another user namespace, where this user has no rights";
  return isErrno(error, EINVAL) ? `it is no ${type} namespace` : error.message;
}

/** A folder of the user's at /dev, such as the host's own, is left as it is. */
function isForeignDev({ destination, type }: { destination: string; type: string }): boolean {
  return destination === "/dev" && type === "bind";
}

/** Opens a terminal in the container's own devpts, by the mount's descriptor, and gives the master away. */
function openConsole(
  root: number,
  mounts: readonly { fd: number; type: string; destination: string }[],
  link: MonitorLink,
  { windowSize }: InitContext,
): number {
  const devpts = mounts.find((one) => one.type === "devpts" && one.destination === "/dev/pts");
  if (!devpts) throw new Error("a terminal needs a devpts mount");
  const { master } = openTerminal("ptmx", devpts.fd);
  const terminal = openTerminalPeer(master);
  if (windowSize) setWindowSize(master, windowSize.rows, windowSize.cols);
  placeConsole(root, terminal);
  link.sendConsole(master);
  close(master);
  return terminal;
}

/** The root becomes `root`, and nothing of the host's tree stays reachable. @see pivot_root(2), NOTES */
function pivotInto(root: number): void {
  const host = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  fchdir(root);
  pivot_root(".", ".");
  fchdir(host);
  mount(null, ".", null, MS_REC | MS_SLAVE);
  umount2(".", MNT_DETACH);
  chdir("/");
}
