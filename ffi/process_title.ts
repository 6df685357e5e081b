/**
 * What `ps` shows of this process: its argument vector, overwritten in place.
 *
 * A forked child carries its parent's command line, with host paths and arguments in it, and
 * /proc/PID/cmdline is world-readable, from inside the container as well.
 *
 * @see PR_SET_MM_ARG_START(2const): moving the area needs CAP_SYS_RESOURCE, writing in it does not
 */

import { setProcessName } from "./process.ts";

/** Where the kernel put argv; fields 48 and 49 of /proc/PID/stat. @see proc_pid_stat(5) */
function argumentArea(): { start: bigint; length: number } | undefined {
  const stat = Deno.readTextFileSync("/proc/self/stat");
  // The second field, the name in parentheses, may hold spaces.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [start, end] = [fields[45], fields[46]];
  if (!start || !end || start === "0") return undefined;
  return { start: BigInt(start), length: Number(BigInt(end) - BigInt(start)) };
}

/** Replaces comm (15 bytes) and the command line that others see; a longer title is cut to the room there is. */
export function setProcessTitle(title: string): void {
  setProcessName(title);
  const area = argumentArea();
  const pointer = area && Deno.UnsafePointer.create(area.start);
  if (!area || !pointer) return;
  const memory = new Uint8Array(Deno.UnsafePointerView.getArrayBuffer(pointer, area.length));
  const bytes = new TextEncoder().encode(title).subarray(0, area.length - 1);
  memory.fill(0);
  memory.set(bytes);
}
