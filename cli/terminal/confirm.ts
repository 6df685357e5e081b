/** Asks before much is removed, in podman's words. */

import { InvalidArgumentError } from "../../runtime/errors.ts";
import { print } from "../output/print.ts";

/**
 * Reads one line of stdin; anything but a word that begins with y is a no.
 * @throws {InvalidArgumentError} where stdin has no answer, so that a job of cron does not seem to have pruned
 */
export function confirmed(warning: string): boolean {
  print(`${warning}\nAre you sure you want to continue? [y/N] `);
  const bytes: number[] = [];
  const byte = new Uint8Array(1);
  let got = Deno.stdin.readSync(byte);
  if (got !== 1) {
    print("\n");
    throw new InvalidArgumentError("ask whether to continue: stdin has no answer", {
      hint: "use --force where nobody can be asked",
    });
  }
  for (; got === 1 && byte[0] !== 10; got = Deno.stdin.readSync(byte)) bytes.push(byte[0]!);
  return /^\s*y/i.test(new TextDecoder().decode(Uint8Array.from(bytes)));
}
