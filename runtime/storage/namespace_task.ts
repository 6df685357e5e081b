/** File work on what other ids of the user own: in a forked child that is root of the user's namespace. */

import { HostError } from "../errors.ts";
import { forkInUserNamespace } from "../namespaces/fork_task.ts";
import { close, pipe2, readAsync, writeAll } from "../../ffi/file.ts";
import { openFamilies } from "../../ffi/libc.ts";
import { prctl, umask } from "../../ffi/process.ts";
import { O_CLOEXEC } from "../../ffi/constants/fcntl.ts";
import { PR_SET_PDEATHSIG } from "../../ffi/constants/prctl.ts";
import type { StorageContext } from "./layers.ts";

/**
 * Does file work as root of the user's namespace, in a forked child.
 *
 * @throws {HostError} `<what>: <cause>` where it failed
 */
export async function runInNamespace(
  context: Pick<StorageContext, "namespaces">,
  what: string,
  work: () => void,
): Promise<void> {
  const { result, ended } = await startInNamespace(context, what, () => work());
  await result.finally(() => ended);
}

/** `inherit` stays open in the child; the signal kills it. */
export interface NamespaceWorkOptions {
  inherit?: readonly number[];
  signal?: AbortSignal;
}

/**
 * The same for work with a result, which may go on after it has answered: from then on it outlives this process.
 *
 * What it answers must survive JSON. `ended` resolves when the child is gone; it never rejects.
 */
export async function startInNamespace<T>(
  context: Pick<StorageContext, "namespaces">,
  what: string,
  work: (answer: (value: T) => void) => void,
  { inherit = [], signal }: NamespaceWorkOptions = {},
): Promise<{ result: Promise<T>; ended: Promise<unknown> }> {
  signal?.throwIfAborted();
  openFamilies("file", "xattr", "process");
  crypto.randomUUID(); // loaded before the fork
  const [answers, answerFd] = pipe2(O_CLOEXEC);
  const send = (message: Answer<T>) =>
    writeAll(answerFd, new TextEncoder().encode(`${JSON.stringify(message)}\n`));
  let task: Awaited<ReturnType<typeof forkInUserNamespace>>;
  try {
    task = await forkInUserNamespace(context.namespaces, [answerFd, ...inherit], () => {
      try {
        umask(0);
        work((value) => {
          prctl(PR_SET_PDEATHSIG, 0);
          send({ value });
        });
        return 0;
      } catch (error) {
        const { message, hint } = error as Error & { hint?: string };
        send({ failure: { message, hint } });
        return 1;
      }
    });
  } catch (error) {
    close(answers);
    throw error;
  } finally {
    close(answerFd);
  }
  const stop = () => task.kill();
  signal?.addEventListener("abort", stop);
  if (signal?.aborted) stop();
  const text = readLine(answers).finally(() => close(answers));
  const ended = text.then(() => task.wait(), () => task.wait()).catch(() => undefined);
  const result = text.then(async (line) => {
    signal?.removeEventListener("abort", stop);
    if (line === "") {
      const child = await ended;
      signal?.throwIfAborted();
      // work without a result answers nothing
      if (child?.status === 0) return undefined as T;
      throw new HostError(`${what}: the child ended with status ${child?.status}`);
    }
    const answer: Answer<T> = JSON.parse(line);
    if ("value" in answer) return answer.value;
    const { message, hint } = answer.failure;
    throw new HostError(message.startsWith(what) ? message : `${what}: ${message}`, { hint });
  });
  result.catch(() => {});
  return { result, ended };
}

type Answer<T> = { value: T } | { failure: { message: string; hint?: string } };

/** Up to the first end of line, or to the end. */
async function readLine(fd: number): Promise<string> {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(65536);
  let text = "";
  while (!text.endsWith("\n")) {
    const length = await readAsync(fd, buffer);
    if (length === 0) break;
    text += decoder.decode(buffer.subarray(0, length), { stream: true });
  }
  return text;
}
