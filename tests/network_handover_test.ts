/** Connections that move much, which the user-mode stack hands over to the kernel: nobody at either end may notice. */

import {
  IPPROTO_TCP,
  MSG_OOB,
  SO_REUSEADDR,
  TCP_QUEUE_SEQ,
  TCP_REPAIR,
  TCP_REPAIR_OFF,
  TCP_REPAIR_ON,
  TCP_REPAIR_QUEUE,
  TCP_SEND_QUEUE,
} from "../ffi/constants/inet.ts";
import { EPOLLPRI as POLLPRI, POLLIN } from "../ffi/constants/poll.ts";
import { FRA_DPORT_RANGE, RT_TABLE_MAIN } from "../ffi/constants/rtnetlink.ts";
import {
  AF_INET,
  AF_UNIX,
  SO_RCVBUF,
  SOCK_CLOEXEC,
  SOCK_STREAM,
  SOL_SOCKET,
} from "../ffi/constants/socket.ts";
import { ECONNRESET } from "../ffi/errno.ts";
import { close, pipe2, read, write } from "../ffi/file.ts";
import {
  bindTo,
  connectTo,
  Memory,
  openSocket,
  recvInto,
  resetSocket,
  sendFrom,
  setOption,
  SocketAddress,
} from "../ffi/inet.ts";
import { NetlinkSocket, parseAttributes } from "../ffi/netlink.ts";
import { pollBlocking } from "../ffi/poll.ts";
import { addRoute, addRule, deleteRule, LIST_RULES } from "../ffi/rtnetlink.ts";
import { listen, socketpair } from "../ffi/socket.ts";
import { formatAddress, mustParse } from "../runtime/network/stack/addresses.ts";
import { removeFormerFlows } from "../runtime/network/stack/guest_namespace.ts";
import { assertEquals } from "./assertions.ts";
import {
  acceptOne,
  connectFrom,
  expectPattern,
  GATEWAY,
  GUEST,
  listenOn,
  listenOnPort,
  LOOPBACK,
  MB,
  must,
  sendPattern,
  stackPlan,
  StackRig,
  stackTest,
} from "./stack_rig.ts";

/** More than what the stack keeps. */
const MUCH = 24 * MB;

/** Bytes without a meaning. */
function sendZeros(fd: number, count: number): void {
  const memory = new Memory(256 * 1024);
  for (let left = count; left > 0;) left -= must(sendFrom(fd, memory.pointer, Math.min(left, 256 * 1024), 0));
}

function takeBytes(fd: number, count: number): void {
  const memory = new Memory(256 * 1024);
  for (let left = count; left > 0;) {
    const length = must(recvInto(fd, memory.pointer, Math.min(left, 256 * 1024), 0));
    if (length === 0) throw new Error(`ended ${left} bytes early`);
    left -= length;
  }
}

/** Rules of connections that were handed over. */
function countRules(): number {
  using netlink = new NetlinkSocket();
  return netlink.dump(LIST_RULES).filter(({ body }) => parseAttributes(body, 12).has(FRA_DPORT_RANGE)).length;
}

/** Gives how many there are still after some seconds. */
function awaitNoRules(): number {
  const [silent, writer] = pipe2(0);
  for (let tries = 0; tries < 1000 && countRules() > 0; tries++) pollBlocking(silent, POLLIN, 5);
  close(silent);
  close(writer);
  return countRules();
}

/** Sends and gets at once, in two processes. */
function sendAndExpect(rig: StackRig, fd: number, ours: number, theirs: number): void {
  rig.onHost("other way", () => {
    sendPattern(fd, ours, MUCH);
    return 0;
  });
  expectPattern(fd, theirs, MUCH);
}

for (const version of ["ipv4", "ipv6"] as const) {
  for (const mtu of [65520, 1500]) {
    for (const mayPeek of [true, false]) {
      const where = `${version}, MTU ${mtu}${mayPeek ? "" : ", no SO_PEEK_OFF"}`;
      stackTest(`${where}: both ways at once arrive, and each end hears of the other's end`, () => {
        using rig = new StackRig(mtu, { mayPeek });
        const { fd, port } = listenOn(LOOPBACK[version]);
        rig.onHost("host", () => {
          sendAndExpect(rig, acceptOne(fd), 2, 1);
          return 0;
        });
        rig.inGuest("guest", () => {
          sendAndExpect(rig, connectFrom(GATEWAY[version], port), 1, 2);
          return 0;
        });
        close(fd);
        rig.finish();
        assertEquals(rig.stack.handedOver, 1);
      });
    }
  }

  stackTest(`${version}: a published port's connections go on as well, from who asked`, () => {
    using rig = new StackRig(65520);
    const { fd: listener, port: hostPort } = listenOn(LOOPBACK[version]);
    const ready = pipe2(0);
    rig.inGuest("server", () => {
      const fd = listenOnPort(GUEST[version], 80);
      write(ready[1], new Uint8Array(1));
      const client = new SocketAddress();
      const peer = acceptOne(fd, client);
      expectPattern(peer, 3, MUCH);
      if (formatAddress(client.address) !== GATEWAY[version]) return 3;
      sendPattern(peer, 4, MUCH);
      return 0;
    });
    rig.onHost("client", () => {
      read(ready[0], new Uint8Array(1));
      const peer = connectFrom(LOOPBACK[version], hostPort);
      sendPattern(peer, 3, MUCH);
      expectPattern(peer, 4, MUCH);
      return 0;
    });
    rig.stack.publish({ protocol: "tcp", hostAddress: "", hostPort, containerPort: 80 }, listener, GUEST);
    rig.finish();
    assertEquals(rig.stack.handedOver, 1);
    ready.forEach(close);
  });
}

stackTest("a slow reader at either end stops its sender, and gets all", () => {
  using rig = new StackRig(65520);
  const { fd, port } = listenOn("127.0.0.1");
  setOption(fd, SOL_SOCKET, SO_RCVBUF, 4096);
  const slowly = (peer: number, seed: number) => {
    let reads = 0;
    expectPattern(peer, seed, 12 * MB, 32 * 1024, () => {
      if (++reads % 16 === 0) pollBlocking(peer, 0, 2);
    });
  };
  rig.onHost("host", () => {
    const peer = acceptOne(fd);
    slowly(peer, 7);
    sendPattern(peer, 8, 12 * MB);
    return 0;
  });
  rig.inGuest("guest", () => {
    const peer = connectFrom(GATEWAY.ipv4, port);
    sendPattern(peer, 7, 12 * MB);
    slowly(peer, 8);
    return 0;
  });
  close(fd);
  rig.finish();
  assertEquals(rig.stack.handedOver, 1);
});

for (const [from, to] of [["guest", "host"], ["host", "guest"]] as const) {
  stackTest(`the ${from}'s reset reaches the ${to}, also while data is under way`, () => {
    using rig = new StackRig(65520);
    const { fd, port } = listenOn("127.0.0.1");
    const took = pipe2(0);
    const end = (peer: number) => {
      sendZeros(peer, MUCH);
      read(took[0], new Uint8Array(1));
      resetSocket(peer);
      return 0;
    };
    const hear = (peer: number) => {
      takeBytes(peer, MUCH);
      write(took[1], new Uint8Array(1));
      return recvInto(peer, new Memory(1).pointer, 1, 0) === -ECONNRESET ? 0 : 1;
    };
    const endInTheMiddle = (peer: number) => {
      takeBytes(peer, MUCH);
      resetSocket(peer);
      return 0;
    };
    const hearInTheMiddle = (peer: number) => {
      const memory = new Memory(256 * 1024);
      for (;;) {
        const sent = sendFrom(peer, memory.pointer, 256 * 1024, 0x4000);
        if (sent < 0) return sent === -ECONNRESET || sent === -32 ? 0 : 1;
      }
    };
    for (const [does, hears] of [[end, hear], [endInTheMiddle, hearInTheMiddle]] as const) {
      const [onHost, inGuest] = from === "host" ? [does, hears] : [hears, does];
      rig.onHost("host", () => onHost(acceptOne(fd)));
      rig.inGuest("guest", () => inGuest(connectFrom(GATEWAY.ipv4, port)));
      rig.finish();
    }
    assertEquals(rig.stack.handedOver, 2);
    close(fd);
    took.forEach(close);
  });

  stackTest(`the ${from}'s urgent data stays urgent for the ${to}`, () => {
    using rig = new StackRig(65520);
    const { fd, port } = listenOn("127.0.0.1");
    const told = pipe2(0);
    const say = (peer: number) => {
      sendZeros(peer, MUCH);
      read(told[0], new Uint8Array(1));
      const memory = new Memory(3);
      memory.bytes.set([1, 2, 7]);
      must(sendFrom(peer, memory.pointer, 3, MSG_OOB));
      read(told[0], new Uint8Array(1));
      sendPattern(peer, 5, MB);
      return 0;
    };
    const hear = (peer: number) => {
      takeBytes(peer, MUCH);
      write(told[1], new Uint8Array(1));
      pollBlocking(peer, POLLPRI, 60_000);
      const memory = new Memory(16);
      const isUrgent = recvInto(peer, memory.pointer, 16, MSG_OOB) === 1 && memory.bytes[0] === 7;
      const first = recvInto(peer, memory.pointer, 16, 0);
      write(told[1], new Uint8Array(1));
      if (!isUrgent || first !== 2) return 1;
      expectPattern(peer, 5, MB);
      return 0;
    };
    const [onHost, inGuest] = from === "host" ? [say, hear] : [hear, say];
    rig.onHost("host", () => onHost(acceptOne(fd)));
    rig.inGuest("guest", () => inGuest(connectFrom(GATEWAY.ipv4, port)));
    close(fd);
    rig.finish();
    assertEquals(rig.stack.handedOver, 1);
    told.forEach(close);
  });

  stackTest(`the ${from} may end its way long before the ${to} does`, () => {
    using rig = new StackRig(65520);
    const { fd, port } = listenOn("127.0.0.1");
    const first = (peer: number) => {
      sendPattern(peer, 9, MUCH);
      expectPattern(peer, 10, MUCH);
      return 0;
    };
    const last = (peer: number) => {
      expectPattern(peer, 9, MUCH);
      sendPattern(peer, 10, MUCH);
      return 0;
    };
    const [onHost, inGuest] = from === "host" ? [first, last] : [last, first];
    rig.onHost("host", () => onHost(acceptOne(fd)));
    rig.inGuest("guest", () => inGuest(connectFrom(GATEWAY.ipv4, port)));
    close(fd);
    rig.finish();
    assertEquals(rig.stack.handedOver, 1);
  });
}

stackTest("many at once: some are handed over, all arrive, and no rule is left in the guest", () => {
  const count = 80;
  using rig = new StackRig(65520);
  const { fd, port } = listenOn("127.0.0.1");
  rig.onHost("host", () => {
    const peers = Array.from({ length: count }, () => acceptOne(fd));
    for (let round = 0; round < 12; round++) for (const peer of peers) takeBytes(peer, MB);
    for (const peer of peers) sendPattern(peer, 6, 1000);
    for (const peer of peers) expectPattern(peer, 7, 1000);
    return 0;
  });
  const rules = pipe2(0);
  rig.inGuest("guest", () => {
    const peers = Array.from({ length: count }, () => connectFrom(GATEWAY.ipv4, port));
    for (let round = 0; round < 12; round++) for (const peer of peers) sendZeros(peer, MB);
    // one that is on its way has two for a moment
    const [silent] = rules;
    for (let tries = 0; tries < 200 && countRules() > 64; tries++) pollBlocking(silent, 0, 5);
    write(rules[1], Uint8Array.of(countRules()));
    for (const peer of peers) expectPattern(peer, 6, 1000);
    for (const peer of peers) sendPattern(peer, 7, 1000);
    return 0;
  });
  rig.finish();
  const during = new Uint8Array(1);
  read(rules[0], during);
  // on a busy machine some take too long, and stay
  assertEquals([during[0]! <= 64, during[0]! >= 32, rig.stack.handedOver >= during[0]!], [true, true, true]);
  rig.inGuest("after", awaitNoRules);
  rig.finish();
  close(fd);
  rules.forEach(close);
});

stackTest("with the stack its connections end, and nothing of them is left in the guest", () => {
  const rig = new StackRig(65520);
  const { fd, port } = listenOn("127.0.0.1");
  const [ours, its] = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC);
  rig.onHost("host", () => {
    const peer = acceptOne(fd);
    takeBytes(peer, MUCH);
    write(ours, new Uint8Array(1));
    return recvInto(peer, new Memory(1).pointer, 1, 0) === -ECONNRESET ? 0 : 1;
  });
  rig.inGuest("guest", () => {
    const peer = connectFrom(GATEWAY.ipv4, port);
    sendZeros(peer, MUCH);
    if (recvInto(peer, new Memory(1).pointer, 1, 0) !== -ECONNRESET) return 1;
    return awaitNoRules();
  });
  rig.loop.watch(its, () => {
    rig.loop.unwatch(its);
    assertEquals(rig.stack.handedOver, 1);
    rig.loop.unwatch(rig.stack.fd);
    rig.stack.dispose();
  });
  try {
    rig.finish();
  } finally {
    rig.end();
    for (const one of [fd, ours, its]) close(one);
  }
});

stackTest("who may watch and shape the interface's traffic finds all of it there", () => {
  using rig = new StackRig(65520, { plan: { ...stackPlan(65520), keepsConnections: true } });
  const { fd, port } = listenOn("127.0.0.1");
  rig.onHost("host", () => {
    takeBytes(acceptOne(fd), MUCH);
    return 0;
  });
  rig.inGuest("guest", () => {
    sendZeros(connectFrom(GATEWAY.ipv4, port), MUCH);
    return 0;
  });
  close(fd);
  rig.finish();
  assertEquals(rig.stack.handedOver, 0);
});

stackTest("a guest without a loopback, which cannot be handed anything, is served by the stack", () => {
  using rig = new StackRig(65520, {}, { loopback: false });
  const { fd, port } = listenOn("127.0.0.1");
  rig.onHost("host", () => {
    sendAndExpect(rig, acceptOne(fd), 12, 11);
    return 0;
  });
  rig.inGuest("guest", () => {
    sendAndExpect(rig, connectFrom(GATEWAY.ipv4, port), 11, 12);
    return 0;
  });
  close(fd);
  rig.finish();
  assertEquals(rig.stack.handedOver, 0);
});

/** As a guest's kernel without these options would. */
function setSysctl(name: string, value: number): void {
  Deno.writeTextFileSync(`/proc/sys/net/ipv4/${name}`, String(value));
}

for (
  const [what, name] of [["window scaling", "tcp_window_scaling"], ["selective acknowledgements", "tcp_sack"]]
) {
  stackTest(`a guest that connected without ${what} goes on without`, () => {
    using rig = new StackRig(65520);
    const { fd, port } = listenOn("127.0.0.1");
    rig.onHost("host", () => {
      sendAndExpect(rig, acceptOne(fd), 14, 13);
      return 0;
    });
    rig.inGuest("guest", () => {
      setSysctl(name!, 0);
      const peer = connectFrom(GATEWAY.ipv4, port);
      setSysctl(name!, 1);
      sendAndExpect(rig, peer, 13, 14);
      return 0;
    });
    close(fd);
    rig.finish(20_000);
    assertEquals(rig.stack.handedOver, 1);
  });
}

stackTest("numbers that pass 2^31 and 2^32, before it or later, are numbers as others", () => {
  using rig = new StackRig(65520);
  const { fd, port } = listenOn("127.0.0.1");
  const begins = [2 ** 31 - 4 * MB, 2 ** 31 - 16 * MB, 2 ** 32 - 4 * MB, 2 ** 32 - 16 * MB];
  rig.onHost("host", () => {
    for (const _ of begins) {
      const peer = acceptOne(fd);
      expectPattern(peer, 15, MUCH);
      sendPattern(peer, 16, MB);
    }
    return 0;
  });
  rig.inGuest("guest", () => {
    for (const begin of begins) {
      const peer = must(openSocket(AF_INET, SOCK_STREAM, 0));
      must(setOption(peer, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_ON));
      must(setOption(peer, IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE));
      must(setOption(peer, IPPROTO_TCP, TCP_QUEUE_SEQ, begin | 0));
      must(setOption(peer, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_OFF));
      must(connectTo(peer, new SocketAddress().set(mustParse(GATEWAY.ipv4), port)));
      sendPattern(peer, 15, MUCH);
      expectPattern(peer, 16, MB);
    }
    return 0;
  });
  close(fd);
  rig.finish();
  assertEquals(rig.stack.handedOver, begins.length);
});

stackTest("the guest may serve the port that it is connected to elsewhere", () => {
  using rig = new StackRig(65520);
  const { fd, port } = listenOn("127.0.0.1");
  rig.onHost("host", () => {
    const peer = acceptOne(fd);
    takeBytes(peer, MUCH);
    sendZeros(peer, 1);
    takeBytes(peer, 1);
    return 0;
  });
  rig.inGuest("guest", () => {
    const peer = connectFrom(GATEWAY.ipv4, port);
    sendZeros(peer, MUCH);
    takeBytes(peer, 1);
    if (countRules() !== 1) return 2;
    const server = must(openSocket(AF_INET, SOCK_STREAM, 0));
    must(setOption(server, SOL_SOCKET, SO_REUSEADDR, 1));
    must(bindTo(server, new SocketAddress().set([0, 0, 0, 0], port)));
    listen(server, 1);
    sendZeros(peer, 1);
    return 0;
  });
  close(fd);
  rig.finish();
  assertEquals(rig.stack.handedOver, 1);
});

/** A connection from a port that is chosen, which may be that of one that ended a moment ago. */
function connectFromPort(ownPort: number, port: number): number {
  const fd = must(openSocket(AF_INET, SOCK_STREAM, 0));
  must(setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1));
  must(bindTo(fd, new SocketAddress().set(mustParse(GUEST.ipv4), ownPort)));
  must(connectTo(fd, new SocketAddress().set(mustParse(GATEWAY.ipv4), port)));
  return fd;
}

stackTest("a connection that cannot be handed over is no reason for others to be refused", () => {
  using rig = new StackRig(65520);
  const { fd, port } = listenOn("127.0.0.1");
  // the host ends first: what is left of the first one keeps the second from having a socket of its own
  const ports = [5001, 5001, 5002];
  rig.onHost("host", () => {
    for (const _ of ports) {
      const peer = acceptOne(fd);
      sendPattern(peer, 17, MUCH);
      expectPattern(peer, 18, MB);
      close(peer);
    }
    return 0;
  });
  rig.inGuest("guest", () => {
    for (const own of ports) {
      const peer = connectFromPort(own, port);
      expectPattern(peer, 17, MUCH);
      sendPattern(peer, 18, MB);
      recvInto(peer, new Memory(1).pointer, 1, 0);
      close(peer);
      awaitNoRules();
    }
    return 0;
  });
  close(fd);
  rig.finish();
  assertEquals(rig.stack.handedOver, 2);
});

const STALE = {
  family: "ipv4",
  from: { address: mustParse(GUEST.ipv4), prefix: 32 },
  to: { address: mustParse(GATEWAY.ipv4), prefix: 32 },
} as const;

stackTest("what a stack has left in the guest that was killed is in nobody's way", () => {
  using rig = new StackRig(65520);
  const { fd, port } = listenOn("127.0.0.1");
  rig.onHost("host", () => {
    expectPattern(acceptOne(fd), 19, MUCH);
    return 0;
  });
  rig.inGuest("guest", () => {
    using netlink = new NetlinkSocket();
    const flow = { protocol: IPPROTO_TCP, sourcePort: 5003, destinationPort: port };
    netlink.perform([
      addRoute({ family: "ipv4", link: netlink.indexOf("lo")!, local: true, table: 1003 }),
      addRule({ ...STALE, flow, priority: 50, table: 1003 }),
      addRule({ ...STALE, flow: { ...flow, sourcePort: 5004 }, priority: 51, blackhole: true }),
      addRule({ ...STALE, flow: { ...flow, sourcePort: 5005 }, priority: 60, table: 1003 }),
    ]);
    removeFormerFlows(netlink);
    if (countRules() !== 1) return 2;
    sendPattern(connectFromPort(5003, port), 19, MUCH);
    return 0;
  });
  close(fd);
  rig.finish();
  assertEquals(rig.stack.handedOver, 1);
});

stackTest("a rule that somebody has taken away is missed by nobody at the end", () => {
  using rig = new StackRig(65520);
  const { fd, port } = listenOn("127.0.0.1");
  const went = pipe2(0);
  rig.onHost("host", () => {
    const first = acceptOne(fd);
    takeBytes(first, MUCH);
    sendZeros(first, 1);
    read(went[0], new Uint8Array(1));
    resetSocket(first);
    expectPattern(acceptOne(fd), 20, MUCH);
    return 0;
  });
  rig.inGuest("guest", () => {
    const peer = connectFromPort(5006, port);
    sendZeros(peer, MUCH);
    takeBytes(peer, 1);
    using netlink = new NetlinkSocket();
    netlink.perform([deleteRule({ family: "ipv4", priority: 50, table: 1003 })]);
    write(went[1], new Uint8Array(1));
    if (recvInto(peer, new Memory(1).pointer, 1, 0) !== -ECONNRESET) return 1;
    close(peer);
    sendPattern(connectFromPort(5006, port), 20, MUCH);
    return 0;
  });
  close(fd);
  rig.finish();
  assertEquals(rig.stack.handedOver, 2);
  went.forEach(close);
});

stackTest("a guest whose own rules stand before ours keeps the stack, and misses nothing", () => {
  using rig = new StackRig(65520);
  const { fd, port } = listenOn("127.0.0.1");
  rig.onHost("host", () => {
    sendAndExpect(rig, acceptOne(fd), 22, 21);
    return 0;
  });
  rig.inGuest("guest", () => {
    using netlink = new NetlinkSocket();
    netlink.perform([addRule({ family: "ipv4", table: RT_TABLE_MAIN, priority: 40 })]);
    sendAndExpect(rig, connectFrom(GATEWAY.ipv4, port), 21, 22);
    return countRules();
  });
  close(fd);
  rig.finish();
  assertEquals(rig.stack.handedOver, 0);
});
