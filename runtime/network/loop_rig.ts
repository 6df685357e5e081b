/** For tests: a loop that only remembers what is watched and when; the test calls the handlers. */

import type { NetworkLoop } from "./monitor_network.ts";

export interface LoopRig {
  loop: NetworkLoop;
  handlers: Map<number, (events: number) => void>;
  timers: Set<() => void>;
}

export function makeLoop(): LoopRig {
  const handlers: LoopRig["handlers"] = new Map();
  const timers: LoopRig["timers"] = new Set();
  const loop: NetworkLoop = {
    fd: -1,
    follow: () => {},
    watch: (fd, handler) => void handlers.set(fd, handler),
    unwatch: (fd) => void handlers.delete(fd),
    after(_ms, callback) {
      timers.add(callback);
      return callback;
    },
    cancel: (timer) => void timers.delete(timer as () => void),
  };
  return { loop, handlers, timers };
}
