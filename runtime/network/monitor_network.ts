/** A container's network as its monitor serves it: one implementation a mode. */

import type { PublishedPort } from "./plan.ts";

/** Waits in a loop's place, for its own descriptors and those of the loop at once. */
export interface Lead {
  /** Serves what comes within `timeoutMs` (-1: for ever); whether the loop has something to serve. Never throws. */
  wait(timeoutMs: number): boolean;
}

/** What of the monitor's loop it uses: level-triggered, called with EPOLL* bits. */
export interface NetworkLoop {
  /** An epoll descriptor, which is readable while the loop has something to serve. */
  readonly fd: number;
  watch(fd: number, handler: (events: number) => void, events?: number): void;
  unwatch(fd: number): void;
  /** Calls `callback` once; what it gives is for `cancel`. */
  after(ms: number, callback: () => void): unknown;
  cancel(timer: unknown): void;
  /** From now on `lead` waits, instead of being watched: a busy one saves two calls a turn. Nothing ends it. */
  follow(lead: Lead | undefined): void;
}

/** One run of the container. What it throws later on is caught, told to `NetworkGround.onFault`, and ends nothing else. */
export interface MonitorNetwork {
  /** Init gives what it has made, which is the network's from here on: a TUN descriptor, or its network namespace's. */
  take(descriptor: number): void;
  /** Init gives its network namespace and a netlink socket of it; both are the network's from here on. */
  takeNamespace?(netns: number, netlink: number): void;
  /** Init is ready and waits; `go` lets it start, at once or when the network is there. `fail` ends the container. */
  letStart(go: () => void, fail: (error: unknown) => void): void;
  /** Connections to `listener`, a bound (TCP: listening) socket of the host, reach the container's port. */
  publish(port: PublishedPort, listener: number): void;
  unpublish(port: PublishedPort): void;
  /** Calls `done` once what was published and not any more is served so, or with why it is not. Absent: it is at once. */
  settle?(done: (error?: unknown) => void): void;
  /** In place of both, where it binds the host's ports by itself: the whole change or none of it, told by `done`. */
  changePorts?(
    change: { add: readonly PublishedPort[]; remove: readonly PublishedPort[] },
    done: (error?: unknown) => void,
  ): void;
  /** The container has ended: nothing is served any more, and its ports are free. To be quick, somebody waits. */
  end(): void;
  /** What takes longer, when nobody waits. */
  release?(): void;
}

/** The loop of a process that the network forks. */
export interface ProcessLoop extends NetworkLoop {
  runBlocking(): void;
}

export interface NetworkGround {
  loop: NetworkLoop;
  makeLoop(): ProcessLoop;
  initPid: number;
  onFault(error: unknown): void;
  /** Much was done for the network, and then little is for a while. */
  onLull?(): void;
}
