/**
 * The user-mode stack behind one TUN interface: hands the guest's packets to their protocols, which speak to the world by
 * sockets of the holder's network namespace.
 */

import { close, setNonblocking } from "../../../ffi/file.ts";
import type { PublishedPort, StackPlan } from "../plan.ts";
import type { StackContext } from "./context.ts";
import { Destinations } from "./destinations.ts";
import { Host } from "./host.ts";
import { Link } from "./link.ts";

export interface StackOptions {
  tun: number;
  plan: StackPlan;
  /** Told of faults that were caught. */
  onFault(error: unknown): void;
  /** A packet, with its vnet header, that the holder has read already. */
  first?: Uint8Array<ArrayBuffer>;
}

/** Where a published port leads to. */
export interface Guest {
  ipv4?: string;
  ipv6?: string;
}

/** Packets of one turn. */
const BATCH_PACKETS = 64;

export class Stack {
  readonly #host: Host;
  readonly #link: Link;
  readonly #context: StackContext;

  constructor({ tun, plan, onFault, first }: StackOptions) {
    setNonblocking(tun);
    this.#host = new Host(onFault);
    this.#link = new Link(tun, plan);
    this.#context = {
      plan,
      link: this.#link,
      host: this.#host,
      destinations: new Destinations(plan),
      afterBatch: [],
    };
    if (first) {
      this.#host.attempt(() => {
        const slot = this.#link.pool.take();
        slot.bytes.set(first);
        this.#link.receive(slot, first.length);
      });
    }
    this.#host.watch(tun, () => this.#read());
  }

  /** Readable when there is work: to be watched level-triggered by the holder's own loop. */
  get fd(): number {
    return this.#host.fd;
  }

  /** A bounded piece of work; never throws. */
  work(): void {
    this.#host.work();
  }

  /** Adopts a bound (TCP: listening) socket; what reaches it is brought to the guest. */
  publish(_port: PublishedPort, _listener: number, _guest: Guest): void {
    throw new Error("not there");
  }

  unpublish(_port: PublishedPort): void {}

  dispose(): void {
    this.#host.unwatch(this.#link.fd);
    close(this.#link.fd);
    this.#host.dispose();
  }

  #read(): void {
    const isDrained = !this.#link.read(BATCH_PACKETS);
    for (const task of this.#context.afterBatch) this.#host.attempt(task);
    if (!isDrained) this.#host.defer(() => this.#read());
  }
}
