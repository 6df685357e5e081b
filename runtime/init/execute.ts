/** Finds the program and becomes it, through the sealed stub. */

import { EACCES, ENOENT, errnoText } from "../../ffi/errno.ts";
import { MACHINE, type Machine } from "../../ffi/arch.ts";
import { emitExecStub, EXEC_STUB_STATUS_FD } from "../../ffi/exec_stub.ts";
import { createExecutableMemfd } from "../../ffi/executable_memfd.ts";
import { accessErrno, dup2, fcntl, statx, writeAll } from "../../ffi/file.ts";
import { execveat } from "../../ffi/process.ts";
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  F_ADD_SEALS,
  F_DUPFD_CLOEXEC,
  F_SEAL_GROW,
  F_SEAL_SEAL,
  F_SEAL_SHRINK,
  F_SEAL_WRITE,
  X_OK,
} from "../../ffi/constants/fcntl.ts";
import { S_IFDIR, S_IFMT } from "../../ffi/constants/stat.ts";
import type { SetupFailure } from "../monitor/plan.ts";

const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The program is not there, or may not be run; as data, since it crosses to the monitor. */
export class ExecuteError extends Error {
  constructor(readonly failure: SetupFailure) {
    super(failure.message);
  }
}

/** A descriptor of this process, and its number in the program, which is above 2. */
export interface PassedFd {
  fd: number;
  as: number;
}

/** Behind all that the program gets. */
function statusFdAfter(passed: readonly PassedFd[]): number {
  return Math.max(EXEC_STUB_STATUS_FD - 1, ...passed.map((one) => one.as)) + 1;
}

/** A memfd that holds the stub and can never be changed. Made before the seccomp filter is in place. */
export function openExecStub(
  emit: (machine: Machine, statusFd: number) => Uint8Array = emitExecStub,
  passed: readonly PassedFd[] = [],
): number {
  const fd = createExecutableMemfd("skiff-exec");
  writeAll(fd, emit(MACHINE, statusFdAfter(passed)) as Uint8Array<ArrayBuffer>);
  fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
  return fd;
}

/**
 * The path of `name` in the root that this process is in: as it stands with a slash in it, else the first
 * executable file on PATH.
 *
 * @see execvp(3)
 */
export function findProgram(name: string, env: readonly string[]): string {
  if (name === "") throw notFound(name);
  if (name.includes("/")) {
    const problem = whyNotExecutable(name);
    if (problem !== undefined) throw cannotExecute(name, problem);
    return name;
  }
  const path = env.findLast((entry) => entry.startsWith("PATH="))?.slice(5) ?? DEFAULT_PATH;
  let refused: number | undefined;
  for (const folder of path.split(":")) {
    const candidate = `${folder === "" ? "." : folder}/${name}`;
    const problem = whyNotExecutable(candidate);
    if (problem === undefined) return candidate;
    if (problem !== ENOENT) refused ??= problem;
  }
  throw refused === undefined ? notFound(name) : cannotExecute(name, refused);
}

function whyNotExecutable(path: string): number | undefined {
  const problem = accessErrno(AT_FDCWD, path, X_OK);
  if (problem !== 0) return problem === EACCES ? EACCES : ENOENT;
  return (statx(AT_FDCWD, path).mode & S_IFMT) === S_IFDIR ? EACCES : undefined;
}

function notFound(name: string): ExecuteError {
  const message = `executable file \`${name}\` not found in $PATH: No such file or directory`;
  return new ExecuteError({ stage: "execute", errno: ENOENT, syscall: "execve", path: name, message });
}

function cannotExecute(name: string, errno: number): ExecuteError {
  const message = `${name}: ${errnoText(errno)}`;
  return new ExecuteError({ stage: "execute", errno, syscall: "execve", path: name, message });
}

/**
 * Becomes the program. Descriptors but 0 to 2 and `passed` are close-on-exec; `control` becomes the stub's status
 * descriptor, on which it reports an execve that failed.
 */
export function execute(
  stub: number,
  control: number,
  path: string,
  args: readonly string[],
  env: readonly string[],
  passed: readonly PassedFd[] = [],
): never {
  const statusFd = statusFdAfter(passed);
  // All step aside first: each may have the number that another is to get.
  const stepAside = (fd: number) => fcntl(fd, F_DUPFD_CLOEXEC, statusFd + 1);
  const [program, status] = [stepAside(stub), stepAside(control)];
  for (const { fd, as } of passed.map((one) => ({ ...one, fd: stepAside(one.fd) }))) dup2(fd, as);
  dup2(status, statusFd);
  execveat(program, "", [path, ...args], env, AT_EMPTY_PATH);
}
