/** `wait`: blocks until a container has ended (or reached another state), and tells its exit code. */

import { setupExitCode } from "../monitor/exit_code.ts";
import { ConflictError, NotFoundError } from "../errors.ts";
import { StartError, waitForExit } from "../monitor/client.ts";
import { monitorSocketPath } from "../state/folders.ts";
import { observe } from "./containers.ts";
import type { Engine } from "./engine.ts";

export interface WaitOptions {
  /** States to wait for; `stopped` is `exited`. By default the end. */
  conditions?: string[];
  /** Between two looks where nobody can be waited on. */
  intervalMs?: number;
  signal?: AbortSignal;
}

/** The exit code; -1 where a condition other than the end was met. */
export async function wait(engine: Engine, text: string, options: WaitOptions = {}): Promise<number> {
  const wanted = new Set((options.conditions ?? []).map((name) => name === "stopped" ? "exited" : name));
  const first = await observe(engine, text);
  for (let observed = first;;) {
    const { status, exitCode } = observed.status;
    if (status === "exited" && (wanted.size === 0 || wanted.has("exited"))) return exitCode;
    if (wanted.has(status)) return -1;
    if ((status === "running" || status === "paused") && (wanted.size === 0 || wanted.has("exited"))) {
      const code = await exitCodeOfRunning(engine, first.row.id, options.signal);
      if (code !== undefined) return code;
    }
    await pause(options.intervalMs ?? 100, options.signal);
    try {
      observed = await observe(engine, first.row.id);
    } catch (error) {
      if (error instanceof NotFoundError && wanted.has("removing")) return -1;
      throw error;
    }
  }
}

async function exitCodeOfRunning(
  engine: Engine,
  id: string,
  signal: AbortSignal | undefined,
): Promise<number | undefined> {
  try {
    return (await waitForExit(monitorSocketPath(engine.folders, id), signal)).exitCode;
  } catch (error) {
    if (error instanceof StartError) return setupExitCode(error.failure);
    if (error instanceof ConflictError) return undefined; // no monitor any more: look at the files
    throw error;
  }
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  return new Promise((resolve, reject) => {
    const timer = setTimeout(done, ms);
    const abort = () => {
      clearTimeout(timer);
      reject(signal!.reason);
    };
    signal?.addEventListener("abort", abort, { once: true });
    function done() {
      signal?.removeEventListener("abort", abort);
      resolve();
    }
  });
}
