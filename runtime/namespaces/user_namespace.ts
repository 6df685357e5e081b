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
 * Ids are mapped from outside. Where a child will be the first, the parent starts a program before the fork that makes the
 * namespace and has its ids mapped (ffi/id_map_program.ts), which the child then joins; where it turns out to be the first
 * only then, it leaves a shell outside, which waits for its unshare(2). The parent could do that, but it has a command to
 * load meanwhile, and the child would wait for its next turn of the event loop.
 */

import { MACHINE } from "../../ffi/arch.ts";
import { EAGAIN, isErrno, SyscallError } from "../../ffi/errno.ts";
import { createExecutableMemfd } from "../../ffi/executable_memfd.ts";
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
import { idMapProgram } from "../../ffi/id_map_program.ts";
import { openFamilies } from "../../ffi/libc.ts";
import { setns, unshare } from "../../ffi/namespaces.ts";
import { getpid, kill, setresgid, setresuid, waitpidBlocking } from "../../ffi/process.ts";
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
import { SIGKILL } from "../../ffi/constants/signal.ts";
import { HostError } from "../errors.ts";
import type { IdMapping } from "../spec/runtime.ts";
import type { NamespaceContext } from "./context.ts";
import { formatIdMap, type IdMaps } from "./id_map.ts";

type Helpers = NonNullable<NamespaceContext["helpers"]>;

/** The child's end of the pipe from it to its parent, and what maps its ids. */
export interface ChildEnds {
  child: number;
  mapper?: IdMapper;
}

/** The same with the parent's end. */
export interface NamespaceChannel extends ChildEnds {
  parent: number;
}

/** A program outside of the namespace that has ids mapped in it. */
export interface IdMapper {
  pid: number;
  /** It has made a namespace, and somebody who lives in it; otherwise it waits to be told who is in one. */
  isHolder: boolean;
  /** Where it is told the pid of that one. At its end the holder ends. */
  go: number;
  /** What a helper has said, and behind a NUL in one line: the pid of who holds the namespace, or the helper that failed. */
  answers: number;
}

/**
 * Makes the pipe, and what else the child needs, before the fork. With `context` that is the mapper as well, where the child
 * will most likely be the first in the namespace: it is ready when the child is.
 */
export function openNamespaceChannel(context?: NamespaceContext): NamespaceChannel {
  openFamilies("spawn");
  const [parent, child] = pipe2(O_CLOEXEC);
  return { child, parent, mapper: context && startMapperAhead(context) };
}

/** The descriptors that the child needs. */
export function descriptorsOf({ child, mapper }: ChildEnds): number[] {
  return mapper ? [child, mapper.go, mapper.answers] : [child];
}

/** What `fork` gives, which makes the child. Where that fails there is none, and the channel goes. */
export function forkOver<T>(channel: NamespaceChannel, fork: () => T): T {
  try {
    return fork();
  } catch (error) {
    for (const fd of [channel.parent, ...descriptorsOf(channel)]) close(fd);
    endMapper(channel.mapper);
    throw error;
  }
}

const JOINED = "J".charCodeAt(0);
/** So much is written to a pipe as a whole. @see pipe(7) */
const PIPE_BUF = 4096;
/** A helper may have more to say; with each character escaped, as JSON does it, it is still one write. */
const LONGEST_MESSAGE = 600;

/** What a member holds; its lock ends with it, or with the process. */
export interface Membership {
  path: string;
  lockFd: number;
}

/**
 * In a forked child: makes it root of the user's namespace. As real root it only tells the parent.
 *
 * The child's ends are closed. Throws what failed, after telling the parent.
 */
export function enterUserNamespaceBlocking(
  context: NamespaceContext,
  ends: ChildEnds,
): Membership | undefined {
  const { child: channel, mapper } = ends;
  const member = () => {
    if (context.isInside) return registerMember(context.membersDir);
    return joinAny(context) ?? createFirst(context, mapper);
  };
  try {
    const membership = context.isRootless ? member() : undefined;
    // a mapper that ends itself is not waited for by the parent
    if (mapper) closeMapperEnds(mapper);
    tell(channel, "J");
    if (membership && !context.isInside) {
      setresgid(0);
      setresuid(0);
    }
    return membership;
  } catch (error) {
    tell(channel, `E${JSON.stringify(describeFailure(error))}`);
    throw error;
  } finally {
    close(channel);
  }
}

function closeMapperEnds(mapper: IdMapper): void {
  for (const fd of [mapper.go, mapper.answers]) close(fd);
}

/**
 * In the parent: resolves when the child is in the namespace.
 *
 * The channel's ends are closed, the child's first: a child that dies is seen as the end of the pipe.
 *
 * @throws {HostError} where the namespace cannot be had, with the remedy as hint
 */
export async function awaitUserNamespace(channel: NamespaceChannel): Promise<void> {
  for (const fd of descriptorsOf(channel)) close(fd);
  try {
    const buffer = new Uint8Array(PIPE_BUF);
    const length = await readAsync(channel.parent, buffer);
    if (length === 0) throw new HostError("create user namespace: the process ended early");
    if (buffer[0] === JOINED) return;
    throw await namespaceError(JSON.parse(new TextDecoder().decode(buffer.subarray(1, length))));
  } finally {
    close(channel.parent);
    endMapper(channel.mapper);
  }
}

/** Joins the namespace of the first member that lives, or gives undefined where none does. */
function joinAny(context: NamespaceContext): Membership | undefined {
  for (const name of memberNames(context.membersDir)) {
    if (!joinMember(`${context.membersDir}/${name}`, Number(name.split(".")[0]))) continue;
    return registerMember(context.membersDir);
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

function createFirst(context: NamespaceContext, ahead: IdMapper | undefined): Membership {
  Deno.mkdirSync(context.membersDir, { recursive: true, mode: 0o700 });
  using lock = new Fd(open(`${context.membersDir}/lock`, O_RDWR | O_CREAT | O_CLOEXEC, 0o600));
  flockBlocking(lock.number, LOCK_EX);
  const joined = joinAny(context);
  if (joined) return joined;
  if (context.maps.isSingle) {
    unshare(CLONE_NEWUSER);
    // A process without helpers may map its own id only, and must give up setgroups(2) first.
    Deno.writeTextFileSync("/proc/self/setgroups", "deny");
    Deno.writeTextFileSync("/proc/self/uid_map", formatIdMap(context.maps.uid));
    Deno.writeTextFileSync("/proc/self/gid_map", formatIdMap(context.maps.gid));
  } else {
    if (!ahead || !enterBy(ahead)) enterByOwn(startShell(context.helpers!, context.maps));
  }
  return registerMember(context.membersDir);
}

/** The same with a mapper that is this process's own child. */
function enterByOwn(mapper: IdMapper): void {
  try {
    enterBy(mapper);
  } finally {
    closeMapperEnds(mapper);
    endMapper(mapper);
  }
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

/** `$1` and `$2` the helpers, `$3` and `$4` their maps. */
const MAP_IDS =
  `read -r pid && { "$1" "$pid" $3 & "$2" "$pid" $4 || failed=$2; wait "$!" || failed=$1; printf '\\0%s\\n' "$failed"; }`;

/** Starts a shell that maps the ids of who tells it his pid, from a user namespace of his own. */
function startShell(helpers: Helpers, maps: IdMaps): IdMapper {
  const words = [helpers.newuidmap, helpers.newgidmap, helperWords(maps.uid).join(" ")];
  return spawnMapper("/bin/sh", ["sh", "-c", MAP_IDS, "skiff", ...words, helperWords(maps.gid).join(" ")]);
}

/** Starts a program that makes the namespace as well: nobody waits for what it does meanwhile. */
function startHolder({ newuidmap, newgidmap }: Helpers, maps: IdMaps): IdMapper {
  const argv = [newuidmap, "", ...helperWords(maps.uid), "", newgidmap, "", ...helperWords(maps.gid)];
  using file = new Fd(createExecutableMemfd("skiff-ids"));
  writeAll(file.number, idMapProgram());
  return { ...spawnMapper(`/proc/self/fd/${file.number}`, argv), isHolder: true };
}

function spawnMapper(path: string, argv: string[]): IdMapper {
  const [waits, go] = pipe2(O_CLOEXEC);
  const [answers, says] = pipe2(O_CLOEXEC);
  try {
    const streams = { 0: waits, 1: says, 2: says };
    const pid = posix_spawn(path, argv, ["PATH=/usr/bin:/bin"], streams);
    return { pid, isHolder: false, go, answers };
  } catch (error) {
    for (const fd of [go, answers]) close(fd);
    throw error;
  } finally {
    for (const fd of [waits, says]) close(fd);
  }
}

/** undefined where somebody is in the namespace or makes it, and where none can be started, which the child meets again. */
function startMapperAhead(context: NamespaceContext): IdMapper | undefined {
  const { isRootless, isInside, helpers, maps, membersDir } = context;
  if (!isRootless || isInside || !helpers || memberNames(membersDir).length > 0) return undefined;
  try {
    if (isBeingMade(membersDir)) return undefined;
    return MACHINE === "x86_64" ? startHolder(helpers, maps) : startShell(helpers, maps);
  } catch {
    return undefined;
  }
}

function isBeingMade(membersDir: string): boolean {
  let lock: number;
  try {
    lock = open(`${membersDir}/lock`, O_RDWR | O_CLOEXEC);
  } catch {
    return false;
  }
  try {
    return isLocked(lock);
  } finally {
    close(lock);
  }
}

/** Brings this process into a new namespace with its ids mapped. False where the mapper has none, and does not say why. */
function enterBy({ isHolder, go, answers }: IdMapper): boolean {
  if (!isHolder) {
    unshare(CLONE_NEWUSER);
    writeAll(go, new TextEncoder().encode(`${getpid()}\n`));
  }
  const said = readAnswer(answers);
  const [words, last] = said.split("\0");
  if (last === undefined && isHolder) return false;
  if (isHolder && /^\d+\n$/.test(last!)) {
    // it lives as long as `go` is open, so nobody else has its pid
    using namespace = new Fd(open(`/proc/${last!.trim()}/ns/user`, O_RDONLY | O_CLOEXEC));
    setns(namespace.number, CLONE_NEWUSER);
    return true;
  }
  if (last === "\n") return true;
  const helper = last?.trim() || "the helpers";
  throw new MappingError(`map ids with ${helper}: ${words!.trim() || "it failed without a word"}`);
}

/** Up to the line behind the NUL, or the end. */
function readAnswer(answers: number): string {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(1024);
  let said = "";
  while (!/\0.*\n/.test(said)) {
    const length = read(answers, buffer);
    if (length === 0) break;
    said += decoder.decode(buffer.subarray(0, length), { stream: true });
  }
  return said;
}

/** It is a child of this process, and has nothing more to do, or hangs. */
function endMapper(mapper: IdMapper | undefined): void {
  if (!mapper) return;
  kill(mapper.pid, SIGKILL);
  waitpidBlocking(mapper.pid);
}

function helperWords(mappings: readonly IdMapping[]): string[] {
  return mappings.flatMap((one) => [one.containerID, one.hostID, one.size]).map(String);
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
  const message = (error instanceof Error ? error.message : String(error)).slice(0, LONGEST_MESSAGE);
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
