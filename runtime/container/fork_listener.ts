/**
 * Forks a monitor that listens on a socket already bound, and hears from it once.
 *
 * ```
 *  command                              monitor
 *    listen, fork ────────────────────▶   sets up
 *    reads one ReadyMessage ◀──────────   the program runs, or why it does not
 * ```
 */

import { AT_FDCWD, F_OK, O_CLOEXEC } from "../../ffi/constants/fcntl.ts";
import { SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM } from "../../ffi/constants/socket.ts";
import { close, faccessat, pipe2, readAsync, unlinkat } from "../../ffi/file.ts";
import { listenUnix } from "../../ffi/socket.ts";
import { SkiffError } from "../errors.ts";
import type { ReadyMessage } from "../monitor/records.ts";

const BACKLOG = 64;
const READY_LIMIT_BYTES = 65536;

export interface ForkedMonitor {
  pid: number;
  /** Resolves when the program runs or is known not to. To be awaited: the monitor watches this command by it. */
  ready: Promise<ReadyMessage>;
}

/** What listens on a socket that is bound before, and tells once whether the program runs. */
export interface Listener {
  listen: number;
  ready: number;
}

/** Binds the socket and makes the pipe for a child whose pid `give` returns; `inherited` is closed here as well. */
export function withListener(
  socketPath: string,
  inherited: number[],
  give: (fds: Listener) => number,
): ForkedMonitor {
  const open = [...inherited];
  try {
    removeSocket(socketPath);
    const listen = listenUnix(socketPath, BACKLOG, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK);
    open.push(listen);
    const [readyRead, ready] = pipe2(O_CLOEXEC);
    open.push(ready);
    const pid = give({ listen, ready });
    return { pid, ready: readReady(readyRead) };
  } finally {
    for (const fd of open) close(fd);
  }
}

async function readReady(fd: number): Promise<ReadyMessage> {
  try {
    const decoder = new TextDecoder();
    const buffer = new Uint8Array(4096);
    let text = "";
    while (text.length < READY_LIMIT_BYTES) {
      const length = await readAsync(fd, buffer);
      if (length === 0) break;
      text += decoder.decode(buffer.subarray(0, length), { stream: true });
    }
    if (text === "") throw new SkiffError("start container: the monitor ended before the program ran");
    return JSON.parse(text);
  } finally {
    close(fd);
  }
}

/** Where a socket is left of an earlier run; the usual case makes no exception, whose first costs a millisecond. */
export function removeSocket(path: string): void {
  if (faccessat(AT_FDCWD, path, F_OK)) unlinkat(AT_FDCWD, path);
}
