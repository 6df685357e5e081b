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
 * Signals back to their default action; `signals` is a mask as in /proc/self/status. Before an execve(2) the ignored
 * ones are enough, for it resets handlers.
 */
export function resetSignalDispositions(signals: bigint): void {
  for (let signal = 1; signal <= LAST_SIGNAL; signal++) {
    if (!(signals >> BigInt(signal - 1) & 1n)) continue;
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
