/**
 * The one user namespace that all of a user's containers share: joined where it lives, made where it does not.
 *
 * It lives as long as any member does. A member registers a file in `membersDir`, which it holds locked;
 * a joiner opens a member's /proc/PID/ns/user and looks again that the lock is still held, so a reused pid
 * is never joined. Only a first start takes the lock of the folder:
 *
 * ```
 *  forked child                          parent
 *    member alive? setns ─ 'J' ───────────▶ goes on
 *    none: flock, unshare, map, register,
 *          unlock ──────── 'J' ───────────▶ goes on
 *    anything fails ─ 'E' + text ─────────▶ HostError
 * ```
 *
 * Ids are mapped from outside: the child leaves a shell there, which waits for its unshare(2). The parent could do it,
 * but it has a command to load meanwhile, and the child would wait for its next turn of the event loop.
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
import { openFamilies } from "../../ffi/libc.ts";
import { setns, unshare } from "../../ffi/namespaces.ts";
import { getpid, setresgid, setresuid, waitpidBlocking } from "../../ffi/process.ts";
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

/** The pipe from a forked child to its parent. */
export interface NamespaceChannel {
  child: number;
  parent: number;
}

/** Makes the pipe, and what else the child needs, before the fork. */
export function openNamespaceChannel(): NamespaceChannel {
  openFamilies("spawn");
  const [parent, child] = pipe2(O_CLOEXEC);
  return { child, parent };
}

const JOINED = "J".charCodeAt(0);
/** So much is written to a pipe as a whole. @see pipe(7) */
const PIPE_BUF = 4096;

/** What a member holds; its lock ends with it, or with the process. */
export interface Membership {
  path: string;
  lockFd: number;
}

/**
 * In a forked child: makes it root of the user's namespace. As real root it only tells the parent.
 *
 * `channel` is closed. Throws what failed, after telling the parent.
 */
export function enterUserNamespaceBlocking(
  context: NamespaceContext,
  channel: number,
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
    close(channel);
  }
}

/**
 * In the parent: resolves when the child is in the namespace.
 *
 * The channel's ends are closed, the child's first: a child that dies is seen as the end of the pipe.
 *
 * @throws {HostError} where the namespace cannot be had, with the remedy as hint
 */
export async function awaitUserNamespace(channel: NamespaceChannel): Promise<void> {
  close(channel.child);
  try {
    const buffer = new Uint8Array(PIPE_BUF);
    const length = await readAsync(channel.parent, buffer);
    if (length === 0) throw new HostError("create user namespace: the process ended early");
    if (buffer[0] === JOINED) return;
    throw await namespaceError(JSON.parse(new TextDecoder().decode(buffer.subarray(1, length))));
  } finally {
    close(channel.parent);
  }
}

/** Joins the namespace of the first member that lives, or gives undefined where none does. */
function joinAny(context: NamespaceContext, channel: number): Membership | undefined {
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

function createFirst(context: NamespaceContext, channel: number): Membership {
  Deno.mkdirSync(context.membersDir, { recursive: true, mode: 0o700 });
  using lock = new Fd(open(`${context.membersDir}/lock`, O_RDWR | O_CREAT | O_CLOEXEC, 0o600));
  flockBlocking(lock.number, LOCK_EX);
  const joined = joinAny(context, channel);
  if (joined) return joined;
  if (context.maps.isSingle) {
    unshare(CLONE_NEWUSER);
    // A process without helpers may map its own id only, and must give up setgroups(2) first.
    Deno.writeTextFileSync("/proc/self/setgroups", "deny");
    Deno.writeTextFileSync("/proc/self/uid_map", formatIdMap(context.maps.uid));
    Deno.writeTextFileSync("/proc/self/gid_map", formatIdMap(context.maps.gid));
  } else {
    const finish = startMapping(context);
    unshare(CLONE_NEWUSER);
    finish();
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

/** `$1` the process, `$2` and `$3` the helpers, `$4` and `$5` their maps; exits with the number of the one that failed. */
const MAP_IDS = `read -r _ && { "$2" "$1" $4 & "$3" "$1" $5 || exit 2; wait "$!" || exit 1; }`;

/** Starts what maps this process's ids when the function that it gives is called, from a user namespace of its own. */
function startMapping({ helpers, maps }: NamespaceContext): () => void {
  const { newuidmap, newgidmap } = helpers!;
  const words = [String(getpid()), newuidmap, newgidmap, helperWords(maps.uid), helperWords(maps.gid)];
  const [waits, go] = pipe2(O_CLOEXEC);
  const [errorRead, errorWrite] = pipe2(O_CLOEXEC);
  const shell = posix_spawn("/bin/sh", ["sh", "-c", MAP_IDS, "skiff", ...words], ["PATH=/usr/bin:/bin"], {
    0: waits,
    2: errorWrite,
  });
  close(waits);
  close(errorWrite);
  return () => {
    writeAll(go, new TextEncoder().encode("\n"));
    close(go);
    const { status } = waitpidBlocking(shell);
    const text = new Uint8Array(1024);
    const length = status === 0 ? 0 : read(errorRead, text);
    close(errorRead);
    if (status === 0) return;
    const said = new TextDecoder().decode(text.subarray(0, length)).trim();
    throw new MappingError(
      `map ids with ${status === 1 ? newuidmap : newgidmap}: ${said || `exit status ${status}`}`,
    );
  };
}

function helperWords(mappings: readonly IdMapping[]): string {
  return mappings.flatMap((one) => [one.containerID, one.hostID, one.size]).join(" ");
}

/** What a helper said. */
class MappingError extends Error {}

function tell(channel: number, text: string): void {
  writeAll(channel, new TextEncoder().encode(text));
}

/** A failure as data, so that it crosses the pipe. */
interface Failure {
  message: string;
  errno: number;
  syscall: string;
  /** It is of the helpers' own. */
  isMapping: boolean;
}

function describeFailure(error: unknown): Failure {
  const message = error instanceof Error ? error.message : String(error);
  return error instanceof SyscallError
    ? { message, errno: error.errno, syscall: error.syscall, isMapping: false }
    : { message, errno: 0, syscall: "", isMapping: error instanceof MappingError };
}

/** What the kernel says to whom it forbids the namespace, its maps, or (AppArmor) the rights in it. */
async function namespaceError(failure: Failure): Promise<HostError> {
  if (failure.isMapping) {
    return new HostError(failure.message, {
      hint:
        "check that the helper is setuid root and that /etc/subuid and /etc/subgid name ranges of this user",
    });
  }
  const isOurs = ["unshare", "setresgid", "setresuid"].includes(failure.syscall) ||
    /\b[ug]id_map|setgroups/.test(failure.message);
  if (!isOurs) return new HostError(`create user namespace: ${failure.message}`);
  const { findRestrictions, UNKNOWN_RESTRICTION } = await import("./restrictions.ts");
  const { cause, remedy } = findRestrictions()[0] ?? UNKNOWN_RESTRICTION;
  return new HostError(`create user namespace: ${failure.message}: ${cause}`, { hint: remedy });
}
