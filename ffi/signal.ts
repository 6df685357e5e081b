/** Signal dispositions, masks and signalfd. @see signal(7) */

import { check } from "./errno.ts";
import { libc } from "./libc.ts";
import { SIG_SETMASK } from "./constants/signal.ts";

/** Number of the last real-time signal. */
const LAST_SIGNAL = 64;

/** A sigset_t (glibc: 128 bytes) of these signals. @see sigsetops(3) */
export function signalSet(signals: readonly number[]): Uint8Array<ArrayBuffer> {
  const set = new Uint8Array(128);
  for (const signal of signals) set[(signal - 1) >> 3]! |= 1 << ((signal - 1) & 7);
  return set;
}

/** Every signal back to its default action: what execve(2) leaves ignored stays ignored otherwise. */
export function resetSignalDispositions(): void {
  for (let signal = 1; signal <= LAST_SIGNAL; signal++) libc("signal").signal(signal, null);
}

/** Ignores a signal. @see signal(2) */
export function ignoreSignal(signal: number): void {
  libc("signal").signal(signal, Deno.UnsafePointer.create(1n));
}

/** Blocks exactly these signals. @see sigprocmask(2) */
export function setSignalMask(signals: readonly number[]): void {
  check("sigprocmask", libc("signal").sigprocmask(SIG_SETMASK, signalSet(signals), null));
}

/** A descriptor that yields a struct signalfd_siginfo (128 bytes) for each of these, which must be blocked. */
export function signalfd(signals: readonly number[], flags: number): number {
  return check("signalfd", libc("signal").signalfd(-1, signalSet(signals), flags));
}
