import { deepStrictEqual as equal, ok, throws } from "node:assert";
import { MSG_OOB, SO_OOBINLINE } from "../../ffi/constants/inet.ts";
import { AF_INET, SOCK_CLOEXEC, SOCK_STREAM, SOL_SOCKET } from "../../ffi/constants/socket.ts";
import { receiveFrom } from "../../ffi/datagram.ts";
import { EADDRINUSE, EADDRNOTAVAIL } from "../../ffi/errno.ts";
import {
  acceptFrom,
  closeSocket,
  connectTo,
  Memory,
  openSocket,
  sendFrom,
  setOption,
  SocketAddress,
} from "../../ffi/inet.ts";
import { BindError, bindMappings, bindPort, chooseOpenPorts, closePorts } from "./listeners.ts";
import { describeHolder, socketsAt } from "./port_holder.ts";
import type { PublishedPort } from "./plan.ts";
import { parsePublish } from "./ports.ts";
import { mustParse } from "./stack/addresses.ts";

const loopback = (hostPort = 0, protocol: "tcp" | "udp" = "tcp"): PublishedPort => ({
  protocol,
  hostAddress: "127.0.0.1",
  hostPort,
  containerPort: 80,
});

function failure(action: () => unknown): BindError {
  try {
    action();
  } catch (error) {
    if (error instanceof BindError) return error;
    throw error;
  }
  throw new Error("it was bound");
}

Deno.test("a port without an address is bound for both IP versions, under one number", () => {
  for (const protocol of ["tcp", "udp"] as const) {
    const bound = bindPort({ ...loopback(0, protocol), hostAddress: "" });
    try {
      equal(bound[0]!.port.hostAddress, "0.0.0.0");
      ok(bound[0]!.port.hostPort > 0);
      equal(new Set(bound.map(({ port }) => port.hostPort)).size, 1);
      if (bound.length > 1) equal(bound[1]!.port.hostAddress, "::");
    } finally {
      closePorts(bound);
    }
  }
});

Deno.test("an address of one IP version is bound for that one", () => {
  for (const hostAddress of ["0.0.0.0", "127.0.0.1"]) {
    const bound = bindPort({ ...loopback(), hostAddress });
    closePorts(bound);
    equal(bound.map(({ port }) => port.hostAddress), [hostAddress]);
  }
});

Deno.test("what is bound is listening, and its holder is named by its process", async () => {
  const [bound] = bindPort(loopback());
  try {
    const { hostPort } = bound!.port;
    (await Deno.connect({ hostname: "127.0.0.1", port: hostPort })).close();
    for (const hostAddress of ["127.0.0.1", "0.0.0.0", ""]) {
      const error = failure(() => bindPort({ ...bound!.port, hostAddress }));
      equal(error.errno, EADDRINUSE);
      ok(describeHolder(error.port)!.endsWith(`(pid ${Deno.pid})`), describeHolder(error.port));
    }
    equal(describeHolder({ ...bound!.port, hostAddress: "127.0.0.2" }), undefined);
  } finally {
    closePorts([bound!]);
  }
});

Deno.test("urgent bytes of who connects before the port is served are in their place", () => {
  const [{ fd, port }] = bindPort(loopback()) as [ReturnType<typeof bindPort>[number]];
  /** What is read of a client that has sent "ab", of which the last is urgent, and "c" before it was accepted. */
  const read = () => {
    const client = openSocket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    equal(connectTo(client, new SocketAddress().set(mustParse("127.0.0.1"), port.hostPort)), 0);
    const send = (word: string, flags: number) => {
      const memory = new Memory(word.length);
      memory.bytes.set(new TextEncoder().encode(word));
      equal(sendFrom(client, memory.pointer, word.length, flags), word.length);
    };
    send("ab", MSG_OOB);
    send("c", 0);
    closeSocket(client);
    const accepted = acceptFrom(fd, new SocketAddress(), SOCK_CLOEXEC);
    const buffer = new Uint8Array(16);
    let text = "";
    for (let count = 1; count > 0;) {
      count = receiveFrom(accepted, buffer, new SocketAddress());
      if (count > 0) text += new TextDecoder().decode(buffer.subarray(0, count));
    }
    closeSocket(accepted);
    return text;
  };
  equal(read(), "abc");
  // control: a socket that was made without the option loses it
  setOption(fd, SOL_SOCKET, SO_OOBINLINE, 0);
  equal(read(), "ac");
  closeSocket(fd);
});

Deno.test("all ports are bound or none", () => {
  const [taken] = bindPort(loopback());
  const openFds = () => [...Deno.readDirSync("/proc/self/fd")].length;
  try {
    const before = openFds();
    const mappings = [parsePublish("80"), { ...taken!.port, count: 1 }, parsePublish("127.0.0.1::80/udp")];
    equal(failure(() => bindMappings(mappings)).port.hostPort, taken!.port.hostPort);
    equal(openFds(), before);
  } finally {
    closePorts([taken!]);
  }
});

Deno.test("a range for one port gives the first that is free", () => {
  const [taken] = bindPort(loopback());
  const from = taken!.port.hostPort;
  try {
    if (from > 65000) return;
    const { mappings, bound } = bindMappings([parsePublish(`127.0.0.1:${from}-${from + 200}:80`)]);
    closePorts(bound);
    ok(mappings[0]!.hostPort > from && mappings[0]!.hostPort <= from + 200);
    equal(failure(() => bindMappings([{ ...loopback(from), count: 1, choices: 1 }])).choices, 1);
  } finally {
    closePorts([taken!]);
  }
});

Deno.test("open ports are chosen, fixed ones stay as they are", () => {
  const chosen = chooseOpenPorts([parsePublish("127.0.0.1::80"), parsePublish("127.0.0.1:1:81"), {
    ...loopback(),
    containerPort: 90,
    count: 2,
  }]);
  equal(chosen.every(({ hostPort }) => hostPort > 0), true);
  equal(chosen.find(({ containerPort }) => containerPort === 81)!.hostPort, 1);
  equal(chosen.reduce((sum, { count }) => sum + count, 0), 4);
});

Deno.test("an address that the machine has not is told", () => {
  equal(failure(() => bindPort({ ...loopback(), hostAddress: "203.0.113.77" })).errno, EADDRNOTAVAIL);
  throws(() => bindPort({ ...loopback(), hostAddress: "nowhere" }), TypeError);
});

Deno.test("tables of sockets are read", () => {
  const tcp = [
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
    "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4242 1 0 100",
    "   1: 0100007F:1F90 0100007F:D431 06 00000000:00000000 00:00000000 00000000     0        0 0 1 0 100",
    "",
  ].join("\n");
  equal(socketsAt(tcp, 8080), [{ address: "127.0.0.1", inode: "4242", uid: 1000, isListening: true }]);
  equal(socketsAt(tcp, 8081), []);
  const tcp6 = "head\n 0: 00000000000000000000000001000000:0050 0:0 0A 0:0 00:0 0 0 0 7 1 0";
  equal(socketsAt(tcp6, 80)[0]!.address, "::1");
  const mapped = "head\n 0: 0000000000000000FFFF00000100007F:0050 0:0 0A 0:0 00:0 0 0 0 7 1 0";
  equal(socketsAt(mapped, 80)[0]!.address, "127.0.0.1");
});
