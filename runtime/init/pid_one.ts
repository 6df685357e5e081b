/**
 * `--init`: pid 1 stays ours, starts the program as its child, forwards signals and reaps what is orphaned.
 *
 * @see pid_namespaces(7), init
 */

import { ESRCH, isErrno } from "../../ffi/errno.ts";
import { closeAllExcept, dup2, read } from "../../ffi/file.ts";
import { forkChild } from "../../ffi/fork.ts";
import { _exit, capset, kill, prctl, setProcessName, waitpid } from "../../ffi/process.ts";
import { setProcessTitle } from "../../ffi/process_title.ts";
import { setSignalMask, signalfd } from "../../ffi/signal.ts";
import { PR_SET_DUMPABLE } from "../../ffi/constants/prctl.ts";
import { SFD_CLOEXEC, SIGCHLD, WNOHANG } from "../../ffi/constants/signal.ts";
import { capabilityMask } from "../security/capabilities.ts";
import { dieWithParent } from "./credentials.ts";

/** All that can be blocked; SIGKILL and SIGSTOP in the set are ignored by the kernel. */
const ALL_SIGNALS = Array.from({ length: 64 }, (_, index) => index + 1);

/** Size of struct signalfd_siginfo. @see signalfd(2) */
const SIGINFO_BYTES = 128;

export interface PidOneOptions {
  /** Replaces the forked child by the program. */
  becomeProgram: () => never;
  /** Told, in the child, why that failed. */
  onError: (error: unknown) => void;
  /** The host's /dev/null; the container may have put anything there. */
  nothing: number;
  monitorPid: number;
}

/**
 * Forks the program and serves as its init; never returns.
 *
 * Ends as the program ends: with its status, or 128 + the signal that killed it.
 */
export function runAsPidOne({ becomeProgram, onError, nothing, monitorPid }: PidOneOptions): never {
  const signals = signalfd(ALL_SIGNALS, SFD_CLOEXEC);
  setSignalMask(ALL_SIGNALS);
  // Before the program can look: its own name comes with its execve.
  setProcessName("init");
  setProcessTitle("/sbin/init");
  const program = forkChild(() => {
    setSignalMask([]);
    return becomeProgram();
  }, onError);
  // The control socket must close with the program's exec, so no copy of it stays here, nor of its streams.
  for (const fd of [0, 1, 2]) dup2(nothing, fd);
  closeAllExcept([signals]);
  // To signal a program of any user is all that is still to do.
  const toSignal = capabilityMask(["CAP_KILL"]);
  capset(toSignal, toSignal, 0n);
  prctl(PR_SET_DUMPABLE, 0);
  dieWithParent(monitorPid);

  const info = new Uint8Array(SIGINFO_BYTES);
  const view = new DataView(info.buffer);
  for (;;) {
    read(signals, info);
    const signal = view.getUint32(0, true);
    if (signal !== SIGCHLD) forward(program, signal);
    for (let ended = waitpid(-1, WNOHANG); ended; ended = waitpid(-1, WNOHANG)) {
      if (ended.pid === program) _exit(ended.status);
    }
  }
}

function forward(pid: number, signal: number): void {
  try {
    kill(pid, signal);
  } catch (error) {
    if (!isErrno(error, ESRCH)) throw error;
  }
}
