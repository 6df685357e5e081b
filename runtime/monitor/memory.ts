/**
 * Gives back what a monitor has inherited and will not use again: it is a copy of a command that parsed,
 * compiled and planned, and now mostly waits.
 */

import { UCONTEXT_STACK_POINTER_OFFSET } from "../../ffi/arch.ts";
import { libc } from "../../ffi/libc.ts";
import { discardPages } from "../../ffi/memory.ts";
import { takeLaunch } from "../config/launch.ts";

/** With `--expose-gc`, which every start of skiff sets. @see v8 src/extensions/gc-extension.cc */
type CollectGarbage = (options: { type: "major"; execution: "sync"; flavor: "last-resort" }) => void;

/** Left alone below the stack pointer: more than a call from here needs. */
const STACK_MARGIN_BYTES = 32n * 1024n;

/**
 * What a monitor may have of its own before it looks for garbage, where that costs memory: some 20 MB are left then. Heavy
 * traffic without garbage in the old generation leaves 17, and has up to 25 meanwhile.
 */
const MUCH_KIB = 32 * 1024;

/** Takes some ten milliseconds: for when there is nothing else to do. @see malloc_trim(3) */
export function releaseMemory(): void {
  const top = stackPointer();
  const bottom = stackBottom(top);
  const { gc } = globalThis as { gc?: CollectGarbage };
  // The heap of a kept process is pages of a file, which a collection makes copies of: 17 MB instead of 4.
  if (!takeLaunch().isThawed || ownKiB() > MUCH_KIB) {
    gc?.({ type: "major", execution: "sync", flavor: "last-resort" });
  }
  libc("memory").malloc_trim(0n);
  releaseStack(bottom, top);
}

/**
 * Where the mapping begins that the stack pointer is in; 0 where it is not known. Not the one named [stack]: in a kept process
 * that is the kernel's, with arguments and variables alone.
 */
function stackBottom(pointer: bigint): bigint {
  for (const line of Deno.readTextFileSync("/proc/self/maps").split("\n")) {
    const range = /^([0-9a-f]+)-([0-9a-f]+) /.exec(line);
    if (range === null) continue;
    const start = BigInt(`0x${range[1]}`);
    if (start <= pointer && pointer < BigInt(`0x${range[2]}`)) return start;
  }
  return 0n;
}

/** Loading modules went deep; what lies below the stack pointer is never read again. */
function releaseStack(bottom: bigint, pointer: bigint): void {
  if (bottom !== 0n) discardPages(bottom, pointer - STACK_MARGIN_BYTES);
}

/** @see proc_pid_smaps(5) */
function ownKiB(): number {
  const rollup = Deno.readTextFileSync("/proc/self/smaps_rollup");
  return Number(/^Private_Dirty:\s*(\d+)/m.exec(rollup)?.[1] ?? 0);
}

function stackPointer(): bigint {
  const context = new Uint8Array(4096);
  libc("memory").getcontext(context);
  return new DataView(context.buffer).getBigUint64(UCONTEXT_STACK_POINTER_OFFSET, true);
}
