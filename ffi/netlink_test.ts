import { assertEquals, assertMatch } from "../tests/assertions.ts";
import { forkChild, prepareFork } from "./fork.ts";
import { close, pipe2, readAll, writeAll } from "./file.ts";
import { openFamilies } from "./libc.ts";
import { unshare } from "./namespaces.ts";
import {
  encodeAttributes,
  encodeRequests,
  NetlinkSocket,
  parseAttributes,
  parseError,
  parseMessages,
  request,
  textOf,
} from "./netlink.ts";
import { waitpidBlocking } from "./process.ts";
import {
  addAddress,
  addLink,
  addRoute,
  addRule,
  deleteAddress,
  deleteLink,
  deleteRule,
  LIST_ADDRESSES,
  LIST_LINKS,
  parseAddressMessage,
  parseLink,
  setLink,
} from "./rtnetlink.ts";
import { O_CLOEXEC } from "./constants/fcntl.ts";
import { CLONE_NEWNET, CLONE_NEWUSER } from "./constants/sched.ts";

Deno.test("attributes are padded, nested and left out", () => {
  assertEquals(
    encodeAttributes([[3, "lo"], [4, 1500], [9, undefined], [18, [[1, "veth"]]]]).toHex(),
    "070003006c6f0000" + "08000400dc050000" + "10001280" + "090001007665746800" + "000000",
  );
});

Deno.test("attributes are found by type, and a length that lies ends the search", () => {
  const bytes = encodeAttributes([[3, "eth0"], [4, 65520]]);
  assertEquals(textOf(parseAttributes(bytes).get(3)!), "eth0");
  assertEquals(parseAttributes(bytes).get(4)?.toHex(), "f0ff0000");
  for (const length of [0, 3, 200]) {
    const lying = bytes.slice();
    new DataView(lying.buffer).setUint16(0, length, true);
    assertEquals(parseAttributes(lying).size, 0);
  }
});

Deno.test("requests are numbered and aligned; messages that are cut off are not read", () => {
  const one = request("a", 16, Uint8Array.of(1, 2, 3, 4), [], 4);
  const bytes = encodeRequests([one, one], 7);
  assertEquals(bytes.length, 40);
  const read = parseMessages(bytes);
  assertEquals(read.map(({ type, flags, sequence }) => [type, flags, sequence]), [[16, 5, 7], [16, 5, 8]]);
  assertEquals(parseMessages(bytes.subarray(0, 39)).length, 1);
});

Deno.test("the kernel's own words of an error are found, with the request or without", () => {
  const reason = encodeAttributes([[1, "no such thing"]]);
  const error = (flags: number, length: number, between: number) => {
    const body = new Uint8Array(20 + between + reason.length);
    new DataView(body.buffer).setInt32(0, -22, true);
    new DataView(body.buffer).setUint32(4, length, true);
    body.set(reason, 20 + between);
    return parseError({ type: 2, flags, sequence: 1, body });
  };
  assertEquals(error(0x300, 40, 0), { errno: 22, reason: "no such thing" });
  assertEquals(error(0x200, 40, 24), { errno: 22, reason: "no such thing" });
  assertEquals(error(0, 40, 24), { errno: 22, reason: "" });
  assertEquals(error(0x200, 0xfffffff0, 24), { errno: 22, reason: "" });
});

const LOOPBACK = 1;

/** In a network namespace of its own: what `action` gives. */
function inNewNamespace<T>(action: (netlink: NetlinkSocket) => T): T {
  openFamilies("fork", "file", "namespaces", "socket");
  prepareFork();
  const [reader, writer] = pipe2(O_CLOEXEC);
  const say = (value: unknown) => writeAll(writer, new TextEncoder().encode(JSON.stringify(value)));
  const pid = forkChild(() => {
    unshare(CLONE_NEWUSER | CLONE_NEWNET);
    say({ value: action(new NetlinkSocket()) });
    return 0;
  }, (error) => say({ error: (error as Error).message }));
  close(writer);
  const text = new TextDecoder().decode(readAll(reader, 65536));
  close(reader);
  waitpidBlocking(pid);
  const { value, error } = JSON.parse(text);
  if (error !== undefined) throw new Error(error);
  return value;
}

Deno.test("links, addresses, routes and rules are made in one send, listed and removed", () => {
  const found = inNewNamespace((netlink) => {
    const address = { link: LOOPBACK, address: Uint8Array.of(10, 9, 8, 7), prefix: 24 };
    const ipv6 = Uint8Array.of(0xfd, ...new Uint8Array(14), 7);
    const rule = { family: "ipv4", incoming: "lo", table: 1000, priority: 10 } as const;
    netlink.perform([
      setLink("lo", { up: true, mtu: 1400, txQueueLength: 77 }),
      addAddress(address),
      addAddress({ link: LOOPBACK, address: ipv6, prefix: 64 }),
      addRoute({ family: "ipv4", gateway: Uint8Array.of(10, 9, 8, 1), link: LOOPBACK }),
      addRoute({ family: "ipv6", link: LOOPBACK, table: 1000 }),
      addRule(rule),
    ]);
    const links = netlink.dump(LIST_LINKS).map(parseLink).filter(({ name }) => name === "lo");
    const addresses = () =>
      netlink.dump(LIST_ADDRESSES).map(parseAddressMessage).filter(({ link }) => link === LOOPBACK)
        .map((one) => `${one.address.toHex()}/${one.prefix}`).sort();
    const before = addresses();
    netlink.perform([deleteAddress(address), deleteRule(rule)]);
    return {
      index: netlink.indexOf("lo"),
      missing: netlink.indexOf("absent") ?? "none",
      links: links.map(({ index, flags, mtu }) => [index, flags & 1, mtu]),
      before,
      after: addresses(),
      queue: Deno.readTextFileSync("/proc/self/net/route").split("\n").length > 1,
    };
  });
  assertEquals(found, {
    index: LOOPBACK,
    missing: "none",
    links: [[LOOPBACK, 1, 1400]],
    before: ["0" + "0".repeat(30) + "1/128", "0a090807/24", "7f000001/8", `fd${"0".repeat(28)}07/64`],
    after: ["0" + "0".repeat(30) + "1/128", "7f000001/8", `fd${"0".repeat(28)}07/64`],
    queue: true,
  });
});

Deno.test("a refused request is named with the kernel's own words, and the others are made", () => {
  const found = inNewNamespace((netlink) => {
    const tell = (action: () => void) => {
      try {
        action();
        return "";
      } catch (error) {
        return (error as Error).message;
      }
    };
    return {
      route: tell(() =>
        netlink.perform([
          addRoute({ family: "ipv4", gateway: Uint8Array.of(10, 9, 8, 1) }),
          setLink("lo", { mtu: 1300 }),
        ])
      ),
      link: tell(() => netlink.perform([deleteLink("absent")])),
      kind: tell(() => netlink.perform([addLink({ name: "x0", kind: "nonsense" })])),
      mtu: netlink.dump(LIST_LINKS).map(parseLink).find(({ name }) => name === "lo")?.mtu,
    };
  });
  assertMatch(found.route, /^add route default: Network is unreachable/);
  assertEquals(found.link, "delete link absent: No such device");
  assertMatch(found.kind, /^add nonsense x0: Operation not supported \(Unknown device type/);
  assertEquals(found.mtu, 1300);
});
