/** The identity of this boot of the kernel: what was recorded under another one no longer lives. */

let known: string | undefined;

/** @see random(4), /proc/sys/kernel/random/boot_id */
export function readBootId(): string {
  known ??= Deno.readTextFileSync("/proc/sys/kernel/random/boot_id").trim();
  return known;
}
