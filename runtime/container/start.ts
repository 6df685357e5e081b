/**
 * Forks the monitor of a container or exec session and gives it what it inherits.
 *
 * ```
 *  command                              monitor
 *    lock, listen, fork ──────────────▶   enters the user's namespace, mounts, forks init
 *    maps ids where it is the first ◀──   asks
 *    reads one ReadyMessage ◀──────────   the program runs, or why it does not
 * ```
 */

import { O_CLOEXEC } from "../../ffi/constants/fcntl.ts";
import { SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM } from "../../ffi/constants/socket.ts";
import { SIGKILL } from "../../ffi/constants/signal.ts";
import { close, pipe2, readAsync } from "../../ffi/file.ts";
import { forkChild, prepareFork } from "../../ffi/fork.ts";
import { kill, waitpidAsync } from "../../ffi/process.ts";
import { listenUnix } from "../../ffi/socket.ts";
import { SkiffError } from "../errors.ts";
import { runExecMonitor } from "../monitor/exec_monitor.ts";
import { runMonitor } from "../monitor/monitor.ts";
import type { ExecPlan, MonitorPlan } from "../monitor/plan.ts";
import type { ReadyMessage } from "../monitor/records.ts";
import type { NamespaceContext } from "../namespaces/context.ts";
import { openIdMapChannel, serveIdMaps } from "../namespaces/user_namespace.ts";

const BACKLOG = 64;
const READY_LIMIT_BYTES = 65536;

export interface ForkedMonitor {
  pid: number;
  /** Resolves when the program runs or is known not to. To be awaited: the monitor watches this command by it. */
  ready: Promise<ReadyMessage>;
}

/**
 * Starts the monitor; the lock's descriptor is its own from here on (and is closed here). `meanwhile` runs while it
 * sets up; where that fails, the monitor is ended.
 *
 * @throws {HostError} where the user's namespace cannot be had
 */
export async function forkMonitor(
  plan: MonitorPlan,
  context: NamespaceContext,
  lock: number,
  meanwhile?: () => Promise<void>,
): Promise<ForkedMonitor> {
  const idMap = openIdMapChannel();
  const { pid, ready } = forkListener(
    plan.socketPath,
    [lock],
    (fds) => runMonitor(plan, context, { ...fds, lock, idMap: idMap.child }),
  );
  try {
    await Promise.all([serveIdMaps(context, idMap, pid), meanwhile?.()]);
  } catch (error) {
    ready.catch(() => {});
    kill(pid, SIGKILL);
    await waitpidAsync(pid);
    removeSocket(plan.socketPath);
    throw error;
  }
  return { pid, ready };
}

/** Starts the monitor of an exec session. It joins the container, so there are no ids to be mapped. */
export function forkExecMonitor(plan: ExecPlan): ForkedMonitor {
  return forkListener(plan.socketPath, [], (fds) => runExecMonitor(plan, fds));
}

/** Binds the socket, so that a client can connect at once, and forks who will accept. */
function forkListener(
  socketPath: string,
  inherited: number[],
  child: (fds: { listen: number; ready: number }) => never,
): ForkedMonitor {
  const open = [...inherited];
  try {
    removeSocket(socketPath);
    const listen = listenUnix(socketPath, BACKLOG, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK);
    open.push(listen);
    const [readyRead, ready] = pipe2(O_CLOEXEC);
    open.push(ready);
    prepareFork();
    const pid = forkChild(() => child({ listen, ready }));
    return { pid, ready: readReady(readyRead) };
  } finally {
    for (const fd of open) close(fd);
  }
}

async function readReady(fd: number): Promise<ReadyMessage> {
  try {
    const chunks: Uint8Array[] = [];
    for (let total = 0; total < READY_LIMIT_BYTES;) {
      const buffer = new Uint8Array(4096);
      const length = await readAsync(fd, buffer);
      if (length === 0) break;
      chunks.push(buffer.subarray(0, length));
      total += length;
    }
    const text = new TextDecoder().decode(await new Blob(chunks as BlobPart[]).arrayBuffer());
    if (text === "") throw new SkiffError("start container: the monitor ended before the program ran");
    return JSON.parse(text);
  } finally {
    close(fd);
  }
}

function removeSocket(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
