/** An error as the user reads it, and the exit code that its type carries. */

import { SkiffError } from "../runtime/errors.ts";
import { escapeLines } from "./output/escape.ts";
import { ReaderGoneError } from "./output/print.ts";

export interface RenderedError {
  text: string;
  exitCode: number;
}

/** `verbose` adds the stack and the causes (`--log-level debug`). */
export function renderError(error: unknown, verbose: boolean): RenderedError {
  if (error instanceof ReaderGoneError) return { text: "", exitCode: error.exitCode };
  const { message, hint, exitCode } = describe(error);
  const lines = [`Error: ${escapeLines(message)}`];
  if (hint) lines.push(escapeLines(hint));
  if (verbose && error instanceof Error) lines.push(escapeLines(stacks(error)));
  return { text: lines.join("\n") + "\n", exitCode };
}

function describe(error: unknown): { message: string; hint?: string; exitCode: number } {
  if (error instanceof SkiffError) return error;
  if (error instanceof Error && "exitCode" in error && typeof error.exitCode === "number") {
    return { message: error.message, exitCode: error.exitCode };
  }
  const message = error instanceof Error ? error.message || error.name : String(error);
  return { message: message.charAt(0).toLowerCase() + message.slice(1), exitCode: 125 };
}

function stacks(error: Error): string {
  const own = error.stack ?? error.message;
  return error.cause instanceof Error ? `${own}\nCaused by: ${stacks(error.cause)}` : own;
}
