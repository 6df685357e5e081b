/** `unshare`: a program as root of the user's namespace, where the containers' files have the ids of the containers. */

import { openFamilies } from "../../ffi/libc.ts";
import { SIGHUP, SIGTERM } from "../../ffi/constants/signal.ts";
import { kill } from "../../ffi/process.ts";
import { InvalidArgumentError } from "../errors.ts";
import { UNSHARE_VARIABLE } from "../namespaces/context.ts";
import type { Engine } from "./engine.ts";

/**
 * Runs `argv` with standard streams and environment of this process, and gives its exit code.
 *
 * It finds CONTAINERS_GRAPHROOT and CONTAINERS_RUNROOT, the folders of the engine, in its environment, as with podman.
 *
 * @throws {CommandNotFoundError} 127, {CannotInvokeError} 126
 */
export async function unshare(
  engine: Engine,
  argv: string[],
  env: Readonly<Record<string, string>>,
): Promise<number> {
  const { namespaces, folders } = engine;
  if (!namespaces.isRootless || namespaces.isInside) {
    throw new InvalidArgumentError("please use unshare with rootless");
  }
  const [{ locateProgram, runUnsharedBlocking }, { forkInUserNamespace }] = await Promise.all([
    import("../files/unshare_task.ts"),
    import("../namespaces/fork_task.ts"),
  ]);
  const words = Object.entries({
    ...env,
    CONTAINERS_GRAPHROOT: folders.data,
    CONTAINERS_RUNROOT: folders.run,
  }).map(([key, value]) => `${key}=${value}`);
  const program = locateProgram(argv, words);
  openFamilies("fork", "file", "process", "credentials", "mount", "namespaces", "signal", "spawn");
  const variable = (pid: number) => `${UNSHARE_VARIABLE}=${namespaces.uid}:${namespaces.gid}:${pid}`;
  const task = await forkInUserNamespace(namespaces, [], () => runUnsharedBlocking(program, variable));
  const stay = () => {};
  const forward = (signal: number) => () => kill(task.pid, signal);
  const onTerm = forward(SIGTERM), onHangup = forward(SIGHUP);
  Deno.addSignalListener("SIGINT", stay);
  Deno.addSignalListener("SIGQUIT", stay);
  Deno.addSignalListener("SIGTERM", onTerm);
  Deno.addSignalListener("SIGHUP", onHangup);
  try {
    return (await task.wait()).status;
  } finally {
    Deno.removeSignalListener("SIGINT", stay);
    Deno.removeSignalListener("SIGQUIT", stay);
    Deno.removeSignalListener("SIGTERM", onTerm);
    Deno.removeSignalListener("SIGHUP", onHangup);
  }
}
