/**
 * A program of the user's as root of the user's own namespace.
 *
 * ```
 *  command ── fork ──▶ session: in the user and a mount namespace, waits ── fork ──▶ the program
 * ```
 * The session in between is a member of the namespace, so that containers which start meanwhile come into the same.
 */

import { closeAllExcept } from "../../ffi/file.ts";
import { forkChild } from "../../ffi/fork.ts";
import { ownStatus } from "../../ffi/own_status.ts";
import { execve, getpid, getppid, prctl, setProcessName, waitpidBlocking } from "../../ffi/process.ts";
import { resetSignalDispositions, setSignalMask } from "../../ffi/signal.ts";
import { PR_SET_PDEATHSIG } from "../../ffi/constants/prctl.ts";
import { SIGINT, SIGKILL, SIGQUIT } from "../../ffi/constants/signal.ts";
import { EACCES } from "../../ffi/errno.ts";
import { CannotInvokeError, CommandNotFoundError } from "../errors.ts";
import { ExecuteError, findProgram } from "../init/execute.ts";
import { unshareMountNamespace } from "../rootfs/perform.ts";

export interface UnsharedProgram {
  path: string;
  argv: string[];
  /** `KEY=value`. */
  env: string[];
}

/** Where the program lies, by the PATH of `env`. @throws {CommandNotFoundError | CannotInvokeError} */
export function locateProgram(argv: string[], env: string[]): UnsharedProgram {
  const name = argv[0] ?? "";
  try {
    return { path: findProgram(name, env), argv, env };
  } catch (cause) {
    if (!(cause instanceof ExecuteError)) throw cause;
    if (cause.failure.errno === EACCES) {
      throw new CannotInvokeError(`fork/exec ${name}: permission denied`, { cause });
    }
    throw new CommandNotFoundError(
      name.includes("/")
        ? `fork/exec ${name}: no such file or directory`
        : `exec: "${name}": executable file not found in $PATH`,
      { cause },
    );
  }
}

/** To be called in the forked session; gives the program's exit code. `name` and pid of the session go to its env. */
export function runUnsharedBlocking(
  program: UnsharedProgram,
  sessionVariable: (pid: number) => string,
): number {
  unshareMountNamespace();
  setProcessName("skiff: unshare");
  const ignored = ownStatus().ignoredSignals;
  const session = getpid();
  // Keys typed at the terminal are for the program, which ends or does not.
  setSignalMask([SIGINT, SIGQUIT]);
  const pid = forkChild(() => {
    closeAllExcept([]);
    setSignalMask([]);
    resetSignalDispositions(ignored);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() !== session) return 125;
    execve(program.path, program.argv, [...program.env, sessionVariable(session)]);
  });
  return waitpidBlocking(pid).status;
}
