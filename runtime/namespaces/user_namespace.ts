/**
 * The one user namespace that all of a user's containers share: joined where it lives, made where it does not.
 *
 * It lives as long as any member does. A member registers a file in `membersDir`, which it holds locked;
 * a joiner opens a member's /proc/PID/ns/user and looks again that the lock is still held, so a reused pid
 * is never joined. Only a first start takes the lock of the folder:
 *
 * ```
 *  forked child                        parent (host namespaces)
 *    member alive? setns ─ 'J' ─────────▶ nothing to do
 *    none: flock, unshare ─ 'M' ────────▶ newuidmap PID … and newgidmap PID …, side by side
 *    register, unlock ◀───────── 'D' ────
 *    anything fails ─ 'E' + text ───────▶ HostError
 * ```
 */

import { EAGAIN, isErrno, SyscallError } from "../../ffi/errno.ts";
import {
  close,
  Fd,
  flock,
  flockBlocking,
  open,
  pipe2,
  read,
  readAsync,
  renameat2,
  writeAll,
} from "../../ffi/file.ts";
import { setns, unshare } from "../../ffi/namespaces.ts";
import { getpid, setresgid, setresuid, waitpidAsync } from "../../ffi/process.ts";
import { posix_spawn } from "../../ffi/spawn.ts";
import {
  AT_FDCWD,
  LOCK_EX,
  LOCK_NB,
  LOCK_SH,
  O_CLOEXEC,
  O_CREAT,
  O_EXCL,
  O_RDONLY,
  O_RDWR,
} from "../../ffi/constants/fcntl.ts";
import { CLONE_NEWUSER } from "../../ffi/constants/sched.ts";
import { HostError } from "../errors.ts";
import type { IdMapping } from "../spec/runtime.ts";
import type { NamespaceContext } from "./context.ts";
import { formatIdMap } from "./id_map.ts";

/** The two pipes between a forked child and its parent. */
export interface IdMapChannel {
  /** The child's ends. */
  child: { request: number; reply: number };
  /** The parent's ends. */
  parent: { request: number; reply: number };
}

/** Makes the pipes, before the fork. */
export function openIdMapChannel(): IdMapChannel {
  const [requestRead, requestWrite] = pipe2(O_CLOEXEC);
  const [replyRead, replyWrite] = pipe2(O_CLOEXEC);
  return {
    child: { request: requestWrite, reply: replyRead },
    parent: { request: requestRead, reply: replyWrite },
  };
}

/** What a member holds; its lock ends with it, or with the process. */
export interface Membership {
  path: string;
  lockFd: number;
}

/**
 * In a forked child: makes it root of the user's namespace. As real root it only tells the parent.
 *
 * The channel's child ends are closed. Throws what failed, after telling the parent.
 */
export function enterUserNamespaceBlocking(
  context: NamespaceContext,
  channel: IdMapChannel["child"],
): Membership | undefined {
  try {
    if (!context.isRootless) {
      tell(channel, "J");
      return undefined;
    }
    if (context.isInside) {
      const member = registerMember(context.membersDir);
      tell(channel, "J");
      return member;
    }
    const membership = joinAny(context, channel) ?? createFirst(context, channel);
    setresgid(0);
    setresuid(0);
    return membership;
  } catch (error) {
    tell(channel, `E${JSON.stringify(describeFailure(error))}`);
    throw error;
  } finally {
    close(channel.request);
    close(channel.reply);
  }
}

/**
 * In the parent: maps the child's ids if the child made the namespace; resolves when the child is in it.
 *
 * The channel's ends are closed, the child's first: a child that dies is seen as the end of the pipe.
 *
 * @throws {HostError} where the namespace cannot be had, with the remedy as hint
 */
export async function serveIdMaps(
  context: NamespaceContext,
  channel: IdMapChannel,
  pid: number,
): Promise<void> {
  close(channel.child.request);
  close(channel.child.reply);
  try {
    const buffer = new Uint8Array(4096);
    for (;;) {
      const length = await readAsync(channel.parent.request, buffer);
      if (length === 0) throw new HostError("create user namespace: the process ended early");
      const kind = String.fromCharCode(buffer[0]!);
      if (kind === "J") return;
      if (kind === "E") {
        throw await namespaceError(JSON.parse(new TextDecoder().decode(buffer.subarray(1, length))));
      }
      const { newuidmap, newgidmap } = context.helpers!;
      await Promise.all([
        runHelper(newuidmap, pid, context.maps.uid),
        runHelper(newgidmap, pid, context.maps.gid),
      ]);
      writeAll(channel.parent.reply, new TextEncoder().encode("D"));
    }
  } finally {
    close(channel.parent.request);
    close(channel.parent.reply);
  }
}

/** Joins the namespace of the first member that lives, or gives undefined where none does. */
function joinAny(context: NamespaceContext, channel: IdMapChannel["child"]): Membership | undefined {
  for (const name of memberNames(context.membersDir)) {
    if (!joinMember(`${context.membersDir}/${name}`, Number(name.split(".")[0]))) continue;
    const membership = registerMember(context.membersDir);
    tell(channel, "J");
    return membership;
  }
}

function joinMember(path: string, pid: number): boolean {
  let lock: number;
  try {
    lock = open(path, O_RDWR | O_CLOEXEC);
  } catch {
    return false;
  }
  try {
    if (!isLocked(lock)) {
      Deno.removeSync(path);
      return false;
    }
    using namespace = new Fd(open(`/proc/${pid}/ns/user`, O_RDONLY | O_CLOEXEC));
    if (!isLocked(lock)) return false;
    setns(namespace.number, CLONE_NEWUSER);
    return true;
  } catch {
    // It died in between; the caller looks further, and last of all makes a new one under the lock.
    return false;
  } finally {
    close(lock);
  }
}

/** Whether another process holds the file's lock. A lock taken here ends with the descriptor. */
function isLocked(fd: number): boolean {
  try {
    flock(fd, LOCK_SH | LOCK_NB);
    return false;
  } catch (error) {
    if (isErrno(error, EAGAIN)) return true;
    throw error;
  }
}

function createFirst(context: NamespaceContext, channel: IdMapChannel["child"]): Membership {
  Deno.mkdirSync(context.membersDir, { recursive: true, mode: 0o700 });
  using lock = new Fd(open(`${context.membersDir}/lock`, O_RDWR | O_CREAT | O_CLOEXEC, 0o600));
  flockBlocking(lock.number, LOCK_EX);
  const joined = joinAny(context, channel);
  if (joined) return joined;
  unshare(CLONE_NEWUSER);
  if (context.maps.isSingle) {
    // A process without helpers may map its own id only, and must give up setgroups(2) first.
    Deno.writeTextFileSync("/proc/self/setgroups", "deny");
    Deno.writeTextFileSync("/proc/self/uid_map", formatIdMap(context.maps.uid));
    Deno.writeTextFileSync("/proc/self/gid_map", formatIdMap(context.maps.gid));
  } else {
    tell(channel, "M");
    if (read(channel.reply, new Uint8Array(1)) !== 1) throw new Error("ids were not mapped");
  }
  const membership = registerMember(context.membersDir);
  tell(channel, "J");
  return membership;
}

/** Files of members: `<pid>.<random>`; the random part keeps a reused pid from meeting a stale file. */
function memberNames(dir: string): string[] {
  try {
    return [...Deno.readDirSync(dir)].map((entry) => entry.name).filter((name) =>
      /^\d+\.[0-9a-f]+$/.test(name)
    );
  } catch {
    return [];
  }
}

/** Makes this process, which is inside, a member: it keeps the namespace alive, and others join it by that. */
export function registerMember(dir: string): Membership {
  const name = `${getpid()}.${Math.floor(Math.random() * 2 ** 48).toString(16)}`;
  const lockFd = open(`${dir}/.${name}`, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600);
  flock(lockFd, LOCK_EX | LOCK_NB);
  renameat2(AT_FDCWD, `${dir}/.${name}`, AT_FDCWD, `${dir}/${name}`);
  return { path: `${dir}/${name}`, lockFd };
}

/** Ends a membership ahead of the process: the file goes first, so nobody finds it unlocked. */
export function leaveUserNamespace(membership: Membership | undefined): void {
  if (!membership) return;
  try {
    Deno.removeSync(membership.path);
  } catch {
    // A joiner may have removed it, or the runtime folder is gone.
  }
  close(membership.lockFd);
}

async function runHelper(helper: string, pid: number, mappings: IdMapping[]): Promise<void> {
  const words = mappings.flatMap((one) => [one.containerID, one.hostID, one.size].map(String));
  const [errorRead, errorWrite] = pipe2(O_CLOEXEC);
  const child = posix_spawn(helper, [helper, String(pid), ...words], ["PATH=/usr/bin:/bin"], {
    2: errorWrite,
  });
  close(errorWrite);
  const { status } = await waitpidAsync(child);
  const text = new Uint8Array(1024);
  const length = status === 0 ? 0 : read(errorRead, text);
  close(errorRead);
  if (status === 0) return;
  const said = new TextDecoder().decode(text.subarray(0, length)).trim();
  throw new HostError(`map ids with ${helper}: ${said || `exit status ${status}`}`, {
    hint:
      "check that the helper is setuid root and that /etc/subuid and /etc/subgid name ranges of this user",
  });
}

function tell(channel: IdMapChannel["child"], text: string): void {
  writeAll(channel.request, new TextEncoder().encode(text));
}

/** A failure as data, so that it crosses the pipe. */
interface Failure {
  message: string;
  errno: number;
  syscall: string;
}

function describeFailure(error: unknown): Failure {
  const message = error instanceof Error ? error.message : String(error);
  return error instanceof SyscallError
    ? { message, errno: error.errno, syscall: error.syscall }
    : { message, errno: 0, syscall: "" };
}

/** What the kernel says to whom it forbids the namespace, its maps, or (AppArmor) the rights in it. */
async function namespaceError(failure: Failure): Promise<HostError> {
  const isOurs = ["unshare", "setresgid", "setresuid"].includes(failure.syscall) ||
    /\b[ug]id_map|setgroups/.test(failure.message);
  if (!isOurs) return new HostError(`create user namespace: ${failure.message}`);
  const { findRestrictions, UNKNOWN_RESTRICTION } = await import("./restrictions.ts");
  const { cause, remedy } = findRestrictions()[0] ?? UNKNOWN_RESTRICTION;
  return new HostError(`create user namespace: ${failure.message}: ${cause}`, { hint: remedy });
}
