/** Signal dispositions, masks and signalfd. @see signal(7) */

import { check } from "./errno.ts";
import { libc } from "./libc.ts";
import { SIG_SETMASK } from "./constants/signal.ts";

/** Number of the last real-time signal. */
const LAST_SIGNAL = 64;

/** All that can be blocked; SIGKILL and SIGSTOP in a set are passed over by the kernel. */
export const ALL_SIGNALS: readonly number[] = Array.from({ length: LAST_SIGNAL }, (_, index) => index + 1);

/** Size of the kernel's sigset_t. */
const SIGSET_BYTES = 8;

/** glibc's sigset_t (128 bytes, of which the kernel takes the first 8) of these signals. @see sigsetops(3) */
export function signalSet(signals: readonly number[]): Uint8Array<ArrayBuffer> {
  const set = new Uint8Array(128);
  for (const signal of signals) set[(signal - 1) >> 3]! |= 1 << ((signal - 1) & 7);
  return set;
}

/** struct kernel_sigaction { handler; flags; restorer; mask; } of all zeros: SIG_DFL. */
const DEFAULT_ACTION = new Uint8Array(32);

/**
 * Ignored signals back to their default action, which an execve(2) would leave ignored; `ignored` is the
 * mask of /proc/self/status. Handlers need nothing: execve(2) resets them.
 */
export function resetSignalDispositions(ignored: bigint): void {
  for (let signal = 1; signal <= LAST_SIGNAL; signal++) {
    if (!(ignored >> BigInt(signal - 1) & 1n)) continue;
    libc("signal").rt_sigaction(signal, DEFAULT_ACTION, null, SIGSET_BYTES);
  }
}

/** Blocks exactly these signals. @see sigprocmask(2) */
export function setSignalMask(signals: readonly number[]): void {
  check("sigprocmask", libc("signal").rt_sigprocmask(SIG_SETMASK, signalSet(signals), null, SIGSET_BYTES));
}

/** A descriptor that yields a struct signalfd_siginfo (128 bytes) for each of these, which must be blocked. */
export function signalfd(signals: readonly number[], flags: number): number {
  return check("signalfd", libc("signal").signalfd4(-1, signalSet(signals), SIGSET_BYTES, flags));
}
