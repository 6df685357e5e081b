import { deepStrictEqual as equal, throws } from "node:assert";
import { F_GETFD } from "../../ffi/constants/fcntl.ts";
import { fcntl } from "../../ffi/file.ts";
import { bindPort } from "../network/listeners.ts";
import type { MonitorNetwork } from "../network/monitor_network.ts";
import type { PublishedPort } from "../network/plan.ts";
import { HeldPorts } from "./held_ports.ts";

function bind(containerPort: number): { port: PublishedPort; fd: number } {
  return bindPort({ protocol: "tcp", hostAddress: "127.0.0.1", hostPort: 0, containerPort })[0]!;
}

function isOpen(fd: number): boolean {
  try {
    fcntl(fd, F_GETFD, 0);
    return true;
  } catch {
    return false;
  }
}

function mustSucceed(error?: unknown): void {
  equal(error, undefined);
}

/** Remembers what it serves, and refuses one port. */
class FakeNetwork implements MonitorNetwork {
  readonly served = new Map<number, number>();
  constructor(readonly refused = -1) {}
  take(): void {}
  letStart(go: () => void): void {
    go();
  }
  publish({ containerPort }: PublishedPort, fd: number): void {
    if (containerPort === this.refused) throw new Error("no room");
    this.served.set(containerPort, fd);
  }
  unpublish({ containerPort }: PublishedPort): void {
    this.served.delete(containerPort);
  }
  end(): void {}
}

Deno.test("ports are added, removed and published again", () => {
  const [first, second, third] = [bind(80), bind(81), bind(82)];
  const held = new HeldPorts([first.port, second.port], [first.fd, second.fd]);
  const network = new FakeNetwork();
  held.publishOn(network);
  held.change({ add: [third.port], remove: [first.port] }, [third.fd], network, mustSucceed);
  equal([...network.served], [[81, second.fd], [82, third.fd]]);
  equal(isOpen(first.fd), false);
  const again = new FakeNetwork();
  held.publishOn(again);
  equal([...again.served.keys()], [81, 82]);
  held.close();
  equal([second, third].some(({ fd }) => isOpen(fd)), false);
});

Deno.test("a port of the host that leads elsewhere keeps its socket", () => {
  const { port, fd } = bind(80);
  const held = new HeldPorts([port], [fd]);
  const network = new FakeNetwork();
  held.publishOn(network);
  held.change({ add: [{ ...port, containerPort: 90 }], remove: [port] }, [], network, mustSucceed);
  equal([...network.served], [[90, fd]]);
  equal(isOpen(fd), true);
  held.close();
});

Deno.test("a change that fails changes nothing, and its sockets are closed", () => {
  const [first, second, third] = [bind(80), bind(81), bind(82)];
  const held = new HeldPorts([first.port], [first.fd]);
  const network = new FakeNetwork(82);
  held.publishOn(network);
  const add = [second.port, third.port];
  throws(() => held.change({ add, remove: [first.port] }, [second.fd, third.fd], network, mustSucceed), {
    message: "change published ports: no room",
  });
  equal([...network.served], [[80, first.fd]]);
  equal(held.ports, [first.port]);
  equal([second, third].some(({ fd }) => isOpen(fd)), false);
  const lost = bind(83);
  throws(() => held.change({ add: [second.port, lost.port], remove: [] }, [lost.fd], network, mustSucceed), {
    message: "change published ports: 1 sockets came for 2 ports",
  });
  equal(isOpen(lost.fd), false);
  held.close();
});

/** Serves elsewhere, and is told there when it is done. */
class LateNetwork extends FakeNetwork {
  settled: (error?: unknown) => void = () => {};
  settle(done: (error?: unknown) => void): void {
    this.settled = done;
  }
}

Deno.test("a change is told when the network serves it, and undone where it cannot", () => {
  const [first, second] = [bind(80), bind(81)];
  const held = new HeldPorts([first.port], [first.fd]);
  const network = new LateNetwork();
  held.publishOn(network);
  const told: unknown[] = [];
  const done = (error?: unknown) => told.push((error as Error | undefined)?.message);
  held.change({ add: [second.port], remove: [first.port] }, [second.fd], network, done);
  equal([told, isOpen(first.fd)], [[], true]);
  const third = bind(82);
  throws(() => held.change({ add: [third.port], remove: [] }, [third.fd], network, mustSucceed), {
    message: "change published ports: they are being changed already",
  });
  equal(isOpen(third.fd), false);
  network.settled(new Error("no rules"));
  equal(told, ["change published ports: no rules"]);
  equal([...network.served], [[80, first.fd]]);
  equal([held.ports, isOpen(second.fd)], [[first.port], false]);

  held.change({ add: [], remove: [first.port] }, [], network, done);
  equal(isOpen(first.fd), true);
  network.settled();
  equal([told.length, isOpen(first.fd), held.ports], [2, false, []]);
});
