/**
 * Who is seen by whom, and what never leaves the guest: prints what each case saw as JSON. Runs in a network namespace
 * whose loopback has addresses of the world (see own_network.ts).
 */

import { AF_INET, AF_INET6, SOCK_NONBLOCK, SOCK_STREAM } from "../ffi/constants/socket.ts";
import { close, pipe2, read, write } from "../ffi/file.ts";
import { acceptFrom, bindTo, connectTo, openSocket, SocketAddress } from "../ffi/inet.ts";
import { listen } from "../ffi/socket.ts";
import { formatAddress, mustParse } from "../runtime/network/stack/addresses.ts";
import { leaveChecksum, toWords, writeHeaders } from "../runtime/network/stack/packet.ts";
import { Slot } from "../runtime/network/stack/slots.ts";
import { setUpLoopback } from "./own_network.ts";
import {
  acceptOne,
  connectFrom,
  GUEST,
  listenOn,
  listenOnPort,
  must,
  stackPlan,
  StackRig,
} from "./stack_rig.ts";

const SERVER = "198.51.100.1", OTHER = "198.51.100.2", SHADOWED = "10.0.2.55";

setUpLoopback(SERVER, OTHER, SHADOWED, "2001:db8::1", "2001:db8::2");

/** Has the children tell what they saw. */
function told(task: (tell: (text: string) => number) => void): string {
  const [reader, writer] = pipe2(0);
  task((text) => (write(writer, new TextEncoder().encode(text)), 0));
  close(writer);
  const buffer = new Uint8Array(100);
  const text = new TextDecoder().decode(buffer.subarray(0, read(reader, buffer)));
  close(reader);
  return text;
}

/** The source that a server of the world sees of the guest's connection. */
function sourceOf(server: string, outbound: { ipv4?: string; ipv6?: string } | undefined): string {
  return told((tell) => {
    using rig = new StackRig(1500, { plan: { ...stackPlan(1500), outbound } });
    const { fd, port } = listenOn(server);
    rig.onHost("server", () => {
      const client = new SocketAddress();
      acceptOne(fd, client);
      return tell(formatAddress(client.address));
    });
    rig.inGuest("guest", () => (connectFrom(server, port), 0));
    close(fd);
    rig.finish();
  });
}

/** The source that a server in the guest sees of a client of its published port. */
function clientSeen(client: string, server: string): string {
  return told((tell) => {
    using rig = new StackRig(1500);
    const { fd, port: hostPort } = listenOn(server);
    const [reader, writer] = pipe2(0);
    const version = server.includes(":") ? "ipv6" : "ipv4";
    rig.inGuest("server", () => {
      const listener = listenOnPort(GUEST[version], 80);
      write(writer, new Uint8Array(1));
      const seen = new SocketAddress();
      acceptOne(listener, seen);
      return tell(formatAddress(seen.address));
    });
    rig.onHost("client", () => {
      read(reader, new Uint8Array(1));
      const peer = must(openSocket(version === "ipv4" ? AF_INET : AF_INET6, SOCK_STREAM, 0));
      must(bindTo(peer, new SocketAddress().set(mustParse(client), 0)));
      must(connectTo(peer, new SocketAddress().set(mustParse(server), hostPort)));
      return 0;
    });
    rig.stack.publish({ protocol: "tcp", hostAddress: "", hostPort, containerPort: 80 }, fd, GUEST);
    rig.finish();
    close(reader);
    close(writer);
  });
}

/** Whether a SYN of the guest to that address, written by a program that makes its own packets, reaches a listener. */
function reaches(destination: string): boolean {
  const listener = must(openSocket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
  must(bindTo(listener, new SocketAddress().set(mustParse("0.0.0.0"), 7777)));
  listen(listener, 8);
  const slot = new Slot();
  const route = {
    ...{ version: 4, protocol: 6 } as const,
    source: toWords(mustParse(GUEST.ipv4)),
    destination: toWords(mustParse(destination)),
  };
  const at = writeHeaders(slot, route, 20);
  slot.view.setUint16(at, 40_000);
  slot.view.setUint16(at + 2, 7777);
  slot.view.setUint16(at + 12, 5 << 12 | 2);
  slot.view.setUint16(at + 14, 65_535);
  leaveChecksum(slot, route, at, 20, 16);
  using rig = new StackRig(1500, { first: slot.bytes.slice(0, at + 20) });
  // connect(2) over loopback is done when it returns
  for (let turn = 0; turn < 10; turn++) rig.stack.work();
  const accepted = acceptFrom(listener, new SocketAddress(), 0);
  if (accepted >= 0) close(accepted);
  close(listener);
  return accepted >= 0;
}

console.log(JSON.stringify({
  sources: [
    sourceOf(SERVER, undefined),
    sourceOf(SERVER, { ipv4: OTHER }),
    sourceOf("2001:db8::1", { ipv6: "2001:db8::2" }),
    sourceOf(SERVER, { ipv4: "lo" }),
  ],
  clients: [
    clientSeen(OTHER, SERVER),
    clientSeen("2001:db8::2", "2001:db8::1"),
    clientSeen("127.0.0.1", SERVER),
    clientSeen(SHADOWED, SERVER),
  ],
  reached: [SERVER, "127.0.0.1", SHADOWED, "127.8.8.8", "0.0.0.0", "224.0.0.1", "255.255.255.255"].map(
    reaches,
  ),
}));
