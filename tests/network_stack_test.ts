/** TCP of the user-mode stack, with the kernel's own TCP as guest and as host. */

import { MSG_OOB } from "../ffi/constants/inet.ts";
import { EPOLLIN, EPOLLPRI as POLLPRI } from "../ffi/constants/poll.ts";
import {
  AF_INET,
  AF_INET6,
  MSG_DONTWAIT,
  SO_RCVBUF,
  SOCK_STREAM,
  SOL_SOCKET,
} from "../ffi/constants/socket.ts";
import { EAGAIN, ECONNREFUSED, ECONNRESET } from "../ffi/errno.ts";
import { close, pipe2, read, write } from "../ffi/file.ts";
import {
  connectTo,
  Memory,
  openSocket,
  recvInto,
  resetSocket,
  sendFrom,
  setOption,
  SocketAddress,
} from "../ffi/inet.ts";
import { NetlinkSocket } from "../ffi/netlink.ts";
import { deleteLink } from "../ffi/rtnetlink.ts";
import { pollBlocking } from "../ffi/poll.ts";
import { formatAddress, mustParse } from "../runtime/network/stack/addresses.ts";
import type { Seam } from "../runtime/network/stack/link.ts";
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

for (const version of ["ipv4", "ipv6"] as const) {
  for (const mtu of [65520, 1500]) {
    stackTest(`${version}, MTU ${mtu}: what guest and host send each other arrives`, () => {
      using rig = new StackRig(mtu);
      const { fd, port } = listenOn(LOOPBACK[version]);
      rig.onHost("host", () => {
        const peer = acceptOne(fd);
        expectPattern(peer, 1, 20 * MB);
        sendPattern(peer, 2, 20 * MB);
        return 0;
      });
      rig.inGuest("guest", () => {
        const peer = connectFrom(GATEWAY[version], port);
        sendPattern(peer, 1, 20 * MB);
        expectPattern(peer, 2, 20 * MB);
        return 0;
      });
      close(fd);
      rig.finish();
    });
  }
}

for (const version of ["ipv4", "ipv6"] as const) {
  stackTest(`${version}: a published port shows the guest who asks`, () => {
    using rig = new StackRig(65520);
    const { fd: listener, port: hostPort } = listenOn(LOOPBACK[version]);
    const port = { protocol: "tcp", hostAddress: "", hostPort, containerPort: 80 } as const;
    const ready = pipe2(0);
    rig.inGuest("server", () => {
      const fd = listenOnPort(GUEST[version], 80);
      write(ready[1], new Uint8Array(1));
      const client = new SocketAddress();
      const peer = acceptOne(fd, client);
      // the client's own address is loopback, which must not appear inside (CVE-2021-20199)
      if (formatAddress(client.address) !== GATEWAY[version]) return 3;
      expectPattern(peer, 3, 20 * MB);
      sendPattern(peer, 4, 20 * MB);
      return 0;
    });
    rig.onHost("client", () => {
      read(ready[0], new Uint8Array(1));
      const peer = connectFrom(LOOPBACK[version], hostPort);
      sendPattern(peer, 3, 20 * MB);
      expectPattern(peer, 4, 20 * MB);
      return 0;
    });
    rig.stack.publish(port, listener, GUEST);
    rig.finish();
    ready.forEach(close);
  });

  stackTest(`${version}: who refuses is told to who asks, both ways`, () => {
    using rig = new StackRig(1500);
    const { fd: listener, port: hostPort } = listenOn(LOOPBACK[version]);
    rig.stack.publish({ protocol: "tcp", hostAddress: "", hostPort, containerPort: 81 }, listener, GUEST);
    const { fd: closed, port: closedPort } = listenOn(LOOPBACK[version]);
    close(closed);
    rig.inGuest("guest", () => {
      const fd = openSocket(version === "ipv4" ? AF_INET : AF_INET6, SOCK_STREAM, 0);
      const result = connectTo(fd, new SocketAddress().set(mustParse(GATEWAY[version]), closedPort));
      return result === -ECONNREFUSED ? 0 : 1;
    });
    rig.onHost("client", () => {
      const peer = connectFrom(LOOPBACK[version], hostPort);
      const memory = new Memory(1);
      return recvInto(peer, memory.pointer, 1, 0) === -ECONNRESET ? 0 : 1;
    });
    rig.finish();
  });
}

stackTest("without allowHostLoopback the gateway's address reaches nothing of the host", () => {
  const { fd, port } = listenOn("127.0.0.1");
  for (const allowHostLoopback of [true, false]) {
    using rig = new StackRig(1500, { plan: { ...stackPlan(1500), allowHostLoopback } });
    rig.inGuest("guest", () => {
      const peer = must(openSocket(AF_INET, SOCK_STREAM, 0));
      const result = connectTo(peer, new SocketAddress().set(mustParse(GATEWAY.ipv4), port));
      return (result === 0) === allowHostLoopback ? 0 : 1;
    });
    rig.finish();
  }
  close(fd);
});

/** Loses, repeats and swaps frames: the same ones in every run. */
class Weather implements Seam {
  #state = 12345;
  #held: Uint8Array<ArrayBuffer> | undefined;
  constructor(readonly loss: number, readonly repeat: number, readonly swap: number) {}
  #random(): number {
    this.#state = (Math.imul(this.#state, 1103515245) + 12345) & 0x7fffffff;
    return this.#state / 0x7fffffff;
  }
  #change(frame: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>[] {
    if (this.#random() < this.loss) return [];
    const frames = this.#random() < this.repeat ? [frame, frame] : [frame];
    if (this.#held) {
      frames.push(this.#held);
      this.#held = undefined;
    } else if (this.#random() < this.swap) this.#held = frames.pop();
    return frames;
  }
  fromGuest(frame: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>[] {
    return this.#change(frame);
  }
  toGuest(frame: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>[] {
    return this.#change(frame);
  }
}

for (const version of ["ipv4", "ipv6"] as const) {
  for (const mtu of [65520, 1500]) {
    for (const mayPeek of [true, false]) {
      const where = `${version}, MTU ${mtu}${mayPeek ? "" : ", no SO_PEEK_OFF"}`;
      stackTest(`${where}: nothing is lost where frames are lost, repeated and swapped`, () => {
        using rig = new StackRig(mtu, { mayPeek, seam: new Weather(0.01, 0.01, 0.05) });
        const { fd, port } = listenOn(LOOPBACK[version]);
        rig.onHost("host", () => {
          const peer = acceptOne(fd);
          expectPattern(peer, 5, 8 * MB);
          sendPattern(peer, 6, 8 * MB);
          return 0;
        });
        rig.inGuest("guest", () => {
          const peer = connectFrom(GATEWAY[version], port);
          sendPattern(peer, 5, 8 * MB);
          expectPattern(peer, 6, 8 * MB);
          return 0;
        });
        close(fd);
        rig.finish();
      });
    }
  }
}

/** Reads little at a time, and not until the other side waits. */
function readSlowly(fd: number, seed: number, count: number): void {
  let reads = 0;
  expectPattern(fd, seed, count, 4096, () => {
    if (++reads % 64 === 0) pollBlocking(fd, 0, 2);
  });
}

for (const mayPeek of [true, false]) {
  for (const mtu of [65520, 1500]) {
    const where = `MTU ${mtu}${mayPeek ? "" : ", no SO_PEEK_OFF"}`;
    stackTest(`${where}: slow readers with tiny windows stop their senders, and get all`, () => {
      using rig = new StackRig(mtu, { mayPeek });
      const { fd, port } = listenOn("127.0.0.1");
      setOption(fd, SOL_SOCKET, SO_RCVBUF, 4096);
      rig.onHost("host", () => {
        const peer = acceptOne(fd);
        readSlowly(peer, 7, MB);
        sendPattern(peer, 8, MB);
        return 0;
      });
      rig.inGuest("guest", () => {
        const peer = must(openSocket(AF_INET, SOCK_STREAM, 0));
        setOption(peer, SOL_SOCKET, SO_RCVBUF, 4096);
        must(connectTo(peer, new SocketAddress().set(mustParse(GATEWAY.ipv4), port)));
        sendPattern(peer, 7, MB);
        readSlowly(peer, 8, MB);
        return 0;
      });
      close(fd);
      rig.finish();
    });
  }
}

stackTest("each end may close its own direction first, and still gets the other's", () => {
  using rig = new StackRig(65520);
  const { fd, port } = listenOn("127.0.0.1");
  rig.onHost("host", () => {
    const first = acceptOne(fd);
    expectPattern(first, 9, 100_000);
    sendPattern(first, 10, 3 * MB); // after the guest has closed
    const second = acceptOne(fd);
    sendPattern(second, 11, 100_000); // closes before the guest sends
    expectPattern(second, 12, 3 * MB);
    return 0;
  });
  rig.inGuest("guest", () => {
    const first = connectFrom(GATEWAY.ipv4, port);
    sendPattern(first, 9, 100_000);
    expectPattern(first, 10, 3 * MB);
    const second = connectFrom(GATEWAY.ipv4, port);
    expectPattern(second, 11, 100_000);
    sendPattern(second, 12, 3 * MB);
    return 0;
  });
  close(fd);
  rig.finish();
});

stackTest("a reset goes through, both ways", () => {
  using rig = new StackRig(65520);
  const { fd, port } = listenOn("127.0.0.1");
  const wait = (peer: number) => {
    const memory = new Memory(1);
    return recvInto(peer, memory.pointer, 1, 0);
  };
  rig.onHost("host", () => {
    const first = acceptOne(fd);
    if (wait(first) !== 1 || wait(first) !== -ECONNRESET) return 1;
    const second = acceptOne(fd);
    if (wait(second) !== 1) return 2;
    resetSocket(second);
    return 0;
  });
  rig.inGuest("guest", () => {
    const first = connectFrom(GATEWAY.ipv4, port);
    must(sendFrom(first, new Memory(1).pointer, 1, 0));
    resetSocket(first);
    const second = connectFrom(GATEWAY.ipv4, port);
    must(sendFrom(second, new Memory(1).pointer, 1, 0));
    return wait(second) === -ECONNRESET ? 0 : 1;
  });
  close(fd);
  rig.finish();
});

for (const [from, to] of [["guest", "host"], ["host", "guest"]] as const) {
  stackTest(`the ${from}'s urgent data is urgent for the ${to}`, () => {
    using rig = new StackRig(65520);
    const { fd, port } = listenOn("127.0.0.1");
    const told = pipe2(0);
    const say = (peer: number) => {
      const memory = new Memory(3);
      memory.bytes.set([1, 2, 7]);
      must(sendFrom(peer, memory.pointer, 3, MSG_OOB));
      read(told[0], new Uint8Array(1));
      return 0;
    };
    const hear = (peer: number) => {
      pollBlocking(peer, POLLPRI, 60_000);
      const memory = new Memory(16);
      const isUrgent = recvInto(peer, memory.pointer, 16, MSG_OOB) === 1 && memory.bytes[0] === 7;
      const first = recvInto(peer, memory.pointer, 16, 0);
      write(told[1], new Uint8Array(1));
      return isUrgent && first === 2 ? 0 : 1;
    };
    const [onHost, inGuest] = from === "host" ? [say, hear] : [hear, say];
    rig.onHost("host", () => onHost(acceptOne(fd)));
    rig.inGuest("guest", () => inGuest(connectFrom(GATEWAY.ipv4, port)));
    close(fd);
    rig.finish();
    told.forEach(close);
  });
}

stackTest("connections beyond the limit are refused, and served again when others have ended", () => {
  using rig = new StackRig(1500, { connectionsMax: 20 });
  const { fd, port } = listenOn("127.0.0.1");
  rig.onHost("host", () => {
    for (let count = 0; count < 21; count++) acceptOne(fd);
    return 0;
  });
  rig.inGuest("guest", () => {
    const open = Array.from({ length: 20 }, () => connectFrom(GATEWAY.ipv4, port));
    const more = must(openSocket(AF_INET, SOCK_STREAM, 0));
    const result = connectTo(more, new SocketAddress().set(mustParse(GATEWAY.ipv4), port));
    for (const peer of open) resetSocket(peer);
    connectFrom(GATEWAY.ipv4, port);
    return result === -ECONNREFUSED ? 0 : 1;
  });
  close(fd);
  rig.finish();
});

stackTest("1,000 connections at a time are echoed", () => {
  using rig = new StackRig(65520);
  const { fd, port } = listenOn("127.0.0.1");
  rig.onHost("host", () => {
    const memory = new Memory(4096);
    const peers = Array.from({ length: 1000 }, () => acceptOne(fd));
    for (let round = 0; round < 3; round++) {
      for (const peer of peers) {
        const length = must(recvInto(peer, memory.pointer, 4096, 0));
        must(sendFrom(peer, memory.pointer, length, 0));
      }
    }
    return 0;
  });
  rig.inGuest("guest", () => {
    const memory = new Memory(4096);
    const peers = Array.from({ length: 1000 }, () => connectFrom(GATEWAY.ipv4, port));
    for (let round = 0; round < 3; round++) {
      peers.forEach((peer, index) => {
        memory.view.setUint32(0, index + round);
        must(sendFrom(peer, memory.pointer, 100, 0));
      });
      for (const [index, peer] of peers.entries()) {
        for (let count = 0; count < 100;) {
          const length = must(recvInto(peer, memory.pointer, 4096, 0));
          if (count === 0 && memory.view.getUint32(0) !== index + round) return 1;
          count += length;
        }
      }
    }
    return 0;
  });
  close(fd);
  rig.finish();
});

stackTest("a server that speaks first and closes at once is heard, again and again", () => {
  using rig = new StackRig(65520);
  const { fd, port } = listenOn("127.0.0.1");
  rig.onHost("host", () => {
    for (let count = 0; count < 100; count++) {
      const peer = acceptOne(fd);
      sendPattern(peer, count, 1000);
      close(peer);
    }
    return 0;
  });
  rig.inGuest("guest", () => {
    for (let count = 0; count < 100; count++) {
      const peer = connectFrom(GATEWAY.ipv4, port);
      expectPattern(peer, count, 1000);
      close(peer);
    }
    return 0;
  });
  close(fd);
  rig.finish();
});

stackTest("an interface that the guest deletes leaves no work behind", () => {
  using rig = new StackRig(1500);
  const isIdle = () => pollBlocking(rig.stack.fd, EPOLLIN, 0) === 0;
  rig.inGuest("guest", () => {
    using netlink = new NetlinkSocket();
    netlink.perform([deleteLink(netlink.indexOf("eth0")!)]);
    return 0;
  });
  rig.finish();
  for (let turn = 0; turn < 100 && !isIdle(); turn++) rig.stack.work();
  if (!isIdle()) throw new Error("the stack is busy with an interface that is gone");
});

stackTest("clients whom the guest does not answer make room for later ones", () => {
  const half = 1024;
  using rig = new StackRig(1500);
  const { fd, port: hostPort } = listenOn("127.0.0.1");
  const port = { protocol: "tcp", hostAddress: "", hostPort, containerPort: 80 } as const;
  // an address in the guest's network that nobody has
  rig.stack.publish(port, fd, { ipv4: "10.0.2.77" });
  rig.onHost("clients", () => {
    const memory = new Memory(1);
    const clients = Array.from({ length: half + 10 }, () => connectFrom("127.0.0.1", hostPort));
    for (const client of clients.slice(0, 10)) {
      if (recvInto(client, memory.pointer, 1, 0) !== -ECONNRESET) return 1;
    }
    return recvInto(clients.at(-1)!, memory.pointer, 1, MSG_DONTWAIT) === -EAGAIN ? 0 : 2;
  });
  rig.finish();
});
