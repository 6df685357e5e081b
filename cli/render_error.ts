/** An error as the user reads it, and the exit code that its type carries. */

import { hostReason, SkiffError } from "../runtime/errors.ts";
import { escapeLines } from "./output/escape.ts";
import { ReaderGoneError } from "./output/print.ts";

export interface RenderedError {
  text: string;
  exitCode: number;
}

/** `verbose` adds the stack and the causes (`--log-level debug`). */
export function renderError(error: unknown, verbose: boolean): RenderedError {
  if (error instanceof ReaderGoneError) return { text: "", exitCode: error.exitCode };
  const { message, exitCode, ...described } = describe(error);
  const hint = MEETS_PROCESS_LIMIT.test(message) ? processLimitHint() : described.hint;
  const lines = [`Error: ${escapeLines(message)}`];
  if (hint) lines.push(escapeLines(hint));
  if (verbose && error instanceof Error) lines.push(escapeLines(stacks(error)));
  return { text: lines.join("\n") + "\n", exitCode };
}

/** EAGAIN of what starts a process or a thread, and a shell's word for it. @see fork(2) */
const MEETS_PROCESS_LIMIT =
  /\b(?:v?fork|clone3?|pthread_create|posix_spawn `[^`]*`): Resource temporarily unavailable|: Cannot fork\b/;

function processLimitHint(): string {
  const limit = /^Max processes +(\S+)/m.exec(Deno.readTextFileSync("/proc/self/limits"))?.[1] ?? "unknown";
  return "no more processes can be started: the user's limit (ulimit -u, here " + limit +
    ") or pids.max of the control group is reached; end some, or raise it (limits.conf(5))";
}

function describe(error: unknown): { message: string; hint?: string; exitCode: number } {
  if (error instanceof SkiffError) return error;
  if (error instanceof Error && "exitCode" in error && typeof error.exitCode === "number") {
    return { message: error.message, exitCode: error.exitCode };
  }
  const message = error instanceof Error ? error.message || error.name : String(error);
  const plain = message.charAt(0).toLowerCase() + message.slice(1);
  return { message: inHouseWords(message) ?? plain, exitCode: 125 };
}

/** What Deno says of a system call that nobody expected to fail; undefined where it is something else. */
function inHouseWords(message: string): string | undefined {
  const found = / \(os error \d+\)(?:: (\w+) '(.+)')?$/s.exec(message);
  if (!found) return undefined;
  const [, call, path] = found;
  const reason = hostReason(message);
  if (call === undefined) return reason;
  // rename and its like have two
  return `${DENO_CALLS[call] ?? call} "${path!.replace("' -> '", '" to "')}": ${reason}`;
}

const DENO_CALLS: Record<string, string> = {
  lstat: "look at",
  mkdir: "make folder",
  readdir: "read folder",
  readfile: "read",
  realpath: "look at",
  stat: "look at",
  writefile: "write",
};

function stacks(error: Error): string {
  const own = error.stack ?? error.message;
  return error.cause instanceof Error ? `${own}\nCaused by: ${stacks(error.cause)}` : own;
}
