/**
 * Long file work in a forked child, as the user himself, so that the event loop stays free for signals: reading
 * and writing archives. (namespace_task.ts is for work on what other ids own.)
 *
 * ```
 *  parent ◀── result pipe, lines of JSON: {progress: bytes} … {result} or {error} ── child
 * ```
 */

import { HostError, SkiffError, UnsupportedError, VerificationError } from "../errors.ts";
import { errnoText, SyscallError } from "../../ffi/errno.ts";
import { close, closeAllExcept, pipe2, readAsync, writeAll } from "../../ffi/file.ts";
import { forkChild, prepareFork } from "../../ffi/fork.ts";
import { openFamilies } from "../../ffi/libc.ts";
import { getpid, getppid, kill, prctl, waitpidAsync } from "../../ffi/process.ts";
import { O_CLOEXEC } from "../../ffi/constants/fcntl.ts";
import { PR_SET_PDEATHSIG } from "../../ffi/constants/prctl.ts";
import { SIGKILL } from "../../ffi/constants/signal.ts";

export interface WorkerOptions {
  signal?: AbortSignal;
  onProgress?: (bytes: number) => void;
}

/** What crosses the pipe. */
type Message<T> = { progress: number } | { result: T } | { error: WorkerError };

interface WorkerError {
  kind: keyof typeof ERRORS;
  message: string;
  hint?: string;
}

const ERRORS = {
  verification: VerificationError,
  host: HostError,
  unsupported: UnsupportedError,
  engine: SkiffError,
};

/**
 * Runs `work` in a child; it is synchronous, and what it calls was imported and opened before. Descriptors from 3
 * on are closed there but for `inherit`. What it returns and throws crosses as JSON.
 *
 * @param what begins the message of a system call that failed: `save image`
 * @throws the signal's reason, after the child was killed
 */
export async function runWorker<T>(
  what: string,
  inherit: readonly number[],
  work: (report: (bytes: number) => void) => T,
  options: WorkerOptions = {},
): Promise<T> {
  openFamilies("file", "process", "memory", "fork", "poll");
  prepareFork();
  const [result, resultFd] = pipe2(O_CLOEXEC);
  const parent = getpid();
  let pid: number;
  try {
    pid = forkChild(() => {
      closeAllExcept([...inherit, resultFd]);
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() !== parent) return 125;
      const send = (message: Message<T>) =>
        writeAll(resultFd, new TextEncoder().encode(`${JSON.stringify(message)}\n`));
      try {
        const value = work((bytes) => send({ progress: bytes }));
        send({ result: value ?? null as T });
        return 0;
      } catch (error) {
        send({ error: describe(what, error) });
        return 1;
      }
    });
  } catch (error) {
    close(result);
    throw error;
  } finally {
    close(resultFd);
  }
  const stop = () => kill(pid, SIGKILL);
  options.signal?.addEventListener("abort", stop);
  if (options.signal?.aborted) stop();
  try {
    const last = await readMessages<T>(result, options);
    options.signal?.throwIfAborted();
    if (last === undefined) throw new SkiffError(`${what}: the working process ended without a result`);
    if ("result" in last) return last.result;
    throw new ERRORS[last.error.kind](last.error.message, { hint: last.error.hint });
  } finally {
    options.signal?.removeEventListener("abort", stop);
    close(result);
    await waitpidAsync(pid);
  }
}

async function readMessages<T>(
  result: number,
  options: WorkerOptions,
): Promise<Exclude<Message<T>, { progress: number }> | undefined> {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(65536);
  let text = "";
  for (let length = await readAsync(result, buffer); length > 0; length = await readAsync(result, buffer)) {
    text += decoder.decode(buffer.subarray(0, length), { stream: true });
    const lines = text.split("\n");
    text = lines.pop()!;
    for (const line of lines) {
      const message: Message<T> = JSON.parse(line);
      if (!("progress" in message)) return message;
      options.onProgress?.(message.progress);
    }
  }
}

function describe(what: string, error: unknown): WorkerError {
  const { message, hint } = error as Error & { hint?: string };
  if (error instanceof SyscallError) {
    const subject = error.path === undefined ? error.syscall : `${error.syscall} ${error.path}`;
    return { kind: "host", message: `${what}: ${subject}: ${errnoText(error.errno)}` };
  }
  if (error instanceof VerificationError) return { kind: "verification", message, hint };
  if (error instanceof HostError) return { kind: "host", message, hint };
  if (error instanceof UnsupportedError) return { kind: "unsupported", message, hint };
  return { kind: "engine", message, hint };
}
