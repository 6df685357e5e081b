import { AF_UNIX, SOCK_SEQPACKET } from "../../ffi/constants/socket.ts";
import { O_CLOEXEC, O_NONBLOCK } from "../../ffi/constants/fcntl.ts";
import { close, dup3, pipe2, write } from "../../ffi/file.ts";
import { socketpair } from "../../ffi/socket.ts";
import { assertEquals, assertMatch } from "../../tests/assertions.ts";
import { EPOLL_CLOEXEC } from "../../ffi/constants/poll.ts";
import { epoll_create1 } from "../../ffi/poll.ts";
import type { Lead } from "./monitor_network.ts";
import { prepareNetworkCode } from "./lazy_code.ts";
import { planStack } from "./user_mode.ts";
import { UserModeNetwork } from "./user_mode_network.ts";

await prepareNetworkCode();

/** A monitor's loop that calls what is asked for. */
class FakeLoop {
  readonly fd = epoll_create1(EPOLL_CLOEXEC);
  lead: Lead | undefined;
  readonly handlers = new Map<number, (events: number) => void>();
  watch(fd: number, handler: (events: number) => void): void {
    this.handlers.set(fd, handler);
  }
  unwatch(fd: number): void {
    this.handlers.delete(fd);
  }
  follow(lead: Lead | undefined): void {
    this.lead = lead;
  }
  after(): void {}
  cancel(): void {}
}

function frame(version: 4 | 6, fill: (packet: Uint8Array) => void): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(10 + (version === 4 ? 28 : 60));
  bytes[10] = version === 4 ? 0x45 : 0x60;
  fill(bytes.subarray(10));
  return bytes;
}

const ROUTER_SOLICITATION = frame(6, (packet) => {
  packet[6] = 58;
  packet[24] = 0xff;
  packet[40] = 133;
});
const LISTENER_REPORT = frame(6, (packet) => {
  packet[24] = 0xff;
  packet[40] = 58;
});
const DATAGRAM = frame(4, (packet) => packet[9] = 17);

/** A network with a guest at the other end, and what it has told of faults. */
function makeNetwork(plan = planStack()) {
  const [tun, guest] = socketpair(AF_UNIX, SOCK_SEQPACKET);
  const loop = new FakeLoop();
  const faults: string[] = [];
  const onFault = (error: unknown) => faults.push((error as Error).message);
  const makeLoop = () => {
    throw new Error("nothing is forked");
  };
  const network = new UserModeNetwork(plan, { loop, makeLoop, initPid: 1, onFault });
  network.take(tun);
  const send = (bytes: Uint8Array<ArrayBuffer>) => {
    write(guest, bytes);
    loop.handlers.get(tun)?.(1);
  };
  const isLoaded = () => !loop.handlers.has(tun);
  return { network, loop, faults, send, isLoaded, guest };
}

Deno.test("what the kernel says of itself loads no stack, the first packet of a program does", () => {
  const { network, loop, faults, send, isLoaded, guest } = makeNetwork();
  send(ROUTER_SOLICITATION);
  send(LISTENER_REPORT);
  assertEquals(isLoaded(), false);
  send(DATAGRAM);
  assertEquals([isLoaded(), loop.handlers.size, loop.lead !== undefined, faults], [true, 0, true, []]);
  network.end();
  network.release();
  assertEquals([loop.handlers.size, loop.lead], [0, undefined]);
  close(guest);
});

Deno.test("an interface that the guest has deleted is watched no more", () => {
  const { network, loop, faults, guest } = makeNetwork();
  const [tun] = loop.handlers.keys();
  // as the kernel does for what is deleted, a pipe's writing end refuses every read
  const [reader, writer] = pipe2(O_CLOEXEC | O_NONBLOCK);
  dup3(writer, tun!, O_CLOEXEC);
  loop.handlers.get(tun!)!(0);
  assertEquals([loop.handlers.size, faults], [0, []]);
  network.end();
  network.release();
  for (const fd of [reader, writer, guest]) close(fd);
});

Deno.test("a stack that cannot be made is a fault that is told, and nothing is watched any more", () => {
  const { network, loop, faults, send, guest } = makeNetwork({ ...planStack(), gateways: ["nonsense"] });
  send(DATAGRAM);
  assertEquals([faults.length, loop.handlers.size], [1, 0]);
  assertMatch(faults[0]!, /nonsense/);
  network.end();
  network.release();
  close(guest);
});

Deno.test("a second interface is not taken", () => {
  const { network, loop, guest } = makeNetwork();
  const [other, end] = socketpair(AF_UNIX, SOCK_SEQPACKET);
  network.take(other);
  assertEquals([loop.handlers.size, loop.handlers.has(other)], [1, false]);
  network.end();
  network.release();
  for (const fd of [end, guest]) close(fd);
});
