/**
 * Containers on networks of the user's own: who finds and reaches whom, while networks come and go and processes are
 * killed. Where something must not be reached, it is reached before or after by somebody who may.
 */

import { createSocket } from "node:dgram";
import { assert, assertEquals, assertIncludes, hostTest, waitFor } from "./harness.ts";
import { bridgeSocketPath } from "../runtime/network/bridge/client.ts";
import type { Host } from "./host.ts";

const NEEDS = { needs: ["busybox", "uidmap"] as ("busybox" | "uidmap")[] };

/** The machine's own programs: those of a static busybox know no names. */
const IMAGE = "host";

/** A container that says its name to whoever asks at port 80. */
async function serve(host: Host, name: string, ...options: string[]): Promise<void> {
  const script =
    `mkdir -p /tmp/www && echo "I am ${name}" >/tmp/www/index.html && exec busybox httpd -f -v -p 80 -h /tmp/www`;
  await host.ok("run", "-d", "--name", name, ...options, IMAGE, "sh", "-c", script);
}

/** The last line of what `address` answers; nothing where nothing comes of it in ten seconds. */
const ASK =
  `printf 'GET /index.html HTTP/1.0\\r\\n\\r\\n' | busybox nc -w 10 "$0" 80 2>/dev/null | tail -n 1`;

/** What `from` gets of a server. */
async function get(host: Host, from: string, address: string): Promise<string> {
  return (await host.skiff(["exec", from, "sh", "-c", ASK, address])).stdout.trim();
}

/** Until the server, which has only begun, answers. */
async function untilServed(host: Host, from: string, name: string, answer: string): Promise<void> {
  await waitFor(`${name} answers ${from}`, async () => await get(host, from, name) === answer);
}

/** Addresses that `from` is told for a name; none where it is not known. */
async function lookUp(host: Host, from: string, name: string, type = "a"): Promise<string[]> {
  const { stdout } = await host.skiff(["exec", from, "busybox", "nslookup", `-type=${type}`, name]);
  // the first address is that of the server
  const answer = stdout.slice(stdout.indexOf("\n\n"));
  return [...answer.matchAll(/^(?:Address: |.*name = )(\S+)$/gm)].map(([, found]) => found!).sort();
}

async function addressOf(host: Host, name: string, network: string, field = "IPAddress"): Promise<string> {
  return await host.ok("inspect", "-f", `{{.NetworkSettings.Networks.${network}.${field}}}`, name);
}

function holders(host: Host): number[] {
  return host.processes().filter(({ command }) => command.startsWith("skiff: networks")).map(({ pid }) =>
    pid
  );
}

hostTest(
  "three containers find each other by name, a fourth on another network cannot",
  NEEDS,
  async (host) => {
    await host.ok("network", "create", "--ipv6", "front");
    await host.ok("network", "create", "other");
    await host.ok("network", "create", "--internal", "back");
    await serve(host, "one", "--network", "front", "--network-alias", "first");
    await serve(host, "two", "--network", "front");
    await serve(host, "three", "--network", "front", "--network", "back");
    await serve(host, "four", "--network", "other");
    for (const from of ["one", "two", "three"]) {
      for (const to of ["one", "two", "three"]) await untilServed(host, from, to, `I am ${to}`);
    }
    const address = await addressOf(host, "one", "front");
    const ipv6 = await addressOf(host, "one", "front", "GlobalIPv6Address");
    const id = (await host.ok("inspect", "-f", "{{.Id}}", "one")).slice(0, 12);
    for (const name of ["one", "first", id, "ONE", "one.dns.podman"]) {
      assertEquals(await lookUp(host, "two", name), [address], name);
    }
    assertEquals(await lookUp(host, "two", "one", "aaaa"), [ipv6]);
    assertEquals(
      await lookUp(host, "two", `${address.split(".").reverse().join(".")}.in-addr.arpa`, "ptr"),
      [id, "first", "one"].sort(),
    );
    assertEquals(await get(host, "two", ipv6), "I am one");

    // the fourth can do neither, until it is on that network as well
    assertEquals(await lookUp(host, "four", "one.dns.podman"), []);
    const unknown = await host.skiff(["exec", "one", "busybox", "nslookup", "nosuch.dns.podman"]);
    assertIncludes(unknown.stdout + unknown.stderr, "NXDOMAIN");
    assertEquals(await get(host, "four", "one.dns.podman"), "");
    assertEquals(await get(host, "four", address), "");
    assertEquals(await get(host, "four", ipv6), "");
    // nor by another network's gateway, which pings would find
    for (const field of ["Gateway", "IPv6Gateway"]) {
      const gateway = await addressOf(host, "one", "front", field);
      const sees = async (from: string, seconds: number) =>
        (await host.skiff(["exec", from, "busybox", "ping", "-c", "1", "-W", String(seconds), gateway]))
          .code === 0;
      const reachesNames = async (from: string) =>
        (await host.skiff(["exec", from, "bash", "-c", ": </dev/tcp/$0/53", gateway])).code === 0;
      assertEquals([await sees("one", 20), await sees("four", 1)], [true, false], field);
      assertEquals([await reachesNames("one"), await reachesNames("four")], [true, false], field);
    }
    await host.ok("network", "connect", "--alias", "latecomer", "front", "four");
    assertEquals(await get(host, "four", "one"), "I am one");
    assertEquals(await get(host, "one", "latecomer"), "I am four");
    await host.ok("network", "disconnect", "front", "four");
    assertEquals(await get(host, "four", address), "");
    assertEquals(await lookUp(host, "one", "latecomer.dns.podman"), []);

    // a network without a way out has no default route of its own, and its names are known to who is on it
    const routes = async (name: string) => await host.ok("exec", name, "ip", "route");
    assertIncludes(
      await routes("three"),
      `default via ${await addressOf(host, "three", "front", "Gateway")}`,
    );
    await host.ok("network", "disconnect", "front", "three");
    assert(!(await routes("three")).includes("default"));
    await host.ok("network", "connect", "back", "two");
    assertEquals(await get(host, "two", "three"), "I am three");
    assertEquals(await get(host, "three", "two"), "I am two");
    assertEquals(await get(host, "three", address), "");
  },
);

hostTest("the holder of the networks is made again, and nothing is lost with it", NEEDS, async (host) => {
  await host.ok("network", "create", "front");
  await serve(host, "one", "--network", "front", "-p", "127.0.0.1::80");
  await serve(host, "two", "--network", "front");
  await untilServed(host, "two", "one", "I am one");
  const port = (await host.ok("port", "one", "80")).split(":").at(-1)!;
  const fetchPort = async () => {
    const signal = AbortSignal.timeout(30_000);
    const answer = await fetch(`http://127.0.0.1:${port}/`, { signal }).catch(() => undefined);
    return await answer?.text().catch(() => undefined);
  };
  await waitFor("the published port answers", async () => await fetchPort() === "I am one\n");
  const started = await host.ok("inspect", "-f", "{{.State.Pid}} {{.State.StartedAt}}", "one", "two");
  for (let round = 0; round < 3; round++) {
    const [first, ...more] = holders(host);
    assertEquals(more, [], "one process holds the networks");
    host.kill9(first!);
    await waitFor("another one", () => holders(host).some((pid) => pid !== first));
    await untilServed(host, "two", "one", "I am one");
    await untilServed(host, "one", "two", "I am two");
    await waitFor("the published port answers again", async () => await fetchPort() === "I am one\n");
  }
  assertEquals(await host.ok("inspect", "-f", "{{.State.Pid}} {{.State.StartedAt}}", "one", "two"), started);
  // whoever comes now finds those that were there
  assertEquals(
    (await host.skiff(["run", "--rm", "--network", "front", IMAGE, "sh", "-c", ASK, "two"]))
      .stdout,
    "I am two\n",
  );

  // a container whose monitor is killed has no name and no interface on the bridge any more
  const monitor = host.processes().find(({ command }) => command.startsWith("skiff: two"))!;
  host.kill9(monitor.pid);
  await waitFor("its name is gone", async () => (await lookUp(host, "one", "two.dns.podman")).length === 0);
  await host.ok("start", "two");
  await untilServed(host, "one", "two", "I am two");
  await host.ok("rm", "-f", "-t", "0", "one", "two");
  await waitFor("the last one takes the holder with it", () => holders(host).length === 0);
});

hostTest("twenty containers start and end at once on one network", NEEDS, async (host) => {
  await host.ok("network", "create", "crowd");
  const names = Array.from({ length: 20 }, (_, index) => `n${index}`);
  await Promise.all(names.map((name) => serve(host, name, "--network", "crowd")));
  assertEquals(holders(host).length, 1);
  const addresses = new Set(await Promise.all(names.map((name) => addressOf(host, name, "crowd"))));
  assertEquals(addresses.size, names.length, "nobody shares an address");
  const one = ASK.replace("$0", "$n");
  const script = `for n in ${names.join(" ")}; do until ${one} | grep 'I am'; do :; done; done`;
  assertEquals(
    await host.ok("exec", "n7", "sh", "-c", script),
    names.map((name) => `I am ${name}`).join("\n"),
  );
  await Promise.all(names.map((name) => host.ok("rm", "-f", "-t", "0", name)));
  await waitFor("nobody holds networks", () => holders(host).length === 0);
  // the last ones leave while others come
  for (let round = 0; round < 5; round++) {
    const runs = [1, 2, 3].map(() =>
      host.ok("run", "--rm", "--network", "crowd", IMAGE, "sh", "-c", "ip -4 -o addr show eth0")
    );
    for (const shown of await Promise.all(runs)) assertIncludes(shown, "/24");
  }
});

hostTest("published ports of a network lead to the container, which sees the client", NEEDS, async (host) => {
  await host.ok("network", "create", "front");
  await host.ok("network", "create", "other");
  await serve(host, "web", "--network", "front", "-p", "0:80");
  const portOf = async () => (await host.ok("port", "web", "80")).split("\n")[0]!.split(":").at(-1)!;
  const port = await portOf();
  const ask = async (address: string, at = port) => {
    const signal = AbortSignal.timeout(30_000);
    const answer = await fetch(`http://${address}:${at}/`, { signal }).catch(() => undefined);
    return await answer?.text().catch(() => undefined);
  };
  await waitFor("the port answers", async () => await ask("127.0.0.1") === "I am web\n");
  const own = Deno.networkInterfaces().find(({ family, address }) =>
    family === "IPv4" && !address.startsWith("127.") && !address.startsWith("169.254.")
  );
  if (own) {
    assertEquals(await ask(own.address), "I am web\n");
    await waitFor("the log has the client's address", async () => {
      const { stdout, stderr } = await host.skiff(["logs", "web"]);
      return (stdout + stderr).includes(`${own.address}]`) || (stdout + stderr).includes(`${own.address}:`);
    });
  }
  // the default route and with it the port's way move to the network that is left
  await host.ok("network", "connect", "other", "web");
  await host.ok("network", "disconnect", "front", "web");
  assertEquals(await ask("127.0.0.1"), "I am web\n");
  await host.ok("update", "--publish-add", "127.0.0.1::80", "web");
  const added = (await host.ok("port", "web")).split("\n").map((line) => line.split(":").at(-1)!)
    .find((one) => one !== port)!;
  assertEquals(await ask("127.0.0.1", added), "I am web\n");

  // who took a port back may use it: the answer comes when the holder, who is slow here, has closed it as well
  const [holder] = holders(host);
  const isFree = () => {
    try {
      Deno.listen({ hostname: "127.0.0.1", port: Number(added) }).close();
      return true;
    } catch (error) {
      if (error instanceof Deno.errors.AddrInUse) return false;
      throw error;
    }
  };
  Deno.kill(holder!, "SIGSTOP");
  let isAnswered = false;
  const removed = host.ok("update", "--publish-rm", `127.0.0.1:${added}:80`, "web").then(() => {
    isAnswered = true;
    return isFree();
  });
  try {
    const shown = await Promise.race([
      removed,
      new Promise((resolve) => setTimeout(() => resolve("nothing yet"), 1000)),
    ]);
    assertEquals([shown, isAnswered, isFree()], ["nothing yet", false, false]);
  } finally {
    Deno.kill(holder!, "SIGCONT");
  }
  assertEquals(await removed, true);
  assertEquals(await ask("127.0.0.1"), "I am web\n", "the other port stays");
});

hostTest("of several networks that with the least metric leads out, and in", NEEDS, async (host) => {
  await host.ok("network", "create", "dear");
  await host.ok("network", "create", "--ipv6", "-o", "metric=7", "cheap");
  await serve(
    host,
    "web",
    "--network",
    "dear",
    "--network",
    "cheap",
    "-p",
    "127.0.0.1::80",
    "-p",
    "[::1]::80",
  );
  const ports = (await host.ok("port", "web", "80")).split("\n").map((line) => line.split(":").at(-1));
  /** The first default route, and who asks by either IP version as the server's log has them. */
  const leading = async () => {
    const route = await host.ok("exec", "web", "sh", "-c", "ip route; ip -6 route");
    const served = await Promise.all(["127.0.0.1", "[::1]"].map(async (address, index) => {
      const url = `http://${address}:${ports[index]}/`;
      return await (await fetch(url, { signal: AbortSignal.timeout(30_000) })).text();
    }));
    assertEquals(served, ["I am web\n", "I am web\n"]);
    return /^default via (\S+)/m.exec(route)?.[1];
  };
  const gateway = (network: string) => addressOf(host, "web", network, "Gateway");
  await untilServed(host, "web", "127.0.0.1", "I am web");
  assertEquals(await leading(), await gateway("cheap"));
  await host.ok("network", "disconnect", "cheap", "web");
  assertEquals(await leading(), await gateway("dear"));
  await host.ok("network", "connect", "cheap", "web");
  assertEquals(await leading(), await gateway("cheap"));
  await host.ok("network", "reload", "web");
  assertEquals(await leading(), await gateway("cheap"));
});

hostTest(
  "who has moved much from a port, at the same or at a former holder, may use it again",
  NEEDS,
  async (host) => {
    const own = Deno.networkInterfaces().find(({ family, address }) =>
      family === "IPv4" && !/^127/.test(address)
    );
    if (!own) return; // a machine without a network
    // more than what the stack keeps to itself
    const bytes = new Uint8Array(64 << 20);
    using server = Deno.listen({ hostname: own.address, port: 0 });
    const serving = (async () => {
      for await (const client of server) {
        for (let at = 0; at < bytes.length;) {
          at += await client.write(bytes.subarray(at)).catch(() => Infinity);
        }
        client.close();
      }
    })().catch(() => {});
    await host.ok("network", "create", "net");
    const onePort = ["--sysctl", "net.ipv4.ip_local_port_range=6001 6001"];
    await host.ok(...["run", "-d", "--name", "one", "--network", "net"], ...onePort, IMAGE, "sleep", "600");
    const ask = async () => {
      const { port } = server.addr as Deno.NetAddr;
      // nc ends with the server, which so ends first
      const script = `sleep 3 | busybox nc -w 10 ${own.address} ${port} | wc -c`;
      return Number((await host.skiff(["exec", "one", "sh", "-c", script])).stdout);
    };
    assertEquals(await ask(), bytes.length);
    assertEquals(await ask(), bytes.length);
    const [holder] = holders(host);
    host.kill9(holder!);
    await waitFor("another holder", () => holders(host).some((pid) => pid !== holder));
    assertEquals(await ask(), bytes.length);
    server.close();
    await serving;
  },
);

hostTest("hundreds of ports of one container are all served", NEEDS, async (host) => {
  await host.ok("network", "create", "front");
  // more than the holder's socket takes at once
  await serve(host, "web", "--network", "front", "-p", "127.0.0.1::80", "-p", "127.0.0.1::1000-1699");
  const script =
    "mkdir -p /tmp/last && echo last >/tmp/last/index.html && busybox httpd -p 1699 -h /tmp/last";
  await host.ok("exec", "web", "sh", "-c", script);
  const portOf = async (port: string) => (await host.ok("port", "web", port)).split(":").at(-1)!;
  const [first, last] = [await portOf("80"), await portOf("1699")];
  const ask = async (port: string) => {
    const signal = AbortSignal.timeout(10_000);
    const answer = await fetch(`http://127.0.0.1:${port}/`, { signal }).catch(() => undefined);
    return await answer?.text().catch(() => undefined);
  };
  const untilAll = async () => {
    await waitFor("the first answers", async () => await ask(first) === "I am web\n");
    await waitFor("the last answers", async () => await ask(last) === "last\n");
  };
  await untilAll();
  const [holder] = holders(host);
  host.kill9(holder!);
  await waitFor("another holder", () => holders(host).some((pid) => pid !== holder));
  await untilAll();
});

hostTest("nobody else and no nonsense reaches the holder of the networks", NEEDS, async (host) => {
  await host.ok("network", "create", "front");
  await serve(host, "one", "--network", "front");
  await untilServed(host, "one", "one", "I am one");
  const monitorSocket = await host.ok("inspect", "-f", "{{.Id}}", "one").then((id) => `c/${id.slice(0, 32)}`);
  const [pid] = holders(host);
  // the monitors' sockets are in the same folder
  const unix = (await Deno.readTextFile("/proc/net/unix")).split("\n").map((line) => line.split(" ").at(-1)!);
  const folder = unix.find((path) => path.endsWith(monitorSocket))!.slice(0, -monitorSocket.length);
  const path = bridgeSocketPath({ run: folder.replace(/\/$/, ""), data: host.data });
  for (const socket of [path, `${path}.members`]) {
    assertEquals((await Deno.lstat(socket)).mode! & 0o777, 0o600, socket);
  }
  for (const text of ["", "{}\n", '{"version":1,"change":{"kind":"reload"}}\n', "x".repeat(300 * 1024)]) {
    using connection = await Deno.connect({ transport: "unix", path });
    await connection.write(new TextEncoder().encode(text)).catch(() => {});
    await connection.closeWrite().catch(() => {});
    const buffer = new Uint8Array(4096);
    const length = await connection.read(buffer).catch(() => null);
    const answer = new TextDecoder().decode(buffer.subarray(0, length ?? 0));
    assert(answer === "" || answer.startsWith('{"ok":false'), answer);
  }
  assertEquals(await get(host, "one", "one"), "I am one");
  assertEquals(holders(host), [pid]);
});

/** As a member would, and worse; descriptors that fit in no message, or come with none. */
const NONSENSE = `
import array, os, socket, sys
for text, count in [(b"{", 3), (b"{}", 200), (b'{"op":"settle"}', 3), (b'{"op":"none"}', 2), (b'{"op":"publish"}', 4),
                    (b'{"op":"attach"}', 1), (b'{"op":"unpublish"}', 1), (b"", 5), (b"x" * 60000, 250)]:
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.connect(sys.argv[1])
    passed = array.array("i", [0] * count)
    s.sendmsg([text], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, passed)])
    if b"settle" in text: s.recv(1000)
`;

hostTest("descriptors that the holder of the networks has not asked for are closed", {
  needs: [...NEEDS.needs, "python3", "root"],
}, async (host) => {
  await host.ok("network", "create", "front");
  await serve(host, "one", "--network", "front");
  await untilServed(host, "one", "one", "I am one");
  const [pid] = holders(host);
  const open = () => [...Deno.readDirSync(`/proc/${pid}/fd`)].length;
  const before = open();
  const unix = (await Deno.readTextFile("/proc/net/unix")).split("\n").map((line) => line.split(" ").at(-1)!);
  const id = await host.ok("inspect", "-f", "{{.Id}}", "one");
  const run = unix.find((path) => path.endsWith(`/c/${id.slice(0, 32)}`))!.replace(/\/c\/[^/]*$/, "");
  const path = `${bridgeSocketPath({ run, data: host.data })}.members`;
  const { code, stderr } = await host.program(["/usr/bin/python3", "-c", NONSENSE, path]);
  assertEquals(code, 0, stderr);
  await waitFor("the descriptors are closed", () => open() === before);
  assertEquals(await get(host, "one", "one"), "I am one");
  assertEquals(holders(host), [pid]);
});

hostTest("who is on an internal network sends nothing out under another's address", NEEDS, async (host) => {
  const own = Deno.networkInterfaces().find(({ family, address }) =>
    family === "IPv4" && !address.startsWith("127.") && !address.startsWith("169.254.")
  );
  // a machine that is on no network has nothing to be reached
  if (!own) return;
  await host.ok("network", "create", "front");
  await host.ok("network", "create", "--internal", "back");
  const privileges = ["--cap-add", "NET_ADMIN"];
  await host.ok("run", "-d", "--name", "one", "--network", "front", ...privileges, IMAGE, "sleep", "1000");
  await host.ok("run", "-d", "--name", "spy", "--network", "back", ...privileges, IMAGE, "sleep", "1000");
  const address = await addressOf(host, "one", "front");
  const socket = createSocket("udp4");
  const heard = new Set<string>();
  try {
    socket.on("message", (text) => heard.add(String(text)));
    const port = await new Promise<number>((resolve) =>
      socket.bind(0, "0.0.0.0", () => resolve(socket.address().port))
    );
    const say = (from: string, text: string) =>
      host.ok("exec", from, "bash", "-c", `echo -n ${text} >/dev/udp/${own.address}/${port}`);
    const gateway = await addressOf(host, "spy", "back", "Gateway");
    const script =
      `ip address add ${address}/32 dev eth0 && ip route add default via ${gateway} src ${address}`;
    await host.ok("exec", "spy", "sh", "-c", script);
    for (let count = 0; count < 3; count++) await say("spy", "spy");
    // all take the same way: what the other says arrives behind
    await waitFor("the one that may is heard", async () => {
      await say("one", "one");
      return heard.has("one");
    });
    assertEquals([...heard], ["one"]);
  } finally {
    socket.close();
  }
});

hostTest("members of a network with enable_icc=false do not reach each other", NEEDS, async (host) => {
  await host.ok("network", "create", "--ipv6", "-o", "com.docker.network.bridge.enable_icc=false", "apart");
  await host.ok("network", "create", "shared");
  await serve(host, "one", "--network", "apart", "--network", "shared");
  await serve(host, "two", "--network", "apart", "--network", "shared", "--cap-add", "NET_ADMIN");
  const [address, ipv6, shared] = await Promise.all([
    addressOf(host, "one", "apart"),
    addressOf(host, "one", "apart", "GlobalIPv6Address"),
    addressOf(host, "one", "shared"),
  ]);
  const gateway = await addressOf(host, "two", "apart", "Gateway");
  // the same two, by a network whose members are not kept apart
  await untilServed(host, "two", shared, "I am one");
  const fails = async (...words: string[]) => (await host.skiff(["exec", "two", ...words])).code !== 0;
  const ping = (to: string) => fails("busybox", "ping", "-c", "1", "-W", "1", to);
  assertEquals([await ping(address), await ping(ipv6)], [true, true]);
  assertEquals((await lookUp(host, "two", "one")).includes(address), true);
  assertEquals(await fails("busybox", "ping", "-c", "1", "-W", "30", gateway), false);
  // nor by the way of the gateway
  await host.ok("exec", "two", "ip", "route", "add", address, "via", gateway);
  assertEquals(await ping(address), true);
});

hostTest("a network in a VLAN has one, or it is said that the kernel has none", {
  needs: [...NEEDS.needs, "iproute2"],
}, async (host) => {
  await host.ok("network", "create", "-o", "vlan=7", "web");
  const make = ["/usr/bin/unshare", "-rn", "ip", "link", "add", "b", "type", "bridge", "vlan_filtering", "1"];
  const hasVlans = (await host.program(make)).code === 0;
  const { code, stderr } = await host.skiff(["run", "-q", "--rm", "--network", "web", IMAGE, "true"]);
  const told = "Error: join network web: bridges of this kernel know no VLANs\n";
  assertEquals([code, stderr], hasVlans ? [0, ""] : [125, told]);
});

hostTest("an interface of the bridges is nobody else's", NEEDS, async (host) => {
  await host.ok("network", "create", "--interface-name", "wire", "front");
  await serve(host, "one", "--network", "front:host_interface_name=plug");
  await serve(host, "two", "--network", "front");
  await untilServed(host, "two", "one", "I am one");
  for (const name of ["plug", "wire"]) {
    const { code, stderr } = await host.skiff([
      ...["run", "--rm", "--network", `front:host_interface_name=${name}`, IMAGE, "true"],
    ]);
    assertEquals([code, stderr], [
      125,
      `Error: join network front: there is an interface ${name} already\n`,
    ]);
  }
  await host.ok("network", "create", "--interface-name", "plug", "other");
  assertEquals((await host.skiff(["run", "--rm", "--network", "other", IMAGE, "true"])).code, 125);
  assertEquals(await get(host, "two", "one"), "I am one", "nothing of theirs is gone");
});

hostTest("PostgreSQL and a client of a Debian by name", {
  needs: ["registry", "debootstrap", "uidmap"],
  // the first of them makes the image
  timeoutMs: 600_000,
}, async (host) => {
  const image = await host.image("servers");
  await host.skiff(["pull", "-q", image], { timeoutMs: 300_000 });
  await host.ok("network", "create", "data");
  const script = 'cd /usr/lib/postgresql/*/ && version=$(basename "$PWD") && ' +
    "echo 'host all all all trust' >>/etc/postgresql/$version/main/pg_hba.conf && " +
    "exec bin/postgres -D /var/lib/postgresql/$version/main -c ssl=off -c listen_addresses='*' " +
    "-c config_file=/etc/postgresql/$version/main/postgresql.conf";
  await host.ok(
    "run",
    "-d",
    "--name",
    "db",
    "--network",
    "data",
    "--user",
    "postgres",
    image,
    "sh",
    "-c",
    script,
  );
  const ask = (sql: string) =>
    host.skiff([
      "run",
      "--rm",
      "--network",
      "data",
      image,
      "psql",
      "-h",
      "db",
      "-U",
      "postgres",
      "-tAc",
      sql,
    ]);
  await waitFor("PostgreSQL answers", async () => (await ask("select 1")).code === 0, 180_000);
  const made = "create table boats as select g, md5(g::text) from generate_series(1, 50000) g";
  assertEquals((await ask(made)).code, 0);
  const { stdout } = await ask("select count(*), inet_client_addr() <<= '10.0.0.0/8' from boats");
  assertEquals(stdout, "50000|t\n");
});
