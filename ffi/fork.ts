/**
 * fork(2) from a process that runs V8.
 *
 * V8 marks its heap MADV_DONTFORK, so a plain child dies of SIGSEGV at its first instruction of ours. Two
 * madvise(MADV_DOFORK) calls over all of the address space, but for the vvar and vdso pages between them
 * (which refuse), undo that; nothing may allocate between them and fork. V8 must run with
 * `--single-threaded`, or a child deadlocks in its first garbage collection.
 *
 * In the child everything is synchronous: no promise, timer, worker or Deno.Command works any more.
 */

import { USER_SPACE_END } from "./arch.ts";
import { check } from "./errno.ts";
import { openFamilies, openForkCalls } from "./libc.ts";
import { _exit } from "./process.ts";
import { findRuntimeFiles, sealRuntimeFiles } from "./runtime_files.ts";

/** Advice value of madvise(2). */
const MADV_DOFORK = 11;

const KERNEL_PAGES = ["[vvar]", "[vvar_vclock]", "[vdso]"];

/** Where the kernel's own pages begin and end. */
interface KernelPages {
  start: bigint;
  end: bigint;
  rest: bigint;
}

/** They stay where they are, so they are looked for once. */
let kernelPages: KernelPages | undefined;
/** A child's children have nothing more to seal. */
let isSealed = false;

function findKernelPages(maps: string): KernelPages {
  // they lie side by side, and there may be hundreds of lines
  const begin = maps.lastIndexOf("\n", maps.indexOf("[v")) + 1;
  let [start, end] = [0n, 0n];
  for (const line of maps.slice(begin, maps.indexOf("\n", maps.lastIndexOf("[v"))).split("\n")) {
    if (!KERNEL_PAGES.some((name) => line.endsWith(name))) continue;
    const [from, to] = line.slice(0, line.indexOf(" ")).split("-");
    start ||= BigInt(`0x${from}`);
    end = BigInt(`0x${to}`);
  }
  if (start === 0n) throw new Error("/proc/self/maps shows no vdso");
  return { start, end, rest: USER_SPACE_END - end };
}

/** Does ahead of time what `fork` needs: symbols and the place of the vdso. */
export function prepareFork(): void {
  openFamilies("fork", "file", "memory");
  openForkCalls();
  kernelPages ??= findKernelPages(Deno.readTextFileSync("/proc/self/maps"));
}

/** Of a process that has none of the runtime's databases open: its children need not look for them. */
export function declareSealed(): void {
  isSealed = true;
}

/**
 * Gives the child's pid in the parent, 0 in the child.
 *
 * @throws {SyscallError} EAGAIN where the user's process limit is reached
 */
export function fork(): number {
  letChildHaveMemory();
  const pid = check("fork", openForkCalls().fork());
  if (pid === 0 && !isSealed) seal();
  return pid;
}

/** Undoes MADV_DONTFORK for all that is mapped now. Nothing may allocate before the fork. */
export function letChildHaveMemory(): void {
  prepareFork();
  const { start, end, rest } = kernelPages!;
  const { madvise } = openForkCalls();
  // ENOMEM from a hole in the range is expected: the parts that are mapped were advised all the same.
  madvise(0n, start, MADV_DOFORK);
  madvise(end, rest, MADV_DOFORK);
}

/** In the child, which is looked at here and not before the fork: the parent has better things to do. */
function seal(): void {
  isSealed = true;
  try {
    sealRuntimeFiles(findRuntimeFiles());
  } catch {
    _exit(125); // never on as a second parent
  }
}

/**
 * Runs `child` in a forked process, which ends with its result as exit status.
 *
 * An uncaught exception would hang the child for ever, so it is caught here: `onError` may report it, and
 * the status is 125.
 *
 * @returns the child's pid, in the parent only
 */
export function forkChild(child: () => number, onError?: (error: unknown) => void): number {
  const pid = fork();
  if (pid !== 0) return pid;
  let status = 125;
  try {
    status = child();
  } catch (error) {
    try {
      onError?.(error);
    } catch {
      // Reporting failed as well; the status still tells.
    }
  }
  _exit(status);
}
