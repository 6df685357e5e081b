/** File work on what other ids of the user own: in a forked child that is root of the user's namespace. */

import { HostError } from "../errors.ts";
import { forkInUserNamespace } from "../namespaces/fork_task.ts";
import { close, pipe2, readAll, writeAll } from "../../ffi/file.ts";
import { openFamilies } from "../../ffi/libc.ts";
import { umask } from "../../ffi/process.ts";
import { O_CLOEXEC } from "../../ffi/constants/fcntl.ts";
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
  openFamilies("errno", "file", "xattr", "process");
  crypto.randomUUID(); // loaded before the fork
  const [result, resultFd] = pipe2(O_CLOEXEC);
  try {
    const task = await forkInUserNamespace(context.namespaces, [resultFd], () => {
      try {
        umask(0);
        work();
        return 0;
      } catch (error) {
        const { message, hint } = error as Error & { hint?: string };
        writeAll(resultFd, new TextEncoder().encode(JSON.stringify({ message, hint })));
        return 1;
      }
    }).finally(() => close(resultFd));
    const { status } = await task.wait();
    if (status === 0) return;
    const text = new TextDecoder().decode(readAll(result, 65536));
    const { message, hint } = text === ""
      ? { message: `the child ended with status ${status}` }
      : JSON.parse(text);
    throw new HostError(message.startsWith(what) ? message : `${what}: ${message}`, { hint });
  } finally {
    close(result);
  }
}
