/** What `ps` shows of a monitor: its container, not the words of the command that began it. */

import { setProcessName } from "../../ffi/process.ts";

/**
 * Names this process `title` in comm (15 bytes) and in its command line. The command's own words, which may
 * hold what was given by `-e`, are not left to be read for as long as the container runs.
 *
 * @see proc_pid_stat(5): arg_start and arg_end are fields 48 and 49
 */
export function setProcessTitle(title: string): void {
  setProcessName(title);
  const stat = Deno.readTextFileSync("/proc/self/stat");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [start, end] = [BigInt(fields[45]!), BigInt(fields[46]!)];
  if (start === 0n || end <= start) return;
  const area = Deno.UnsafePointerView.getArrayBuffer(
    Deno.UnsafePointer.create(start)!,
    Number(end - start),
  );
  const words = new Uint8Array(area);
  words.fill(0);
  new TextEncoder().encodeInto(title, words.subarray(0, words.length - 1));
}
