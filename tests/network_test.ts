/** Containers and the world outside: the user-mode network, its options, and the other modes of `--network`. */
import { createSocket } from "node:dgram";
import { dnsAnswer } from "../runtime/network/stack/dns_rig.ts";
import { makeAptRepository } from "./apt_repository.ts";
import { onBroken } from "./broken_machine.ts";
import {
  assert,
  assertEquals,
  assertIncludes,
  assertMatch,
  type Host,
  hostTest,
  type Need,
  waitFor,
} from "./harness.ts";

const needs: Need[] = ["registry", "busybox", "uidmap"];

/** An address of this machine that is not its loopback's; traffic to it stays on the machine all the same. */
const ownAddress = Deno.networkInterfaces()
  .find(({ family, address }) => family === "IPv4" && !address.startsWith("127."))?.address;

interface Server extends Disposable {
  port: number;
  /** Who has connected. */
  clients: string[];
}

/** Answers every line with `HELLO line`, and ends where the client does. */
function serve(hostname: string): Server {
  const listener = Deno.listen({ hostname, port: 0 });
  const clients: string[] = [];
  const answer = async (connection: Deno.Conn) => {
    using _ = connection;
    clients.push((connection.remoteAddr as Deno.NetAddr).hostname);
    const buffer = new Uint8Array(4096);
    const count = await connection.read(buffer) ?? 0;
    const text = `HELLO ${new TextDecoder().decode(buffer.subarray(0, count))}`;
    await connection.write(new TextEncoder().encode(text));
  };
  (async () => {
    for await (const connection of listener) answer(connection).catch(() => {});
  })().catch(() => {});
  return { port: listener.addr.port, clients, [Symbol.dispose]: () => listener.close() };
}

/** Words for a shell: what the server at that address answers to `word`, or `refused`. */
function ask(address: string, port: number, word: string): string {
  return `(echo ${word} | busybox nc -w 60 ${address} ${port} 2>/dev/null || echo refused ${word})`;
}

hostTest("a container reaches the world, but not this machine's loopback unless that is allowed", {
  needs,
}, async (host) => {
  const image = await host.image();
  using ipv4 = serve("127.0.0.1");
  using ipv6 = serve("::1");
  using own = serve(ownAddress ?? "127.0.0.1");
  const script = [
    ask("10.0.2.2", ipv4.port, "loop4"),
    ask("fd00::2", ipv6.port, "loop6"),
    ...(ownAddress ? [ask(ownAddress, own.port, "own")] : []),
  ].join("; ");
  const reached = ownAddress ? "HELLO own\n" : "";
  const refused = await host.skiff(["run", "-q", "--rm", image, "sh", "-c", script]);
  assertEquals(
    [refused.code, refused.stdout],
    [0, `refused loop4\nrefused loop6\n${reached}`],
    refused.stderr,
  );
  assertEquals([ipv4.clients, ipv6.clients], [[], []]);

  const allowed = [
    "run",
    "-q",
    "--rm",
    "--network",
    "slirp:allow_host_loopback=true",
    image,
    "sh",
    "-c",
    script,
  ];
  const { code, stdout, stderr } = await host.skiff(allowed);
  assertEquals([code, stdout], [0, `HELLO loop4\nHELLO loop6\n${reached}`], stderr);
  assertEquals([ipv4.clients, ipv6.clients], [["127.0.0.1"], ["::1"]]);
});

hostTest("interface, routes, hosts, resolv.conf and inspect tell of the network", { needs }, async (host) => {
  const image = await host.image();
  const options = "slirp:mtu=1500,cidr=10.9.8.0/22,enable_ipv6=false";
  const show =
    "busybox ip -o addr show dev eth0; busybox ip route; cat /etc/hosts; grep nameserver /etc/resolv.conf; " +
    "cat /proc/sys/net/ipv4/ping_group_range; ls /sys/class/net; echo up";
  await host.ok(
    "run",
    "-q",
    "-d",
    "--name",
    "c",
    "--hostname",
    "h",
    "--network",
    options,
    image,
    "sh",
    "-c",
    `${show}; exec sleep 600`,
  );
  await host.untilLogged("c");
  const told = await host.ok("logs", "c");
  assertMatch(told, /eth0 +inet 10\.9\.8\.100\/22 .*/);
  assert(!/inet6 fd00/.test(told), told);
  assertMatch(told, /^default via 10\.9\.8\.2 dev eth0/m);
  assertMatch(told, /^10\.9\.8\.100\th c$/m);
  assertMatch(told, /^nameserver 10\.9\.8\.3$/m);
  assertMatch(told, /^0\t0$/m);
  assertMatch(told, /^eth0\nlo$/m);
  if (ownAddress) assertMatch(told, /^[0-9.]+\thost\.containers\.internal host\.docker\.internal$/m);
  assertEquals(await host.ok("exec", "c", "cat", "/sys/class/net/eth0/mtu"), "1500");
  const inspect = (format: string) => host.ok("inspect", "--format", format, "c");
  const fields =
    "{{.HostConfig.NetworkMode}} {{.NetworkSettings.IPAddress}}/{{.NetworkSettings.IPPrefixLen}} " +
    "{{.NetworkSettings.Gateway}}";
  assertEquals(await inspect(fields), "slirp 10.9.8.100/22 10.9.8.2");
  assertEquals(
    Deno.readLinkSync(await inspect("{{.NetworkSettings.SandboxKey}}")),
    await host.ok("exec", "c", "readlink", "/proc/self/ns/net"),
  );
  await host.ok("stop", "-t", "0", "c");
  assertEquals(await inspect("[{{.NetworkSettings.IPAddress}}{{.NetworkSettings.SandboxKey}}]"), "[]");

  const hosts = await host.ok(
    ...[
      "run",
      "-q",
      "--rm",
      "--network",
      "slirp:allow_host_loopback=true",
      "--add-host",
      "machine:host-gateway",
    ],
    ...["--dns", "192.0.2.53", "--dns-search", "example.org", "--dns-option", "ndots:3"],
    ...[image, "sh", "-c", "grep machine /etc/hosts; cat /etc/resolv.conf"],
  );
  assertEquals(hosts, "10.0.2.2\tmachine\nsearch example.org\nnameserver 192.0.2.53\noptions ndots:3");
});

hostTest(
  "malformed networks are refused before there is a container",
  { needs: ["uidmap"] },
  async (host) => {
    const cases: [string, string][] = [
      ["slirp:mtu=much", `invalid mtu "much" for slirp: a number from 1280 to 65521`],
      [
        "slirp4netns:cidr=10.0.2.0/30",
        `invalid cidr "10.0.2.0/30" for slirp4netns: an IPv4 network of 1 to 25 bits, such as 10.0.2.0/24`,
      ],
      ["slirp:color=red", `unknown option for slirp: "color=red"`],
      ["host:x", `use network "host:x": the network host takes no options`],
      [
        "ns:/no/such",
        "cannot find specified network namespace path: stat /no/such: no such file or directory",
      ],
    ];
    // what only the kernel can tell: nothing of the container is left of that, either
    const unjoinable: typeof cases = [
      ["ns:/etc/passwd", "join network namespace /etc/passwd: it is no network namespace"],
      [
        "ns:/proc/self/ns/net",
        "join network namespace /proc/self/ns/net: it belongs to another user namespace, where this user has no rights",
      ],
    ];
    for (const [network, message] of [...cases, ...unjoinable]) {
      const { code, stderr } = await host.skiff(["run", "--rm", "--network", network, "host", "true"]);
      assertEquals([code, stderr.split("\n")[0]], [125, `Error: ${message}`]);
    }
    assertEquals(host.containers(), []);
  },
);

hostTest(
  "a network is joined by container and by path, and is gone with its owner",
  { needs },
  async (host) => {
    const image = await host.image();
    using server = serve("127.0.0.1");
    const network = "slirp:allow_host_loopback=true";
    await host.ok("run", "-q", "-d", "--name", "owner", "--network", network, image, "sleep", "600");
    const path = await host.ok("inspect", "--format", "{{.NetworkSettings.SandboxKey}}", "owner");
    const script = ask("10.0.2.2", server.port, "joined");
    for (const mode of ["container:owner", `ns:${path}`]) {
      const { stdout, stderr } = await host.skiff([
        "run",
        "-q",
        "--rm",
        "--network",
        mode,
        image,
        "sh",
        "-c",
        script,
      ]);
      assertEquals(stdout, "HELLO joined\n", `${mode}: ${stderr}`);
    }
    await host.ok(
      "run",
      "-q",
      "-d",
      "--name",
      "guest",
      "--network",
      "container:owner",
      image,
      "sleep",
      "600",
    );
    await host.ok("stop", "-t", "0", "owner");
    await waitFor(
      "the interface is gone",
      async () => (await host.ok("exec", "guest", "ls", "/sys/class/net")) === "lo",
    );
    assertEquals(await host.ok("exec", "guest", "sh", "-c", script), "refused joined");
    // it is tried once: what cannot join it is one container, not one for each name that could be drawn
    const late = await host.skiff(["run", "-q", "-d", "--network", "container:owner", image, "true"]);
    assertEquals(late.code, 125);
    assertIncludes(late.stderr, "it is not running, its state is exited");
    assertEquals(
      await host.ok("ps", "-a", "--format", "{{.State}}", "--filter", "status=created"),
      "created",
    );
  },
);

hostTest("a container that its policy starts again has its network again", { needs }, async (host) => {
  const image = await host.image();
  using server = serve("127.0.0.1");
  const script = `${ask("10.0.2.2", server.port, "again")}; exit 1`;
  const options = ["--restart", "on-failure:2", "--network", "slirp:allow_host_loopback=true"];
  await host.ok("run", "-q", "-d", "--name", "c", ...options, image, "sh", "-c", script);
  assertEquals(await host.ok("wait", "c"), "1");
  await waitFor(
    "three runs",
    async () => (await host.ok("logs", "c")) === "HELLO again\nHELLO again\nHELLO again",
  );
});

hostTest("without a TUN device a container has no network, which is told, unless one was asked for", {
  needs: ["uidmap", "root"],
}, async (host) => {
  const script = "mount -t tmpfs none /dev/net";
  const run = ["run", "--rm", "--network"];
  const without = await onBroken(host, { script }, "run", "--rm", "host", "ls", "/sys/class/net");
  assertEquals([without.code, without.stdout], [0, "lo\n"]);
  assertIncludes(
    without.stderr,
    "the container has no network: /dev/net/tun does not exist (modprobe tun; in a container: --device /dev/net/tun)",
  );
  const asked = await onBroken(host, { script }, ...run, "slirp", "host", "true");
  assertEquals(asked.code, 125);
  assertIncludes(asked.stderr, 'use network "slirp": /dev/net/tun does not exist');
  const none = await onBroken(host, { script }, ...run, "none", "host", "true");
  assertEquals([none.code, none.stderr], [0, ""]);
  const masked = { script: "mount --bind /dev/null /dev/net/tun" };
  const other = await onBroken(host, masked, ...run, "slirp", "host", "true");
  assertEquals(other.code, 125);
  assertIncludes(other.stderr, 'use network "slirp": /dev/net/tun is another device');
});

/** The processes of pasta or slirp4netns that serve this test's containers. */
function helpers(host: Host, program: string): number[] {
  return host.processes().filter(({ command }) => command.includes(`/${program} `)).map(({ pid }) => pid);
}

/** Without a default route pasta(1) has no addresses to copy. */
const hasRoute = /^\S+\t00000000\t/m.test(Deno.readTextFileSync("/proc/net/route"));

/** By program: what lets the container reach this machine by the gateway. */
const PROGRAMS = { slirp4netns: "allow_host_loopback=true", ...(hasRoute && { pasta: "--map-gw" }) };

for (const [program, options] of Object.entries(PROGRAMS)) {
  const isServed =
    `${program} serves a network where it is installed, and ends with the container or the monitor`;
  hostTest(isServed, { needs: [...needs, program as Need] }, async (host) => {
    const image = await host.image();
    await using server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      () => new Response("from outside"),
    );
    const network = `${program}:${options}`;
    const start = (name: string) =>
      host.ok("run", "-q", "-d", "--name", name, "--network", network, image, "sleep", "600");
    await start("first");
    const routes = await host.ok("exec", "first", "busybox", "ip", "route");
    const gateway = routes.match(/^default via (\S+)/m)?.[1];
    const url = `http://${gateway}:${server.addr.port}/`;
    assertEquals(await host.ok("exec", "first", "busybox", "wget", "-q", "-O", "-", url), "from outside");
    assertEquals(helpers(host, program).length, 1);
    await host.ok("stop", "-t", "0", "first");
    await waitFor(`${program} has ended`, () => helpers(host, program).length === 0);

    await start("second");
    const [pid] = helpers(host, program);
    const requests = host.processes().flatMap(({ command }) =>
      command.match(/--api-socket=(\S+)/)?.slice(1) ?? []
    );
    assertEquals(requests.length, program === "slirp4netns" ? 1 : 0);
    host.kill9(Number(await host.ok("inspect", "--format", "{{.State.ConmonPid}}", "second")));
    await waitFor(`${program} has ended with the monitor`, () => !isRunning(pid!));
    await host.ok("rm", "-f", "second");
    for (const path of requests) assert(!await Deno.lstat(path).then(() => true, () => false), path);
  });

  hostTest(
    `without ${program} installed its network is refused`,
    { needs: ["uidmap", "root"] },
    async (host) => {
      const script = `mount --bind /dev/null $(command -v ${program})`;
      const { code, stderr } = await onBroken(host, { script }, "run", "--network", program, "host", "true");
      assertEquals(code, 125);
      assertIncludes(stderr, `use network "${program}": the program ${program} is not installed`);
    },
  );
}

hostTest("what pasta says of its options is told", { needs: ["uidmap", "pasta"] }, async (host) => {
  const { code, stderr } = await host.skiff(["run", "--network", "pasta:--no-such-flag", "host", "true"]);
  assertEquals(code, 125);
  assertMatch(stderr, /^Error: serve the network with \/\S+\/pasta: .*no-such-flag/);
});

function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
  } catch {
    return false;
  }
}

hostTest("a Debian container updates and installs a package through the stack", {
  needs: [...needs, "debootstrap"],
}, async (host) => {
  const image = await host.image("debian");
  const repository = await makeAptRepository(await Deno.makeTempDir({ dir: host.folder }), { device: false });
  const requests: string[] = [];
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const name = new URL(request.url).pathname.split("/").at(-1)!;
    requests.push(name);
    const bytes = await Deno.readFile(`${repository}/${name}`).catch(() => null);
    return bytes ? new Response(bytes) : new Response(null, { status: 404 });
  });
  const script = `set -e
    echo 'deb [trusted=yes] http://10.0.2.2:${server.addr.port}/ ./' > /etc/apt/sources.list
    apt-get update -q && apt-get install -qy owned; owned`;
  const { code, stdout, stderr } = await host.skiff([
    ...["run", "-q", "--rm", "--network", "slirp:allow_host_loopback=true", "-e", "http_proxy="],
    ...[image, "sh", "-c", script],
  ]);
  assertEquals(code, 0, stdout + stderr);
  assertEquals(stdout.trimEnd().split("\n").at(-1), "owned runs");
  assert(requests.includes("owned.deb"), requests.join(" "));
});

/** A nameserver at an address of 127/8 that nobody else has, which knows one name. */
async function serveNames(): Promise<Disposable & { address: string; asked: string[] }> {
  const asked: string[] = [];
  for (let attempt = 0;; attempt++) {
    const numbers = crypto.getRandomValues(new Uint8Array(2));
    const address = `127.77.${numbers[0]}.${numbers[1]! % 250 + 1}`;
    const socket = createSocket("udp4");
    socket.on("message", (query, client) => {
      asked.push(client.address);
      socket.send(dnsAnswer(new Uint8Array(query), 1), client.port, client.address);
    });
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once("error", reject);
        socket.bind(53, address, resolve);
      });
      return { address, asked, [Symbol.dispose]: () => socket.close() };
    } catch (error) {
      socket.close();
      if (attempt === 20) throw error;
    }
  }
}

hostTest("names are asked of this machine's nameserver, as it is set now, and datagrams go out", {
  needs: ["uidmap", "root", "bash", "busybox"],
}, async (host) => {
  using first = await serveNames();
  using second = await serveNames();
  const resolvConf = `${host.folder}/resolv.conf`;
  await Deno.writeTextFile(resolvConf, `search example.org\nnameserver ${first.address}\n`);
  const udp = createSocket("udp4");
  udp.on("message", (text, client) => udp.send(`HELLO ${text}`, client.port, client.address));
  await new Promise<void>((resolve) => udp.bind(0, "127.0.0.1", resolve));
  using _ = { [Symbol.dispose]: () => udp.close() };
  const { port } = udp.address();
  // a resolver that waited for too long on a loaded machine asks again
  const script = `grep search /etc/resolv.conf
    until busybox nslookup -type=a one.test | grep -q '^Address: 192.0.2.0$'; do sleep 0.1; done
    exec 3<>/dev/udp/10.0.2.2/${port}; echo datagram >&3; head -n 1 <&3
    touch /tmp/shared/asked
    until [ -e /tmp/shared/changed ]; do busybox nslookup -type=a two.test >/dev/null; sleep 0.1; done`;
  const shared = `${host.home}/shared`;
  await Deno.mkdir(shared);
  await host.own(shared);
  const change = async () => {
    await waitFor("the first nameserver was asked", () => exists(`${shared}/asked`));
    await Deno.writeTextFile(resolvConf, `nameserver ${second.address}\n`);
    await waitFor("the second nameserver is asked", () => second.asked.length > 0);
    await Deno.writeTextFile(`${shared}/changed`, "");
  };
  const run = ["run", "--rm", "--network", "slirp:allow_host_loopback=true", "-v", `${shared}:/tmp/shared`];
  const [{ code, stdout, stderr }] = await Promise.all([
    onBroken(
      host,
      { script: `mount --bind ${resolvConf} /etc/resolv.conf` },
      ...run,
      "host",
      "bash",
      "-c",
      script,
    ),
    change(),
  ]);
  assertEquals([code, stdout], [0, "search example.org\nHELLO datagram\n"], stderr);
  assertEquals(first.asked[0], "127.0.0.1");
});

function exists(path: string): boolean {
  try {
    return Deno.lstatSync(path).isFile;
  } catch {
    return false;
  }
}

hostTest("a nested user namespace has the same network", { needs }, async (host) => {
  const image = await host.image();
  using server = serve("127.0.0.1");
  const script = `ls /sys/class/net; ${ask("10.0.2.2", server.port, "nested")}`;
  for (const userns of ["keep-id", "nomap", "auto"]) {
    const { code, stdout, stderr } = await host.skiff([
      ...["run", "-q", "--rm", "--userns", userns, "--network", "slirp:allow_host_loopback=true"],
      ...[image, "sh", "-c", script],
    ]);
    assertEquals([code, stdout], [0, "eth0\nlo\nHELLO nested\n"], `${userns}: ${stderr}`);
  }
});

hostTest(
  "as root the default network is the same",
  { asRoot: true, needs: ["root", "busybox", "registry"] },
  async (host) => {
    const image = await host.image();
    using server = serve("127.0.0.1");
    const script = `ls /sys/class/net; ${ask("10.0.2.2", server.port, "root")}`;
    const refused = await host.skiff(["run", "-q", "--rm", image, "sh", "-c", script]);
    assertEquals([refused.code, refused.stdout], [0, "eth0\nlo\nrefused root\n"], refused.stderr);
    const network = "slirp:allow_host_loopback=true";
    const allowed = await host.skiff(["run", "-q", "--rm", "--network", network, image, "sh", "-c", script]);
    assertEquals([allowed.code, allowed.stdout], [0, "eth0\nlo\nHELLO root\n"], allowed.stderr);
  },
);
