/**
 * The published ports of a container with their sockets. They stay the monitor's while the container is started again,
 * and a network gets each anew.
 */

import { close } from "../../ffi/file.ts";
import { SkiffError } from "../errors.ts";
import type { MonitorNetwork } from "../network/monitor_network.ts";
import type { PublishedPort } from "../network/plan.ts";

/** What a client asks for; see `isAtHostPort` for which of `add` it sends no socket. */
export interface PortChange {
  add: PublishedPort[];
  remove: PublishedPort[];
}

interface HeldPort {
  port: PublishedPort;
  fd: number;
}

/** Whether both have the same port of the host: where one replaces the other it takes over its socket. */
export function isAtHostPort(one: PublishedPort, other: PublishedPort): boolean {
  return one.protocol === other.protocol && one.hostAddress === other.hostAddress &&
    one.hostPort === other.hostPort;
}

export class HeldPorts {
  #held: HeldPort[];
  #isChanging = false;

  /** `fds` are its own from here on; a port without one is not held. */
  constructor(ports: readonly PublishedPort[] = [], fds: readonly number[] = []) {
    this.#held = fds.map((fd, index) => ({ port: ports[index]!, fd }));
  }

  get ports(): PublishedPort[] {
    return this.#held.map(({ port }) => port);
  }

  publishOn(network: Pick<MonitorNetwork, "publish">): void {
    for (const { port, fd } of this.#held) network.publish(port, fd);
  }

  /**
   * Makes the whole change or none of it, told by `done` once the network serves it. `fds` are the sockets of `add` in
   * order, and its own from here on; what is to be removed and is not there is passed over.
   *
   * @throws {SkiffError}
   */
  change(
    { add, remove }: PortChange,
    fds: readonly number[],
    network: MonitorNetwork,
    done: (error?: unknown) => void,
  ): void {
    const isRemoved = ({ port }: HeldPort) =>
      remove.some((one) => isAtHostPort(one, port) && one.containerPort === port.containerPort);
    const gone = this.#held.filter(isRemoved);
    const fresh = [...fds];
    const added = add.flatMap((port): HeldPort[] => {
      const fd = gone.find((held) => isAtHostPort(held.port, port))?.fd ?? fresh.shift();
      return fd === undefined ? [] : [{ port, fd }];
    });
    if (this.#isChanging || added.length !== add.length || fresh.length > 0) {
      fds.forEach(close);
      throw new SkiffError(
        this.#isChanging
          ? "change published ports: they are being changed already"
          : `change published ports: ${fds.length} sockets came for ${add.length} ports`,
      );
    }
    replace(network, gone, added, fds);
    const before = this.#held;
    const kept = before.filter((held) => !isRemoved(held));
    this.#held = [...kept, ...added];
    const settled = (error?: unknown) => {
      this.#isChanging = false;
      if (error === undefined) {
        const used = new Set(this.#held.map(({ fd }) => fd));
        for (const { fd } of gone) if (!used.has(fd)) close(fd);
        return done();
      }
      this.#held = before;
      undo(network, gone, added, fds);
      done(new SkiffError(`change published ports: ${(error as Error).message}`, { cause: error }));
    };
    if (!network.settle) return settled();
    this.#isChanging = true;
    network.settle(settled);
  }

  /** The ports of the host are free again. */
  close(): void {
    for (const { fd } of this.#held.splice(0)) close(fd);
  }
}

/** On failure all is as it was, and `fds` are closed. */
function replace(
  network: MonitorNetwork,
  gone: readonly HeldPort[],
  added: readonly HeldPort[],
  fds: readonly number[],
): void {
  for (const { port } of gone) network.unpublish(port);
  const done: HeldPort[] = [];
  try {
    for (const held of added) {
      network.publish(held.port, held.fd);
      done.push(held);
    }
  } catch (cause) {
    undo(network, gone, done, fds);
    throw new SkiffError(`change published ports: ${(cause as Error).message}`, { cause });
  }
}

function undo(
  network: MonitorNetwork,
  gone: readonly HeldPort[],
  added: readonly HeldPort[],
  fds: readonly number[],
): void {
  for (const { port } of added) network.unpublish(port);
  fds.forEach(close);
  for (const { port, fd } of gone) network.publish(port, fd);
}
