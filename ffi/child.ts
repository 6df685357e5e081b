/**
 * Children that one part of a program waits for and another may kill: by a descriptor, since a number may be another's as soon
 * as the child is reaped, which a waiting thread does a turn of the event loop before anybody is told.
 *
 * @see pidfd_open(2)
 */

import { ESRCH, isErrno } from "./errno.ts";
import { close } from "./file.ts";
import { type ExitedChild, pidfd_open, pidfd_send_signal, waitpidAsync } from "./process.ts";
import { SIGKILL } from "./constants/signal.ts";

/** A child of this process. */
export class Child {
  #pidfd: number | undefined;
  constructor(readonly pid: number) {
    this.#pidfd = pidfd_open(pid);
  }

  /** Reaps it, once. */
  async wait(): Promise<ExitedChild> {
    try {
      return await waitpidAsync(this.pid);
    } finally {
      close(this.#pidfd!);
      this.#pidfd = undefined;
    }
  }

  /** Nothing where it has ended. */
  kill(): void {
    if (this.#pidfd === undefined) return;
    try {
      pidfd_send_signal(this.#pidfd, SIGKILL);
    } catch (error) {
      if (!isErrno(error, ESRCH)) throw error;
    }
  }
}
