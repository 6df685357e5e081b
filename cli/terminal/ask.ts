/** Asks for a line on the terminal; a password is not shown. */

import { InvalidArgumentError } from "../../runtime/errors.ts";
import { print } from "../output/print.ts";
import { InterruptedError } from "./interruption.ts";
import { RawMode } from "./raw_mode.ts";

/** The answer so far, and whether it is done. */
export interface Typed {
  bytes: number[];
  state: "typing" | "done" | "interrupted";
}

const CTRL_C = 3, CTRL_D = 4, BACKSPACE = 8, CTRL_U = 21, DELETE = 127;
const ENTER: readonly number[] = [10, 13];

/** What one key makes of a hidden answer. Pure. */
export function onHiddenKey({ bytes }: Typed, key: number): Typed {
  if (ENTER.includes(key) || key === CTRL_D) return { bytes, state: "done" };
  if (key === CTRL_C) return { bytes: [], state: "interrupted" };
  if (key === CTRL_U) return { bytes: [], state: "typing" };
  if (key !== BACKSPACE && key !== DELETE) return { bytes: [...bytes, key], state: "typing" };
  let end = bytes.length - 1;
  while (end > 0 && (bytes[end]! & 0xc0) === 0x80) end--; // the later bytes of a character
  return { bytes: bytes.slice(0, Math.max(0, end)), state: "typing" };
}

/** Reads a line of stdin, whatever it is; "" at its end. */
export function ask(question: string): string {
  print(question);
  const bytes: number[] = [];
  const byte = new Uint8Array(1);
  while (Deno.stdin.readSync(byte) === 1 && byte[0] !== 10) bytes.push(byte[0]!);
  return new TextDecoder().decode(Uint8Array.from(bytes)).trim();
}

/** @throws {InvalidArgumentError} where stdin is no terminal; InterruptedError on Ctrl-C */
export function askHidden(question: string): string {
  if (!Deno.stdin.isTerminal()) {
    throw new InvalidArgumentError("read password: stdin is no terminal", { hint: "use --password-stdin" });
  }
  let typed: Typed = { bytes: [], state: "typing" };
  {
    using _raw = new RawMode();
    // who sees the question may answer: nothing is shown any more
    print(question);
    const key = new Uint8Array(1);
    while (typed.state === "typing") {
      typed = Deno.stdin.readSync(key) === 1 ? onHiddenKey(typed, key[0]!) : { ...typed, state: "done" };
    }
  }
  print("\n");
  if (typed.state === "interrupted") throw new InterruptedError("SIGINT");
  return new TextDecoder().decode(Uint8Array.from(typed.bytes));
}
