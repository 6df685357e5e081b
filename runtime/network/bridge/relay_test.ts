/** A relay between a client and a server of this process, whose loop is turned beside theirs. */

import { assertEquals } from "../../../tests/assertions.ts";
import { AF_INET, SOCK_CLOEXEC, SOCK_STREAM } from "../../../ffi/constants/socket.ts";
import { bindTo, closeSocket, connectTo, getsockname, openSocket, SocketAddress } from "../../../ffi/inet.ts";
import { write } from "../../../ffi/file.ts";
import { bindPort } from "../listeners.ts";
import { mustParse } from "../stack/addresses.ts";
import { HostUdp } from "../stack/guest_rig.ts";
import { Host } from "../stack/host.ts";
import { TcpRelay } from "./relay_tcp.ts";
import { UdpRelay } from "./relay_udp.ts";

const LOOPBACK = mustParse("127.0.0.1");

interface Ground {
  host: Host;
  faults: unknown[];
}

async function withHost(test: (ground: Ground) => Promise<void>): Promise<void> {
  const faults: unknown[] = [];
  const host = new Host((error) => faults.push(error));
  const timer = setInterval(() => host.work(), 1);
  try {
    await test({ host, faults });
  } finally {
    clearInterval(timer);
    host.dispose();
  }
  assertEquals(faults, []);
}

function listener(protocol: "tcp" | "udp"): { fd: number; port: number } {
  const [bound] = bindPort({ protocol, hostAddress: "127.0.0.1", hostPort: 0, containerPort: 1 });
  return { fd: bound!.fd, port: bound!.port.hostPort };
}

async function digest(data: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", data)).toHex();
}

/** All up to the end, in no hurry: what comes waits for it. */
async function readSlowly(connection: Deno.Conn): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  const buffer = new Uint8Array(200_000);
  for (let count = await connection.read(buffer); count !== null; count = await connection.read(buffer)) {
    parts.push(buffer.slice(0, count));
    if (parts.length < 20) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return new Uint8Array(await new Blob(parts as Uint8Array<ArrayBuffer>[]).arrayBuffer());
}

async function writeAll(connection: Deno.Conn, data: Uint8Array): Promise<void> {
  for (let at = 0; at < data.length;) at += await connection.write(data.subarray(at));
  await connection.closeWrite();
}

Deno.test("what both ends write arrives whole and in order, each end by itself, with slow readers", async () => {
  await withHost(async ({ host }) => {
    using server = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const relay = new TcpRelay(host);
    const { fd, port } = listener("tcp");
    relay.publish(fd, LOOPBACK, server.addr.port);
    const out = crypto.getRandomValues(new Uint8Array(65536)), back = new Uint8Array(9_000_000).fill(7);
    const long = new Uint8Array(8 * 1024 * 1024 + 1);
    for (let at = 0; at < long.length; at += out.length) long.set(out.subarray(0, long.length - at), at);
    using client = await Deno.connect({ hostname: "127.0.0.1", port });
    using inside = await server.accept();
    const [heard, told] = await Promise.all([
      readSlowly(inside),
      readSlowly(client),
      writeAll(client, long),
      writeAll(inside, back),
    ]);
    assertEquals([await digest(heard), await digest(told)], [await digest(long), await digest(back)]);
    relay.unpublish(fd);
  });
});

Deno.test("an end that has come leaves the other way open; a port that nobody has is a reset", async () => {
  await withHost(async ({ host }) => {
    using server = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    // has the number, and does not listen
    const mute = openSocket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assertEquals(bindTo(mute, new SocketAddress().set(LOOPBACK, 0)), 0);
    const relay = new TcpRelay(host);
    const { fd, port } = listener("tcp");
    const { fd: nobodys, port: nobodysPort } = listener("tcp");
    relay.publish(fd, LOOPBACK, server.addr.port);
    relay.publish(nobodys, LOOPBACK, getsockname(mute).port);
    {
      using client = await Deno.connect({ hostname: "127.0.0.1", port });
      using inside = await server.accept();
      await client.closeWrite();
      assertEquals(await inside.read(new Uint8Array(1)), null);
      await writeAll(inside, new TextEncoder().encode("late"));
      assertEquals(new TextDecoder().decode(await readSlowly(client)), "late");
    }
    // the reset may come as early as the connection
    const ask = async () => {
      using refused = await Deno.connect({ hostname: "127.0.0.1", port: nobodysPort });
      return await refused.read(new Uint8Array(1));
    };
    const outcome = await ask().catch((error) => (error as Error).name);
    assertEquals(outcome, "ConnectionReset");
    relay.unpublish(fd);
    relay.unpublish(nobodys);
    closeSocket(mute);
  });
});

Deno.test("a client that has all connections makes room for another, not for one more of its own", async () => {
  await withHost(async ({ host }) => {
    using server = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const relay = new TcpRelay(host, 3);
    const { fd, port } = listener("tcp");
    relay.publish(fd, LOOPBACK, server.addr.port);
    const greedy: Deno.Conn[] = [];
    const inside: Deno.Conn[] = [];
    const open = async () => {
      greedy.push(await Deno.connect({ hostname: "127.0.0.1", port }));
      inside.push(await server.accept());
    };
    for (let count = 0; count < 3; count++) await open();
    const isReset = async (one: Deno.Conn) =>
      await one.read(new Uint8Array(1)).then(
        () => false,
        (error) => (error as Error).name === "ConnectionReset",
      );
    // its fourth is refused, and those that it has stay
    const fourth = await Deno.connect({ hostname: "127.0.0.1", port }).catch(() => undefined);
    assertEquals(fourth === undefined || await isReset(fourth), true);
    const talks = async (from: Deno.Conn, to: Deno.Conn) => {
      await from.write(Uint8Array.of(7));
      assertEquals(await to.read(new Uint8Array(9)), 1);
    };
    for (const [index, one] of greedy.entries()) await talks(one, inside[index]!);
    // another client
    const other = openSocket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assertEquals(bindTo(other, new SocketAddress().set(mustParse("127.0.0.2"), 0)), 0);
    assertEquals(connectTo(other, new SocketAddress().set(LOOPBACK, port)), 0);
    inside.push(await server.accept());
    write(other, Uint8Array.of(7));
    assertEquals(await inside[3]!.read(new Uint8Array(9)), 1);
    assertEquals(await isReset(greedy[0]!), true);
    for (const index of [1, 2]) await talks(greedy[index]!, inside[index]!);
    relay.unpublish(fd);
    closeSocket(other);
    for (const one of [...greedy, ...inside]) one.close();
    fourth?.close();
  });
});

Deno.test("each client's datagrams come from a port of their own, and its answers go back to it", async () => {
  await withHost(async ({ host }) => {
    using server = new HostUdp("127.0.0.1");
    using one = new HostUdp("127.0.0.1");
    using other = new HostUdp("127.0.0.1");
    const relay = new UdpRelay(host);
    const { fd, port } = listener("udp");
    relay.publish(fd, LOOPBACK, server.port);
    const to = new SocketAddress().set(LOOPBACK, port);
    const seen = new Set<number>();
    for (const [client, letter] of [[one, 1], [other, 2], [one, 3]] as const) {
      client.send([letter], to);
      assertEquals([...await arriving(server)], [letter]);
      seen.add(server.from.port);
      server.send([letter, letter]);
      assertEquals([...await arriving(client)], [letter, letter]);
      assertEquals(client.from.port, port);
    }
    assertEquals(seen.size, 2);
    relay.unpublish(fd);
  });
});

/** Datagrams on loopback are not lost. */
async function arriving(socket: HostUdp): Promise<Uint8Array> {
  for (const end = Date.now() + 60_000; Date.now() < end;) {
    const data = socket.receive();
    if (data) return data;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  throw new Error("no datagram has come");
}
