/**
 * Makes a seed the monitor of a container and gives it what it inherits.
 *
 * ```
 *  command                              monitor
 *    lock, listen, hand over ─────────▶   mounts, lets init go on or forks it
 *    reads one ReadyMessage ◀──────────   the program runs, or why it does not
 * ```
 */

import { SIGKILL } from "../../ffi/constants/signal.ts";
import { kill, waitpidAsync } from "../../ffi/process.ts";
import { growSeed, prepareCode, prepareSupervision } from "../monitor/seed.ts";
import type { MonitorPlan } from "../monitor/plan.ts";
import type { NamespaceContext } from "../namespaces/context.ts";
import { type ForkedMonitor, removeSocket, withListener } from "./fork_listener.ts";

/**
 * Starts the monitor; the lock's descriptor and those of `plan.ports` are its own from here on (and are closed here). `meanwhile` runs while it
 * sets up; where that fails, the monitor is ended.
 *
 * @throws {HostError} where the user's namespace cannot be had
 */
export async function forkMonitor(
  plan: MonitorPlan,
  context: NamespaceContext,
  lock: number,
  meanwhile?: () => Promise<void>,
  ports: number[] = [],
): Promise<ForkedMonitor> {
  if (plan.supervision) await prepareSupervision();
  await prepareCode();
  let entered: Promise<void> | undefined;
  const { pid, ready } = withListener(plan.socketPath, [lock, ...ports], (fds) => {
    const seed = growSeed(plan, context, { ...fds, lock, ports });
    entered = seed.entered;
    return seed.pid;
  });
  try {
    await Promise.all([entered, meanwhile?.()]);
  } catch (error) {
    ready.catch(() => {});
    kill(pid, SIGKILL);
    await waitpidAsync(pid);
    removeSocket(plan.socketPath);
    throw error;
  }
  return { pid, ready };
}
