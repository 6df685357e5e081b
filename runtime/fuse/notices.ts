/**
 * Messages to the kernel that have to wait for a folder's lock, by way of a process of their own.
 *
 * Whoever has that lock may wait for the session, which therefore must not wait for the lock. Each is told twice: who had
 * his answer before the first one, and takes it up after it, would believe it in spite of it.
 *
 * ```
 *  session ── message ──▶ socket ──▶ writer ── write, which may wait ──▶ /dev/fuse
 * ```
 * That wait ends with nothing but the lock, not even with SIGKILL. A descriptor of the session's own in the writer would
 * then keep a session that was killed from ending the request of whoever has the lock: both would wait for ever. It has
 * a twin (`openFuseTwin`). A request that the session had not read yet ends by `abortFuseMount`.
 */

import { EAGAIN, errno } from "../../ffi/errno.ts";
import { close, closeAllExcept, Fd } from "../../ffi/file.ts";
import { forkChild } from "../../ffi/fork.ts";
import { libc } from "../../ffi/libc.ts";
import { _exit, getpid, getppid, prctl } from "../../ffi/process.ts";
import { recv, socketpair } from "../../ffi/socket.ts";
import { setProcessTitle } from "../../ffi/process_title.ts";
import { PR_SET_PDEATHSIG } from "../../ffi/constants/prctl.ts";
import { SIGKILL } from "../../ffi/constants/signal.ts";
import {
  AF_UNIX,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  SOCK_CLOEXEC,
  SOCK_SEQPACKET,
} from "../../ffi/constants/socket.ts";

type Message = Uint8Array<ArrayBuffer>;

const AGAIN_MS = 1000;
/** Of a name of 255 bytes. */
const LARGEST_MESSAGE = 512;
/** So many wait before no more changes are taken. */
const MANY = 4096;

export class Notices {
  readonly fd: number;
  readonly #onBroken: () => void;
  readonly #waiting: Message[] = [];
  readonly #again: { dueMs: number; message: Message }[] = [];

  /** Forks who writes to `twin`, which ends with this process. `onBroken` is called when it has ended before. */
  constructor(twin: number, onBroken: () => void) {
    const [ours, theirs] = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC);
    forkWriter(twin, theirs);
    close(theirs);
    this.fd = ours;
    this.#onBroken = onBroken;
  }

  /** Whether there is something for the socket, once it has room. */
  get isWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** Whether nothing more ought to be added yet. */
  get isFull(): boolean {
    return this.#waiting.length >= MANY;
  }

  /** In how many ms `send` has something to do, -1: in none. */
  get waitMs(): number {
    const [first] = this.#again;
    return first === undefined ? -1 : Math.max(0, first.dueMs - Date.now());
  }

  tell(message: Message): void {
    this.#waiting.push(message);
    this.tellLater(message);
  }

  /** Only when whoever has his answer by now has taken it up. */
  tellLater(message: Message): void {
    this.#again.push({ dueMs: Date.now() + AGAIN_MS, message });
  }

  /** Sends what there is room for. */
  send(): void {
    const now = Date.now();
    while (this.#again.length > 0 && this.#again[0]!.dueMs <= now) {
      this.#waiting.push(this.#again.shift()!.message);
    }
    let sent = 0;
    for (const message of this.#waiting) {
      const result = libc("socket").send(this.fd, message, message.length, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (result === -1) {
        if (errno() === EAGAIN) break;
        this.#waiting.length = this.#again.length = 0;
        return this.#onBroken();
      }
      sent++;
    }
    this.#waiting.splice(0, sent);
  }
}

function forkWriter(twin: number, socket: number): void {
  const parent = getpid();
  forkChild(() => {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() !== parent) _exit(1);
    closeAllExcept([twin, socket]);
    setProcessTitle("skiff: idmap notices");
    using end = new Fd(socket);
    const message = new Uint8Array(LARGEST_MESSAGE);
    for (;;) {
      const length = recv(end.number, message);
      if (length === 0) return 0;
      // ENOENT: it has no such name
      libc("file").write(twin, message, length);
    }
  });
}
