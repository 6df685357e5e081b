/** Work on a container's files in a forked child, and its result or error as data. */

import { close, pipe2, readAsync, writeAll } from "../../ffi/file.ts";
import { openFamilies } from "../../ffi/libc.ts";
import { prctl, umask } from "../../ffi/process.ts";
import { O_CLOEXEC } from "../../ffi/constants/fcntl.ts";
import { PR_SET_DUMPABLE } from "../../ffi/constants/prctl.ts";
import {
  ConflictError,
  HostError,
  InvalidArgumentError,
  NotFoundError,
  SkiffError,
  UnsupportedError,
  VerificationError,
} from "../errors.ts";
import type { NamespaceContext } from "../namespaces/context.ts";
import { forkInUserNamespace } from "../namespaces/fork_task.ts";

const ERRORS = { ConflictError, HostError, InvalidArgumentError, UnsupportedError, VerificationError };

interface TaskFailure {
  name: string;
  message: string;
  hint?: string;
}

/**
 * Runs `work` as root of the user's namespace, in a child that dies with this process; its result must survive JSON.
 *
 * Standard input and output are the child's as well, and the descriptors `inherit`. What `work` calls was imported before.
 */
export async function runFileTask<T>(
  namespaces: NamespaceContext,
  work: () => T,
  signal?: AbortSignal,
  inherit: readonly number[] = [],
): Promise<T> {
  signal?.throwIfAborted();
  openFamilies("fork", "file", "xattr", "process", "credentials", "mount", "namespaces");
  openFamilies("poll", "signal");
  crypto.randomUUID(); // loaded before the fork
  const [result, resultFd] = pipe2(O_CLOEXEC);
  try {
    const task = await forkInUserNamespace(namespaces, [resultFd, ...inherit], () => {
      const answer = (text: unknown) =>
        writeAll(resultFd, new TextEncoder().encode(JSON.stringify(text) ?? "null"));
      try {
        // A container that shares the host's pid namespace must not look into this process.
        prctl(PR_SET_DUMPABLE, 0);
        umask(0);
        answer({ result: work() ?? null });
        return 0;
      } catch (error) {
        answer({ failure: describe(error) });
        return 1;
      }
    }).finally(() => close(resultFd));
    const stop = () => task.kill();
    signal?.addEventListener("abort", stop);
    const text = await readText(result);
    const { status } = await task.wait();
    signal?.removeEventListener("abort", stop);
    signal?.throwIfAborted();
    if (text === "") throw new HostError(`work on files: the child ended with status ${status}`);
    const answer: { result: T } | { failure: TaskFailure } = JSON.parse(text);
    if ("failure" in answer) throw rebuild(answer.failure);
    return answer.result;
  } finally {
    close(result);
  }
}

async function readText(fd: number): Promise<string> {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(1 << 16);
  let text = "";
  for (let count = await readAsync(fd, buffer); count > 0; count = await readAsync(fd, buffer)) {
    text += decoder.decode(buffer.subarray(0, count), { stream: true });
  }
  return text;
}

function describe(error: unknown): TaskFailure {
  const { name, message, hint } = error as Error & { hint?: string };
  return { name, message: message ?? String(error), hint };
}

function rebuild({ name, message, hint }: TaskFailure): SkiffError {
  if (name === "NotFoundError") return new NotFoundError("file", "", { message, hint });
  const known = ERRORS[name as keyof typeof ERRORS];
  return known === undefined ? new SkiffError(message, { hint }) : new known(message, { hint });
}
