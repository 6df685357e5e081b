/**
 * `--sdnotify`: tells systemd, or whoever has set NOTIFY_SOCKET, that the container is ready. The container gets a socket
 * of the monitor's own; of what it says only that it is ready is passed on, with the monitor as the main process.
 *
 * @see sd_notify(3); podman-run(1), --sdnotify
 */

import { AF_UNIX, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK } from "../../ffi/constants/socket.ts";
import { EAGAIN, isErrno } from "../../ffi/errno.ts";
import { close } from "../../ffi/file.ts";
import { getpid } from "../../ffi/process.ts";
import { bindUnix, connectUnix, recv, send, socket } from "../../ffi/socket.ts";
import type { EventLoop } from "./loop.ts";
import type { NotifyPlan } from "./plan.ts";

const SOCKET_TYPE = SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
const MESSAGE_LIMIT_BYTES = 4096;
const MESSAGES_AT_ONCE = 16;

export class Notifier {
  readonly #plan: NotifyPlan;
  #fd = -1;
  readonly #buffer = new Uint8Array(MESSAGE_LIMIT_BYTES);

  constructor(plan: NotifyPlan) {
    this.#plan = plan;
    if (plan.folder === undefined) return;
    Deno.mkdirSync(plan.folder, { recursive: true, mode: 0o755 });
    const path = `${plan.folder}/notify.sock`;
    removeIfThere(path);
    this.#fd = socket(AF_UNIX, SOCKET_TYPE);
    bindUnix(this.#fd, path);
    // whoever the container's user is; the folders above let nobody of the host through
    Deno.chmodSync(path, 0o666);
  }

  /** The program runs. */
  started(loop: EventLoop): void {
    if (this.#fd === -1) this.#tell("READY=1");
    else loop.watch(this.#fd, () => this.#hear());
  }

  dispose(): void {
    if (this.#fd === -1) return;
    close(this.#fd);
    removeIfThere(this.#plan.folder!);
  }

  /** A few at a time: who floods the socket keeps nobody else waiting. */
  #hear(): void {
    for (let message = 0; message < MESSAGES_AT_ONCE; message++) {
      let count: number;
      try {
        count = recv(this.#fd, this.#buffer);
      } catch (error) {
        if (isErrno(error, EAGAIN)) return;
        throw error;
      }
      const lines = new TextDecoder().decode(this.#buffer.subarray(0, count)).split("\n");
      if (lines.includes("READY=1")) this.#tell("READY=1");
    }
  }

  /** Whoever listens no more is not told. */
  #tell(state: string): void {
    const fd = socket(AF_UNIX, SOCKET_TYPE);
    try {
      connectUnix(fd, this.#plan.socket);
      send(fd, new TextEncoder().encode(`MAINPID=${getpid()}\n${state}`));
    } catch {
      // nor is the container ended for it
    } finally {
      close(fd);
    }
  }
}

function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
