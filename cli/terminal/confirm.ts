/** Asks before much is removed, in podman's words. */

import { print } from "../output/print.ts";

/** Reads one line of stdin; anything but a word that begins with y is a no, and so is the end of input. */
export function confirmed(warning: string): boolean {
  print(`${warning}\nAre you sure you want to continue? [y/N] `);
  const bytes: number[] = [];
  const byte = new Uint8Array(1);
  while (Deno.stdin.readSync(byte) === 1 && byte[0] !== 10) bytes.push(byte[0]!);
  return /^\s*y/i.test(new TextDecoder().decode(Uint8Array.from(bytes)));
}
