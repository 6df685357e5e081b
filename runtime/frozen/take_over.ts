/** What a process that is brought back does first: words, variables and what follows from them are its command's. */

import { libc } from "../../ffi/libc.ts";
import { memoryAt } from "../../ffi/memory.ts";
import { declareSealed } from "../../ffi/fork.ts";
import { getpid } from "../../ffi/process.ts";
import { SLOT } from "../../ffi/thaw_program.ts";
import { symbolAddress } from "./own_memory.ts";

/** What is known when the process stops, and needed when it goes on. */
export interface Frame {
  /** The address of the C library's `environ`. */
  variables: bigint;
  /** The C library's file, as it was. */
  library: string;
  libraryFacts: string;
  /** By the monotonic clock, in milliseconds. */
  stoppedMs: number;
}

export function readFrame(): Frame {
  const maps = Deno.readTextFileSync("/proc/self/maps");
  const library = maps.match(/(\/\S*\/libc\.so\.6)$/m)?.[1];
  if (library === undefined) throw new Error("freeze: there is no C library");
  const libraryFacts = factsOf(library);
  return { variables: symbolAddress("environ"), library, libraryFacts, stoppedMs: performance.now() };
}

/** Gives the command's words; or starts it without what was frozen. */
export function takeOver(frame: Frame): string[] {
  const word = (address: bigint) => new DataView(memoryAt(address, 8)).getBigUint64(0, true);
  const stack = word(SLOT.stack);
  const count = Number(word(stack));
  new BigUint64Array(memoryAt(frame.variables, 8))[0] = stack + BigInt(8 * (count + 2));
  declareSealed(); // what is open is known: nothing
  const words: string[] = [];
  for (let at = 1; at <= count; at++) {
    const text = new Deno.UnsafePointerView(Deno.UnsafePointer.create(word(stack + BigInt(at * 8)))!);
    try {
      words.push(text.getCString());
    } catch {
      startAnew(words[1]!, stack + 16n); // a word that is not UTF-8, of which the runtime tells at its start
    }
  }
  // another time namespace has another clock, which the runtime cannot bear
  if (performance.now() < frame.stoppedMs) startAnew(words[1]!, stack + 16n);
  // Libraries that are loaded later would not fit. The next start but one makes the file anew.
  if (factsOf(frame.library) !== frame.libraryFacts) {
    removeOwnFile();
    startAnew(words[1]!, stack + 16n);
  }
  // It was asked before, and is kept.
  Object.defineProperty(Deno, "pid", { value: getpid(), configurable: true, enumerable: true });
  // as well; a caller may be kept to some processors
  Object.defineProperty(navigator, "hardwareConcurrency", { get: countProcessors, configurable: true });
  // The runtime looks at the time zone when it is set.
  const zone = Deno.env.get("TZ");
  if (zone !== undefined) Deno.env.set("TZ", zone);
  // Its state is frozen: every command would get the same numbers.
  Math.random = () => crypto.getRandomValues(new Uint32Array(1))[0]! / 2 ** 32;
  return words.slice(words.findIndex((text) => text.endsWith("/main.js")) + 1);
}

/** Those that this process may run on. @see proc_pid_status(5), Cpus_allowed */
function countProcessors(): number {
  const mask = /^Cpus_allowed:\s*([0-9a-f,]+)/m.exec(Deno.readTextFileSync("/proc/self/status"))?.[1] ?? "1";
  const bits = [...mask.replaceAll(",", "")].map((digit) => parseInt(digit, 16).toString(2)).join("");
  return bits.replaceAll("0", "").length;
}

function factsOf(path: string): string {
  try {
    const { dev, ino, mtime } = Deno.statSync(path);
    return `${dev} ${ino} ${mtime?.getTime()}`;
  } catch {
    return "";
  }
}

function removeOwnFile(): void {
  try {
    Deno.removeSync(Deno.execPath());
  } catch {
    // another command was faster, or it cannot be: then each starts anew
  }
}

/** What the header would have executed without a frozen process. */
function startAnew(program: string, argv: bigint): never {
  const path = new TextEncoder().encode(`${program}\0`);
  libc("frozen").execv(path, new Uint8Array(memoryAt(argv, 8)));
  throw new Error(`execute ${program}: it cannot be`);
}
