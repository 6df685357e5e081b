/** Writes to stdout and stderr, whole and in order. */

import { coloured } from "./colour.ts";
import { escapeLines } from "./escape.ts";

const encoder = new TextEncoder();

/** Thrown when the reader of stdout has gone: `skiff ps | head -1`. Not a failure of ours. */
export class ReaderGoneError extends Error {
  override name = "ReaderGoneError";
  /** 128 + SIGPIPE: what a program that keeps the signal's default exits with. */
  readonly exitCode = 141;
}

/** Results go to stdout, and nothing else does. */
export function print(text: string | Uint8Array): void {
  try {
    writeAll(Deno.stdout, text);
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) throw new ReaderGoneError();
    throw error;
  }
}

/** Progress, warnings and errors go to stderr; nobody reading them stops nothing. */
export function printError(text: string | Uint8Array): void {
  try {
    writeAll(Deno.stderr, text);
  } catch {
    // There is no better place to say so.
  }
}

function writeAll(stream: { writeSync(bytes: Uint8Array): number }, text: string | Uint8Array): void {
  const bytes = typeof text === "string" ? encoder.encode(text) : text;
  for (let at = 0; at < bytes.length;) {
    try {
      at += stream.writeSync(bytes.subarray(at));
    } catch (error) {
      // A non-blocking pipe or terminal that is full, as a parent may have left it: yield, then go on.
      if (!(error instanceof Deno.errors.WouldBlock)) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

/** `Warning: …`, one a line. */
export function printWarnings(warnings: readonly string[]): void {
  for (const warning of warnings) {
    printError(`${coloured("Warning:", "yellow")} ${escapeLines(warning)}\n`);
  }
}
