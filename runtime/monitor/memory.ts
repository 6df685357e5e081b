/**
 * Gives back what a monitor has inherited and will not use again: it is a copy of a command that parsed,
 * compiled and planned, and now mostly waits.
 */

import { UCONTEXT_STACK_POINTER_OFFSET } from "../../ffi/arch.ts";
import { libc } from "../../ffi/libc.ts";

/** With `--expose-gc`, which every start of skiff sets. @see v8 src/extensions/gc-extension.cc */
type CollectGarbage = (options: { type: "major"; execution: "sync"; flavor: "last-resort" }) => void;

/** Advice value of madvise(2). */
const MADV_DONTNEED = 4;
/** Left alone below the stack pointer: more than a call from here needs. */
const STACK_MARGIN_BYTES = 32n * 1024n;

/** Takes some ten milliseconds: for when there is nothing else to do. @see malloc_trim(3) */
export function releaseMemory(): void {
  const bottom = stackBottom();
  const { gc } = globalThis as { gc?: CollectGarbage };
  gc?.({ type: "major", execution: "sync", flavor: "last-resort" });
  libc("memory").malloc_trim(0n);
  releaseStack(bottom);
}

/** The lowest address of the main thread's stack; 0 where it is not known. */
function stackBottom(): bigint {
  const range = /^([0-9a-f]+)-[0-9a-f]+ .*\[stack\]$/m.exec(Deno.readTextFileSync("/proc/self/maps"));
  return range === null ? 0n : BigInt(`0x${range[1]}`);
}

/** Loading modules went deep; what lies below the stack pointer is never read again. */
function releaseStack(bottom: bigint): void {
  const top = stackPointer() - STACK_MARGIN_BYTES;
  if (bottom === 0n || top <= bottom) return;
  libc("fork").madvise(Deno.UnsafePointer.create(bottom), (top - bottom) & ~0xfffn, MADV_DONTNEED);
}

function stackPointer(): bigint {
  const context = new Uint8Array(4096);
  libc("memory").getcontext(context);
  return new DataView(context.buffer).getBigUint64(UCONTEXT_STACK_POINTER_OFFSET, true);
}
