/**
 * A container's place on the user's bridges, in its monitor: finds their holder, or forks it, and keeps what a later
 * holder needs to go on where the last one ended.
 *
 * ```
 *  monitors of containers ── SOCK_SEQPACKET <run>/networks.members ──▶ holder
 *    each keeps the descriptors of the bridges' namespace, of its container's namespace, of its ports
 *    the connection ends: the first to have the lock forks another holder, all tell it what they keep
 * ```
 */

import { F_DUPFD_CLOEXEC, LOCK_EX, LOCK_SH } from "../../../ffi/constants/fcntl.ts";
import { EPOLLIN, EPOLLOUT } from "../../../ffi/constants/poll.ts";
import { close, fcntl, setNonblocking } from "../../../ffi/file.ts";
import { forkChild } from "../../../ffi/fork.ts";
import { SkiffError } from "../../errors.ts";
import { openBridgeHolder } from "../lazy_code.ts";
import type { MonitorNetwork, NetworkGround } from "../monitor_network.ts";
import type { NetworkPlan, PublishedPort } from "../plan.ts";
import { connectToHolder, listenForHolder, lockHolder } from "./holder_paths.ts";
import { type HolderMessage, type MemberMessage, receiveMessage, sendMessage } from "./messages.ts";

/** A holder that ends at once each time is not made again and again for ever. */
const ATTEMPTS = 5;
/** How long the holder may take to change ports. */
const SETTLE_MS = 20_000;

export class BridgeMember implements MonitorNetwork {
  /** Changed in place, so that a later run of the container has it as well. */
  readonly #plan: Extract<NetworkPlan, { kind: "bridge" }>;
  readonly #ground: NetworkGround;
  readonly #loadHolder = openBridgeHolder();
  #connection = -1;
  /** The container's namespace and a netlink socket of it. */
  #own: number[] = [];
  /** Those of the bridges' namespace, and of the lock that says it lives. */
  #kept: number[] = [];
  readonly #ports: { port: PublishedPort; fd: number }[] = [];
  /** What the holder has not had yet. */
  #outbox: { message: MemberMessage; fds: readonly number[] }[] = [];
  #waitsForRoom = false;
  #whenAttached: { go: () => void; fail: (error: unknown) => void } | undefined;
  /** undefined: not known yet. */
  #outcome: { error?: SkiffError } | undefined;
  #lostInARow = 0;
  /** Waits until the holder has the ports as they were told. */
  #whenSettled: ((error?: unknown) => void) | undefined;

  constructor(plan: Extract<NetworkPlan, { kind: "bridge" }>, ground: NetworkGround) {
    this.#plan = plan;
    this.#ground = ground;
    // while init sets itself up
    this.#attempt(() => this.#connect());
  }

  take(descriptor: number): void {
    close(descriptor);
  }

  takeNamespace(netns: number, netlink: number): void {
    this.#own = [netns, netlink];
    this.#attempt(() => this.#attach());
  }

  letStart(go: () => void, fail: (error: unknown) => void): void {
    this.#whenAttached = { go, fail };
    this.#settle();
  }

  publish(port: PublishedPort, listener: number): void {
    const fd = fcntl(listener, F_DUPFD_CLOEXEC, 3);
    this.#ports.push({ port, fd });
    if (this.#own.length > 0) this.#send({ op: "publish", port }, [fd]);
  }

  unpublish(port: PublishedPort): void {
    const at = this.#ports.findIndex((one) => JSON.stringify(one.port) === JSON.stringify(port));
    if (at !== -1) {
      const { fd } = this.#ports.splice(at, 1)[0]!;
      this.#outbox = this.#outbox.filter(({ fds }) => !fds.includes(fd));
      close(fd);
    }
    this.#send({ op: "unpublish", port });
  }

  /** One at a time. */
  settle(done: (error?: unknown) => void): void {
    // nothing of it was said yet, or nobody serves any more
    if (this.#connection === -1 || this.#own.length === 0) return done();
    const timer = this.#ground.loop.after(
      SETTLE_MS,
      () => this.#whenSettled?.(new SkiffError("the process that holds the networks does not answer")),
    );
    this.#whenSettled = (error) => {
      this.#whenSettled = undefined;
      this.#ground.loop.cancel(timer);
      done(error);
    };
    this.#send({ op: "settle" });
  }

  end(): void {
    this.#whenSettled?.();
    this.#hangUp();
    for (const fd of [...this.#own, ...this.#kept, ...this.#ports.map(({ fd }) => fd)]) close(fd);
    this.#own = [];
    this.#kept = [];
    this.#ports.length = 0;
  }

  /** What goes wrong while the container starts is its failure; later it is a fault. */
  #attempt(action: () => void): void {
    try {
      action();
    } catch (error) {
      if (this.#outcome) return this.#ground.onFault(error);
      this.#outcome = { error: error instanceof SkiffError ? error : new SkiffError(String(error)) };
      this.#settle();
    }
  }

  #settle(): void {
    if (!this.#outcome || !this.#whenAttached) return;
    const { go, fail } = this.#whenAttached;
    this.#whenAttached = undefined;
    if (this.#outcome.error) fail(this.#outcome.error);
    else go();
  }

  #connect(): void {
    this.#connection = this.#reachHolder();
    setNonblocking(this.#connection);
    this.#watch();
    if (this.#kept.length > 0) this.#send({ op: "keep" }, this.#kept);
  }

  #attach(): void {
    if (this.#own.length === 0) return;
    this.#send({ op: "attach", plan: this.#plan.bridge, ports: this.#ports.length }, this.#own);
    for (const { port, fd } of this.#ports) this.#send({ op: "publish", port }, [fd]);
    if (this.#whenSettled) this.#send({ op: "settle" });
  }

  /** In order, though hundreds of ports are more than the socket takes at once. */
  #send(message: MemberMessage, fds: readonly number[] = []): void {
    if (this.#connection === -1) return;
    this.#outbox.push({ message, fds });
    if (this.#outbox.length === 1) this.#flush();
  }

  #flush(): void {
    for (let next = this.#outbox.shift(); next; next = this.#outbox.shift()) {
      if (sendMessage(this.#connection, next.message, next.fds)) continue;
      // where the holder has gone its end is heard of soon
      this.#outbox.unshift(next);
      break;
    }
    if (this.#waitsForRoom === this.#outbox.length > 0) return;
    this.#ground.loop.unwatch(this.#connection);
    this.#watch();
  }

  #watch(): void {
    this.#waitsForRoom = this.#outbox.length > 0;
    this.#ground.loop.watch(this.#connection, (events) => {
      if (events & EPOLLOUT) this.#flush();
      this.#hear();
    }, this.#waitsForRoom ? EPOLLIN | EPOLLOUT : EPOLLIN);
  }

  #hangUp(): void {
    if (this.#connection === -1) return;
    this.#ground.loop.unwatch(this.#connection);
    close(this.#connection);
    this.#connection = -1;
    this.#outbox = [];
  }

  #hear(): void {
    for (;;) {
      const received = receiveMessage<HolderMessage>(this.#connection);
      if (received === "nothing") return;
      if (received === "gone") return this.#reconnect();
      this.#lostInARow = 0;
      this.#take(received.message, received.fds);
    }
  }

  #take(message: HolderMessage, fds: number[]): void {
    switch (message.op) {
      case "keep":
        this.#kept.forEach(close);
        this.#kept = fds;
        return;
      case "plan":
        this.#plan.bridge = message.plan;
        break;
      case "attached":
        this.#outcome ??= {};
        this.#settle();
        break;
      case "failed":
        this.#attempt(() => {
          throw new SkiffError(message.message);
        });
        break;
      case "settled":
        this.#whenSettled?.(message.message === undefined ? undefined : new SkiffError(message.message));
        break;
      case "fault":
        this.#ground.onFault(new SkiffError(message.message));
    }
    fds.forEach(close);
  }

  /** The holder was killed: traffic, names and ports work again when another has been told all. */
  #reconnect(): void {
    this.#hangUp();
    this.#attempt(() => {
      if (++this.#lostInARow > ATTEMPTS) throw new SkiffError("hold networks: the process ends at once");
      this.#connect();
      this.#attach();
    });
  }

  /** A connection to the holder, who is forked where there is none. Waits for a lock that is held for a moment only. */
  #reachHolder(): number {
    {
      // whoever has it shared is not ended under: the holder ends with the lock to itself
      using _shared = lockHolder(this.#plan.holder, LOCK_SH);
      const found = connectToHolder(this.#plan.holder);
      if (found !== undefined) return found;
    }
    using _lock = lockHolder(this.#plan.holder, LOCK_EX);
    const made = connectToHolder(this.#plan.holder);
    if (made !== undefined) return made;
    const listeners = listenForHolder(this.#plan.holder);
    try {
      const load = this.#loadHolder;
      const { holder } = this.#plan;
      forkChild(() =>
        load().runHolder({
          ...holder,
          listeners,
          makeLoop: this.#ground.makeLoop,
          onLull: this.#ground.onLull,
        })
      );
    } finally {
      close(listeners.members);
      close(listeners.requests);
    }
    const own = connectToHolder(this.#plan.holder);
    if (own === undefined) throw new SkiffError("hold networks: the process that was forked does not listen");
    return own;
  }
}
