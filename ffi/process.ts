/** Processes, what they run, and what they may. Every function throws SyscallError. */

import { cstring, cstringArray } from "./cstring.ts";
import { check, EINTR, errno, SyscallError } from "./errno.ts";
import { libc, SYSCALL } from "./libc.ts";
import { WNOHANG } from "./constants/signal.ts";
import { _LINUX_CAPABILITY_VERSION_3, KEYCTL_JOIN_SESSION_KEYRING, PR_SET_NAME } from "./constants/prctl.ts";

/** @see getpid(2) */
export function getpid(): number {
  return libc("process").getpid();
}

/** @see getppid(2) */
export function getppid(): number {
  return libc("process").getppid();
}

/** @see setsid(2) */
export function setsid(): void {
  check("setsid", libc("process").setsid());
}

/** @see prctl(2) */
export function prctl(option: number, a = 0, b = 0, c = 0, d = 0): number {
  return check(
    "prctl",
    libc("process").prctl(option, BigInt(a), BigInt(b), BigInt(c), BigInt(d)),
    `option ${option}`,
  );
}

/** Names this thread for `ps -o comm`; the kernel keeps 15 bytes. @see PR_SET_NAME(2const) */
export function setProcessName(name: string): void {
  check("prctl", libc("process").prctlBuffer(PR_SET_NAME, cstring(name), 0n, 0n, 0n));
}

/** @see kill(2) */
export function kill(pid: number, signal: number): void {
  check("kill", libc("process").kill(pid, signal), String(pid));
}

/** @see pidfd_open(2) */
export function pidfd_open(pid: number, flags = 0): number {
  return check("pidfd_open", libc("process").pidfd_open(SYSCALL.pidfd_open, pid, flags), String(pid));
}

/** @see pidfd_send_signal(2) */
export function pidfd_send_signal(pidfd: number, signal: number): void {
  check(
    "pidfd_send_signal",
    libc("process").pidfd_send_signal(SYSCALL.pidfd_send_signal, pidfd, signal, null, 0),
  );
}

/** Ends a forked child at once; nothing of the runtime runs any more. @see _exit(2) */
export function _exit(status: number): never {
  libc("fork")._exit(status);
  throw new Error("unreachable");
}

/** How a child ended: its exit status, or 128 + the signal that killed it. */
export interface ExitedChild {
  pid: number;
  /** As a shell shows it in `$?`. */
  status: number;
}

const waitStatus = new Int32Array(1);
const waitStatusBytes = new Uint8Array(waitStatus.buffer);

/** Reaps one child (`pid` -1: any). Gives undefined with WNOHANG where none has ended. @see waitpid(2) */
export function waitpid(pid: number, options: number): ExitedChild | undefined {
  for (;;) {
    const result = libc("fork").waitpid(pid, waitStatusBytes, options);
    if (result > 0) return { pid: result, status: decodeWaitStatus(waitStatus[0]!) };
    if (result === 0) return undefined;
    const code = errno();
    if (code !== EINTR) throw new SyscallError("waitpid", code, String(pid));
  }
}

/** Reaps a child that has ended; undefined where none has, or there is none at all. */
export function reapChild(): ExitedChild | undefined {
  const result = libc("fork").waitpid(-1, waitStatusBytes, WNOHANG);
  return result > 0 ? { pid: result, status: decodeWaitStatus(waitStatus[0]!) } : undefined;
}

/** Waits for a child in the calling thread: for forked children only. */
export function waitpidBlocking(pid: number): ExitedChild {
  return waitpid(pid, 0)!;
}

/** Waits for a child on a thread of its own. @see waitpid(2) */
export async function waitpidAsync(pid: number): Promise<ExitedChild> {
  const status = new Int32Array(1);
  const result = await libc("fork").waitpidAsync(pid, new Uint8Array(status.buffer), 0);
  if (result > 0) return { pid: result, status: decodeWaitStatus(status[0]!) };
  return waitpid(pid, 1) ?? { pid, status: 255 };
}

/** The macros of wait(2) on a wait status. */
export function decodeWaitStatus(status: number): number {
  const signal = status & 0x7f;
  return signal === 0 ? (status >> 8) & 0xff : 128 + signal;
}

/** Replaces this process; returns only by throwing. @see execve(2) */
export function execve(path: string, argv: readonly string[], env: readonly string[]): never {
  const [args, vars] = [cstringArray(argv), cstringArray(env)];
  libc("process").execve(cstring(path), bytes(args.pointers), bytes(vars.pointers));
  throw new SyscallError("execve", errno(), path);
}

/** Executes what an open descriptor holds; returns only by throwing. @see execveat(2) */
export function execveat(
  fd: number,
  path: string,
  argv: readonly string[],
  env: readonly string[],
  flags: number,
): never {
  const [args, vars] = [cstringArray(argv), cstringArray(env)];
  libc("process").execveat(
    SYSCALL.execveat,
    fd,
    cstring(path),
    bytes(args.pointers),
    bytes(vars.pointers),
    flags,
  );
  throw new SyscallError("execveat", errno(), path);
}

/** Gives the former mask. @see umask(2) */
export function umask(mask: number): number {
  return libc("process").umask(mask);
}

/** Gives the former persona. @see personality(2) */
export function personality(persona: number): number {
  return check("personality", libc("process").personality(persona));
}

/** @see chdir(2) */
export function chdir(path: string): void {
  check("chdir", libc("process").chdir(cstring(path)), path);
}

/** @see fchdir(2) */
export function fchdir(fd: number): void {
  check("fchdir", libc("process").fchdir(fd));
}

/** @see chroot(2) */
export function chroot(path: string): void {
  check("chroot", libc("process").chroot(cstring(path)), path);
}

/** @see sethostname(2) */
export function sethostname(name: string): void {
  const text = cstring(name);
  check("sethostname", libc("process").sethostname(text, BigInt(text.length - 1)), name);
}

/** @see setdomainname(2) */
export function setdomainname(name: string): void {
  const text = cstring(name);
  check("setdomainname", libc("process").setdomainname(text, BigInt(text.length - 1)), name);
}

/** Soft and hard limit; `Infinity` is RLIM_INFINITY. */
export interface Rlimit {
  soft: number;
  hard: number;
}

const RLIM_INFINITY = 0xffffffffffffffffn;

/** @see prlimit(2) */
export function getrlimit(resource: number, pid = 0): Rlimit {
  const buffer = new BigUint64Array(2);
  check("prlimit", libc("process").prlimit(pid, resource, null, bytes(buffer)));
  const number = (value: bigint) => value === RLIM_INFINITY ? Infinity : Number(value);
  return { soft: number(buffer[0]!), hard: number(buffer[1]!) };
}

/** @see prlimit(2) */
export function setrlimit(resource: number, limit: Rlimit, pid = 0): void {
  const value = (number: number) => number === Infinity ? RLIM_INFINITY : BigInt(number);
  const buffer = new BigUint64Array([value(limit.soft), value(limit.hard)]);
  check("prlimit", libc("process").prlimit(pid, resource, bytes(buffer), null));
}

/** Leaves the caller's session keyring for a new, anonymous one. @see keyctl(2) */
export function joinNewSessionKeyring(): void {
  check("keyctl", libc("process").keyctl(SYSCALL.keyctl, KEYCTL_JOIN_SESSION_KEYRING, null));
}

/** Installs a filter: `program` is an array of struct sock_filter. @see seccomp(2) */
export function seccompSetFilter(program: Uint8Array<ArrayBuffer>, flags: number): void {
  // struct sock_fprog { unsigned short len; struct sock_filter *filter; }
  const fprog = new Uint8Array(16);
  const view = new DataView(fprog.buffer);
  view.setUint16(0, program.length / 8, true);
  view.setBigUint64(8, Deno.UnsafePointer.value(Deno.UnsafePointer.of(program)), true);
  check("seccomp", libc("process").seccomp(SYSCALL.seccomp, 1, flags, fprog));
}

/** Real, effective and saved ids of this thread. @see setresuid(2) */
export function setresuid(uid: number): void {
  check("setresuid", libc("credentials").setresuid(SYSCALL.setresuid, uid, uid, uid), String(uid));
}

/** @see setresgid(2) */
export function setresgid(gid: number): void {
  check("setresgid", libc("credentials").setresgid(SYSCALL.setresgid, gid, gid, gid), String(gid));
}

/** @see setgroups(2) */
export function setgroups(gids: readonly number[]): void {
  const list = new Uint32Array(Math.max(1, gids.length));
  list.set(gids);
  check("setgroups", libc("credentials").setgroups(SYSCALL.setgroups, BigInt(gids.length), bytes(list)));
}

/** Sets the three sets, bit n being capability n. @see capset(2) */
export function capset(effective: bigint, permitted: bigint, inheritable: bigint): void {
  const header = new Uint32Array([_LINUX_CAPABILITY_VERSION_3, 0]);
  const low = (set: bigint) => Number(set & 0xffffffffn);
  const high = (set: bigint) => Number(set >> 32n);
  const data = new Uint32Array([
    low(effective),
    low(permitted),
    low(inheritable),
    high(effective),
    high(permitted),
    high(inheritable),
  ]);
  check("capset", libc("credentials").capset(SYSCALL.capset, bytes(header), bytes(data)));
}

/** @see getuid(2) */
export function getuid(): number {
  return libc("credentials").getuid() >>> 0;
}

/** @see geteuid(2) */
export function geteuid(): number {
  return libc("credentials").geteuid() >>> 0;
}

/** @see getgid(2) */
export function getgid(): number {
  return libc("credentials").getgid() >>> 0;
}

/** @see getegid(2) */
export function getegid(): number {
  return libc("credentials").getegid() >>> 0;
}

function bytes(array: ArrayBufferView<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
