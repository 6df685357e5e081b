/**
 * Gives back what a monitor has inherited and will not use again: it is a copy of a command that parsed,
 * compiled and planned, and now mostly waits.
 */

import { libc } from "../../ffi/libc.ts";

/** With `--expose-gc`, which every start of skiff sets. @see v8 src/extensions/gc-extension.cc */
type CollectGarbage = (options: { type: "major"; execution: "sync"; flavor: "last-resort" }) => void;

/** Takes some ten milliseconds: for when there is nothing else to do. @see malloc_trim(3) */
export function releaseMemory(): void {
  const { gc } = globalThis as { gc?: CollectGarbage };
  gc?.({ type: "major", execution: "sync", flavor: "last-resort" });
  libc("memory").malloc_trim(0n);
}
