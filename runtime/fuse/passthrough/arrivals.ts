/** Waiting for the kernel's next request and for what happens beside it. @see epoll(7) */

import { epoll_create1, epoll_ctl, EpollEvents } from "../../../ffi/poll.ts";
import {
  EPOLL_CLOEXEC,
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLLIN,
  EPOLLOUT,
} from "../../../ffi/constants/poll.ts";

export class Arrivals {
  /** What the last wait has ended for. */
  hasRequest = false;
  hasChanges = false;
  readonly #fuse: number;
  readonly #epoll = epoll_create1(EPOLL_CLOEXEC);
  readonly #events = new EpollEvents(3);
  /** Descriptors that are waited for. */
  readonly #added = new Set<number>();

  constructor(fuse: number) {
    this.#fuse = fuse;
    this.#wait(fuse, true, EPOLLIN);
  }

  /** Up to `timeoutMs` (-1: for ever), also for changes to come and for room in a socket, where they are given. */
  waitBlocking(timeoutMs: number, changes: Source, room: Source): void {
    if (changes.fd !== undefined) this.#wait(changes.fd, changes.isWanted, EPOLLIN);
    if (room.fd !== undefined) this.#wait(room.fd, room.isWanted, EPOLLOUT);
    const count = this.#events.waitBlocking(this.#epoll, timeoutMs);
    this.hasRequest = this.hasChanges = false;
    for (let index = 0; index < count; index++) {
      const fd = this.#events.fd(index);
      if (fd === this.#fuse) this.hasRequest = true;
      else if (fd === changes.fd) this.hasChanges = true;
    }
  }

  #wait(fd: number, isWanted: boolean, events: number): void {
    if (isWanted === this.#added.has(fd)) return;
    epoll_ctl(this.#epoll, isWanted ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, fd, events);
    if (isWanted) this.#added.add(fd);
    else this.#added.delete(fd);
  }
}

interface Source {
  fd: number | undefined;
  isWanted: boolean;
}
