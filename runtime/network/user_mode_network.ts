/**
 * The user-mode stack in a monitor. Its code is loaded at the first packet that needs it, or the first connection to a
 * published port; until then a container's network costs a watched descriptor.
 */

import { EAGAIN, isErrno } from "../../ffi/errno.ts";
import { close, fcntl, read } from "../../ffi/file.ts";
import { F_DUPFD_CLOEXEC } from "../../ffi/constants/fcntl.ts";
import { openDatagrams, openStack } from "./lazy_code.ts";
import type { MonitorNetwork, NetworkGround } from "./monitor_network.ts";
import type { PublishedPort, StackPlan } from "./plan.ts";
import type { Stack } from "./stack/stack.ts";

type Listener = { port: PublishedPort; fd: number };

/** A virtio_net_hdr and the largest IP packet. */
const FRAME_BYTES = 10 + 65535;

export class UserModeNetwork implements MonitorNetwork {
  readonly #plan: StackPlan;
  readonly #ground: NetworkGround;
  readonly #load = openStack();
  readonly #loadDatagrams = openDatagrams();
  /** -1: init has given none yet. The stack has a copy of it. */
  #tun = -1;
  #stack: Stack | undefined;
  /** Those that the stack does not have yet. */
  #listeners: Listener[] = [];

  constructor(plan: StackPlan, ground: NetworkGround) {
    this.#plan = plan;
    this.#ground = ground;
  }

  take(tun: number): void {
    if (this.#tun !== -1) return close(tun);
    this.#tun = tun;
    this.#ground.loop.watch(tun, () => this.#readFirst());
    for (const { fd } of this.#listeners) this.#watchListener(fd);
  }

  letStart(go: () => void): void {
    go();
  }

  /** `listener` stays the caller's: a container that is started again needs it once more. */
  publish(port: PublishedPort, listener: number): void {
    const fd = fcntl(listener, F_DUPFD_CLOEXEC, 3);
    if (this.#stack) return this.#stack.publish(port, fd, this.#guest);
    this.#listeners.push({ port, fd });
    if (this.#tun !== -1) this.#watchListener(fd);
  }

  unpublish(port: PublishedPort): void {
    this.#stack?.unpublish(port);
    const kept: Listener[] = [];
    for (const listener of this.#listeners) {
      if (samePort(listener.port, port)) this.#drop(listener.fd);
      else kept.push(listener);
    }
    this.#listeners = kept;
  }

  end(): void {
    if (this.#stack) this.#ground.loop.follow(undefined);
    this.#stack?.dispose();
    this.#stack = undefined;
    for (const { fd } of this.#listeners.splice(0)) this.#drop(fd);
    if (this.#tun !== -1) this.#ground.loop.unwatch(this.#tun);
  }

  /** The kernel takes 10 ms and more to remove an interface. */
  release(): void {
    if (this.#tun !== -1) close(this.#tun);
    this.#tun = -1;
  }

  get #guest(): { ipv4?: string; ipv6?: string } {
    const find = (isIpv6: boolean) =>
      this.#plan.guests.find(({ address }) => address.includes(":") === isIpv6)?.address;
    return { ipv4: find(false), ipv6: find(true) };
  }

  #watchListener(fd: number): void {
    this.#ground.loop.watch(fd, () => this.#wake());
  }

  #drop(fd: number): void {
    this.#ground.loop.unwatch(fd);
    close(fd);
  }

  #readFirst(): void {
    const frame = new Uint8Array(FRAME_BYTES);
    let length = 0;
    try {
      length = read(this.#tun, frame);
    } catch (error) {
      // else the guest has deleted the interface: it would be readable (EPOLLERR) for ever
      if (!isErrno(error, EAGAIN)) this.#ground.loop.unwatch(this.#tun);
      return;
    }
    if (!isHousekeeping(frame, length)) this.#wake(frame.subarray(0, length));
  }

  /** Loads the stack and gives it all. A stack that cannot be loaded leaves the container without a network. */
  #wake(first?: Uint8Array<ArrayBuffer>): void {
    const { loop, onFault } = this.#ground;
    loop.unwatch(this.#tun);
    for (const { fd } of this.#listeners) loop.unwatch(fd);
    try {
      const stack = this.#stack = this.#makeStack(first);
      for (const { port, fd } of this.#listeners.splice(0)) stack.publish(port, fd, this.#guest);
      loop.follow(stack.lead(loop.fd));
      stack.work();
    } catch (error) {
      onFault(error);
      this.end();
      this.release();
    }
  }

  #makeStack(first?: Uint8Array<ArrayBuffer>): Stack {
    const { onFault, onLull } = this.#ground;
    const { Stack } = this.#load();
    const tun = fcntl(this.#tun, F_DUPFD_CLOEXEC, 3);
    try {
      const loadDatagrams = this.#loadDatagrams;
      return new Stack({ tun, plan: this.#plan, loadDatagrams, onFault, onLull, first });
    } catch (error) {
      close(tun);
      throw error;
    }
  }
}

/**
 * What the kernel says of itself on every new interface: multicast listener reports, router and neighbour solicitations.
 * The interface has its addresses and routes, so that nothing is lost where nobody answers.
 */
function isHousekeeping(frame: Uint8Array, length: number): boolean {
  const IP = 10, ICMPV6 = 58, HOP_BY_HOP = 0;
  if (length < IP + 40 || frame[IP]! >> 4 !== 6 || frame[IP + 24] !== 0xff) return false;
  const next = frame[IP + 6];
  if (next === HOP_BY_HOP) return frame[IP + 40] === ICMPV6;
  return next === ICMPV6 && frame[IP + 40]! >= 130 && frame[IP + 40]! <= 143;
}

export function samePort(one: PublishedPort, other: PublishedPort): boolean {
  return one.protocol === other.protocol && one.hostAddress === other.hostAddress &&
    one.hostPort === other.hostPort && one.containerPort === other.containerPort;
}
