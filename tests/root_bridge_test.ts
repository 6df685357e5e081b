/**
 * Bridges of root: interfaces, routes and rules of a machine, which here is a network namespace of the test's with a wire
 * to another one, the world. Who must not be reached is reached by somebody who may.
 */

import { assert, assertEquals, assertIncludes, type Host, hostTest, type Need, waitFor } from "./harness.ts";
import type { Ruleset } from "./nftables_probe.ts";

const NEEDS: Need[] = ["root", "busybox", "iproute2", "python3"];
const OPTIONS = { asRoot: true, needs: NEEDS };

/** The machine's own programs. */
const IMAGE = "host";

/** The machine is 192.0.2.1 and 2001:db8::1 on the wire, the world .2 and ::2. It ends with its input. */
const STAGE = `
mount -t tmpfs tmpfs /run && ip link set lo up || exit 1
for file in ipv4/ip_forward ipv6/conf/all/forwarding; do echo 0 >/proc/sys/net/$file; done
unshare -n sleep 1000 & world=$!
until [ "$(readlink /proc/$world/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; done
ip link add wire type veth peer name far netns $world && ip link set wire up
ip address add 192.0.2.1/24 dev wire; ip address add 2001:db8::1/64 dev wire nodad
nsenter --net=/proc/$world/ns/net sh -c 'ip link set lo up; ip link set far up
  ip address add 192.0.2.2/24 dev far; ip address add 2001:db8::2/64 dev far nodad'
echo "ready $$ $world"; read end; kill $world
`;

/** Answers "NAME ADDRESS": who asks sees as whom it came. TCP and UDP of both IP versions. */
const SERVER = `
import socket, sys, threading
def text(peer): return (sys.argv[1] + " " + peer[0].replace("::ffff:", "") + "\\n").encode()
udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
udp.bind(("::", 80))
def datagrams():
    while True:
        _, peer = udp.recvfrom(2000)
        udp.sendto(text(peer), peer)
threading.Thread(target=datagrams, daemon=True).start()
tcp = socket.create_server(("::", 80), family=socket.AF_INET6, dualstack_ipv6=True)
print("up", flush=True)
while True:
    connection, peer = tcp.accept()
    connection.sendall(text(peer))
    connection.close()
`;

/** What comes of ADDRESS PORT by tcp or udp; a dash where nothing does. */
const CLIENT = `
import socket, sys
kind, address, port = sys.argv[1:]
try:
    family, _, _, _, to = socket.getaddrinfo(address, int(port))[0]
    for attempt in range(4 if kind == "udp" else 1):
        s = socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
        s.settimeout(20 if kind == "tcp" else 3)
        s.connect(to)
        if kind == "udp": s.send(b"?")
        try: answer = s.recv(2000)
        except TimeoutError: continue
        print(answer.decode().strip())
        break
    else: print("-")
except OSError: print("-")
`;

/**
 * Few kernels have SCTP sockets: the packets that begin an association, made by hand. `serve` answers INIT with INIT ACK;
 * `ask ADDRESS PORT` prints from where that came.
 *
 * @see RFC 9260, 3.3.2
 */
const SCTP = `
import socket, struct, sys
def crc32c(data):
    value = 0xffffffff
    for byte in data:
        value ^= byte
        for _ in range(8): value = (value >> 1) ^ (0x82f63b78 if value & 1 else 0)
    return value ^ 0xffffffff
def packet(source, destination, tag, kind):
    head = struct.pack("!HHI", source, destination, tag)
    chunk = struct.pack("!BBHIIHHI", kind, 0, 20, 1, 65536, 1, 1, 1)
    return head + struct.pack("<I", crc32c(head + bytes(4) + chunk)) + chunk
def receive():
    data, peer = s.recvfrom(2000)
    source, destination = struct.unpack_from("!HH", data, (data[0] & 15) * 4)
    return source, destination, peer[0]
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 132)
if sys.argv[1] == "serve":
    print("up", flush=True)
    while True:
        source, destination, peer = receive()
        print(destination, peer, flush=True)
        s.sendto(packet(destination, source, 1, 2), (peer, 0))
s.settimeout(3)
for attempt in range(10):
    s.sendto(packet(5000, int(sys.argv[3]), 0, 1), (sys.argv[2], 0))
    try: source, destination, peer = receive()
    except TimeoutError: continue
    if destination == 5000:
        print(peer, source)
        break
`;

class Stage {
  constructor(readonly host: Host, readonly machine: string, readonly world: string) {}

  /** Gives what the command prints, on the machine. */
  async on(side: "machine" | "world", ...command: string[]): Promise<string> {
    const place = side === "machine"
      ? ["--target", this.machine, "--net", "--mount"]
      : ["--target", this.world, "--net"];
    const { stdout, stderr, code } = await this.host.program([
      "/usr/bin/nsenter",
      ...place,
      "--",
      ...command,
    ]);
    if (code !== 0) throw new Error(`${command.join(" ")} exited with ${code}: ${stderr}${stdout}`);
    return stdout.trim();
  }

  skiff(...args: string[]): Promise<string> {
    return this.on("machine", this.host.binary, ...args);
  }

  async serve(name: string, network: string, ...options: string[]): Promise<void> {
    const words = ["--name", name, "--network", network, ...options, IMAGE, "python3", "-c", SERVER, name];
    await this.skiff("run", "-q", "-d", ...words);
    await waitFor(`${name} listens`, async () => (await this.skiff("logs", name)).includes("up"));
  }

  /** The other side of the machine answers at port 80, until this is disposed of. */
  async serveWorld(): Promise<Disposable> {
    const words = ["/usr/bin/nsenter", "--target", this.world, "--net", "/usr/bin/python3", "-c", SERVER];
    const world = this.host.spawnProgram([...words, "world"]);
    await waitFor(
      "the world listens",
      async () => await this.ask("machine", "192.0.2.2", 80) === "world 192.0.2.1",
    );
    return { [Symbol.dispose]: () => world.child.kill("SIGKILL") };
  }

  ask(side: "machine" | "world", address: string, port: number, kind = "tcp"): Promise<string> {
    return this.on(side, "/usr/bin/python3", "-c", CLIENT, kind, address, String(port));
  }

  askFrom(container: string, address: string, port: number, kind = "tcp"): Promise<string> {
    return this.skiff("exec", container, "python3", "-c", CLIENT, kind, address, String(port));
  }

  field(path: string, name: string): Promise<string> {
    return this.skiff("inspect", "-f", `{{.NetworkSettings.Networks.${path}}}`, name);
  }

  async probe(...args: string[]): Promise<string> {
    const path = new URL("nftables_probe.ts", import.meta.url).pathname;
    const flags = ["--no-check", "--no-config", "--v8-flags=--single-threaded"];
    return await this.on("machine", Deno.execPath(), "run", "-A", ...flags, path, ...args);
  }

  async rules(): Promise<Ruleset> {
    return JSON.parse(await this.probe("list"));
  }

  /** Names of interfaces, and what says whether the machine forwards. */
  async state(): Promise<string> {
    const files = ["ipv4/ip_forward", "ipv6/conf/all/forwarding"].map((file) => `/proc/sys/net/${file}`);
    const links = (await this.on("machine", "ip", "-o", "link")).split("\n").map((line) =>
      line.split(": ")[1]
    );
    return [...links, ...(await this.on("machine", "cat", ...files)).split("\n"), ...(await this.files())]
      .join(" ");
  }

  /** Of the holder: sockets, locks, and what was written down of changes of the machine. */
  async files(): Promise<string[]> {
    return (await this.on("machine", "ls", "/run/skiff")).split("\n").filter((name) => name.startsWith("n-"));
  }

  holders(): number[] {
    return this.host.processes().filter(({ command }) => command.startsWith("skiff: networks"))
      .map(({ pid }) => pid);
  }
}

async function onStage(host: Host, test: (stage: Stage) => Promise<void>): Promise<void> {
  const running = host.spawnProgram(["/usr/bin/unshare", "-n", "-m", "/bin/sh", "-c", STAGE]);
  try {
    await waitFor("the stage", () => running.output.stdout.includes("ready "));
    const [, machine, world] = running.output.stdout.trim().split(" ");
    const stage = new Stage(host, machine!, world!);
    try {
      await test(stage);
    } finally {
      await stage.skiff("rm", "-f", "-t", "0", "-a");
    }
  } finally {
    await running.stdin.close();
    await running.result;
  }
}

hostTest("as root, ports of a bridge lead to the container, which sees the client", OPTIONS, async (host) => {
  await onStage(host, async (stage) => {
    await stage.skiff("network", "create", "--ipv6", "front");
    await stage.skiff("network", "create", "back");
    await stage.serve("web", "front", "-p", "8080:80", "-p", "8080:80/udp", "-p", "127.0.0.1:8081:80");
    // no address of IPv6: who comes by it comes by the listener
    await stage.serve("old", "back", "-p", "8082:80");
    const [gateway, gateway6] = [
      await stage.field("front.Gateway", "web"),
      await stage.field("front.IPv6Gateway", "web"),
    ];
    for (const kind of ["tcp", "udp"]) {
      assertEquals(await stage.ask("world", "192.0.2.1", 8080, kind), "web 192.0.2.2", kind);
      assertEquals(await stage.ask("world", "2001:db8::1", 8080, kind), "web 2001:db8::2", kind);
      assertEquals(await stage.ask("machine", "192.0.2.1", 8080, kind), "web 192.0.2.1", kind);
      assertEquals(await stage.ask("machine", "2001:db8::1", 8080, kind), "web 2001:db8::1", kind);
      // nothing comes back to a loopback address
      assertEquals(await stage.ask("machine", "127.0.0.1", 8080, kind), `web ${gateway}`, kind);
      assertEquals(await stage.ask("machine", "::1", 8080, kind), `web ${gateway6}`, kind);
    }
    assertEquals(await stage.ask("machine", "127.0.0.1", 8081), `web ${gateway}`);
    assertEquals(await stage.ask("world", "192.0.2.1", 8081), "-");
    assertEquals(await stage.ask("world", "192.0.2.1", 8082), "old 192.0.2.2");
    assertEquals(
      await stage.ask("world", "2001:db8::1", 8082),
      `old ${await stage.field("back.Gateway", "old")}`,
    );

    // others of this machine's containers, and it itself, ask at the same address
    assertEquals(await stage.askFrom("old", "192.0.2.1", 8080), `web ${gateway}`);
    assertEquals(await stage.askFrom("web", "192.0.2.1", 8080), `web ${gateway}`);
    await stage.skiff("update", "--publish-add", "8083:80", "old");
    assertEquals(await stage.ask("world", "192.0.2.1", 8083), "old 192.0.2.2");
    await stage.skiff("update", "--publish-rm", "8083:80", "old");
    // the process that holds the bridges hears of it from the monitor, which does not wait for it
    await waitFor("the port's end", async () => await stage.ask("world", "192.0.2.1", 8083) === "-");
    // with the network that has the default route its address goes
    const script = CLIENT.replace("s.connect(to)", 's.bind(("", 5555)); s.connect(to)');
    // from one port again and again: a flow that is known
    const askAgain = () => stage.on("world", "/usr/bin/python3", "-c", script, "udp", "192.0.2.1", "8080");
    assertEquals(await askAgain(), "web 192.0.2.2");
    await stage.skiff("network", "connect", "back", "web");
    await stage.skiff("network", "disconnect", "front", "web");
    assertEquals(await stage.ask("world", "192.0.2.1", 8080), "web 192.0.2.2");
    assertEquals(await askAgain(), "web 192.0.2.2");
  });
});

hostTest("as root, a bridge passes on SCTP", OPTIONS, async (host) => {
  await onStage(host, async (stage) => {
    await stage.skiff("network", "create", "front");
    const run = (name: string, ...options: string[]) =>
      stage.skiff(
        ...[
          "run",
          "-q",
          "-d",
          "--name",
          name,
          "--network",
          "front",
          "--cap-add",
          "net_raw",
          ...options,
          IMAGE,
        ],
        ...["python3", "-c", SCTP, "serve"],
      );
    await run("web", "-p", "9080:80/sctp");
    await waitFor("it listens", async () => (await stage.skiff("logs", "web")).includes("up"));
    const ask = (port: number) =>
      stage.on("world", "/usr/bin/python3", "-c", SCTP, "ask", "192.0.2.1", String(port));
    assertEquals(await ask(9080), "192.0.2.1 9080");
    assertIncludes(await stage.skiff("logs", "web"), "80 192.0.2.2");
    assertEquals(await stage.skiff("port", "web"), "80/sctp -> 0.0.0.0:9080");
    const refusal = async (...options: string[]) => await run("other", ...options).then(() => "", String);
    assertIncludes(
      await refusal("-p", "9080:80/sctp"),
      'publish port 0.0.0.0:9080/sctp: address already in use by container "web"\n',
    );
    assertIncludes(
      await refusal("-p", "127.0.0.1:9081:80/sctp"),
      "publish port 127.0.0.1:9081/sctp: the rules that pass SCTP on are not for the loopback\n",
    );
    await stage.skiff("update", "--publish-add", "9082:80/sctp", "--publish-rm", "9080:80/sctp", "web");
    assertEquals(await ask(9082), "192.0.2.1 9082");
    await run("other", "-p", "9080:80/sctp");
  });
});

hostTest(
  "as root, members are apart and connections keep their source where docker's options say so",
  OPTIONS,
  async (host) => {
    await onStage(host, async (stage) => {
      using _world = await stage.serveWorld();
      const bridge = "com.docker.network.bridge";
      const options = [`${bridge}.enable_icc=false`, `${bridge}.enable_ip_masquerade=false`];
      await stage.skiff("network", "create", ...options.flatMap((option) => ["-o", option]), "apart");
      await stage.skiff("network", "create", "shared");
      await stage.serve("one", "apart", "-p", "8080:80");
      await stage.serve("two", "apart", "--cap-add", "NET_ADMIN");
      for (const name of ["one", "two"]) await stage.skiff("network", "connect", "shared", name);
      const [address, gateway, own, shared] = await Promise.all([
        stage.field("apart.IPAddress", "one"),
        stage.field("apart.Gateway", "one"),
        stage.field("apart.IPAddress", "two"),
        stage.field("shared.IPAddress", "one"),
      ]);
      // the same two, by a network whose members are not kept apart
      assertEquals(
        await stage.askFrom("two", shared, 80),
        `one ${await stage.field("shared.IPAddress", "two")}`,
      );
      assertEquals(await stage.askFrom("two", address, 80), "-");
      assertEquals(await stage.ask("world", "192.0.2.1", 8080), "one 192.0.2.2");
      await stage.skiff("exec", "two", "ip", "route", "add", address, "via", gateway);
      assertEquals(await stage.askFrom("two", address, 80), "-");

      // the world has no way back until it is told one
      await stage.on("world", "ip", "route", "add", own, "via", "192.0.2.1");
      assertEquals(await stage.askFrom("two", "192.0.2.2", 80), `world ${own}`);
    });
  },
);

hostTest("as root, bridges are apart, and lead out under this machine's address", OPTIONS, async (host) => {
  await onStage(host, async (stage) => {
    using _world = await stage.serveWorld();
    await stage.skiff("network", "create", "--ipv6", "front");
    await stage.skiff("network", "create", "--ipv6", "back");
    await stage.skiff("network", "create", "--internal", "inner");
    await stage.serve("web", "front", "-p", "8080:80");
    await stage.serve("db", "back");
    await stage.serve("spy", "inner", "--cap-add", "NET_ADMIN");
    for (const kind of ["tcp", "udp"]) {
      assertEquals(await stage.askFrom("db", "192.0.2.2", 80, kind), "world 192.0.2.1", kind);
      assertEquals(await stage.askFrom("db", "2001:db8::2", 80, kind), "world 2001:db8::1", kind);
    }
    const address = await stage.field("front.IPAddress", "web");
    const address6 = await stage.field("front.GlobalIPv6Address", "web");
    const gateway = await stage.field("front.Gateway", "web");
    assertEquals(await stage.ask("machine", address, 80), `web ${gateway}`);
    assertEquals(await stage.askFrom("web", "web", 80), `web ${address6}`);
    for (const other of [address, address6, "web.dns.podman"]) {
      assertEquals(await stage.askFrom("db", other, 80), "-", other);
    }
    // only by what is published, whatever way is known
    await stage.on("world", "ip", "route", "add", address, "via", "192.0.2.1");
    assertEquals(await stage.ask("world", address, 80), "-");
    assertEquals(await stage.ask("world", "192.0.2.1", 8080), "web 192.0.2.2");
    // who is strictly isolated does not even reach what is published
    await stage.skiff("network", "create", "--opt", "isolate=strict", "hermits");
    await stage.serve("hermit", "hermits");
    assertEquals(await stage.askFrom("hermit", "192.0.2.2", 80), "world 192.0.2.1");
    assertEquals(await stage.askFrom("hermit", "192.0.2.1", 8080), "-");
    assertEquals(await stage.askFrom("db", "192.0.2.1", 8080), `web ${gateway}`);
    // another network's gateway is nobody's
    const ping = (container: string, to: string, seconds = 20) => {
      const script = `busybox ping -c 1 -W ${seconds} ${to} >/dev/null 2>&1; echo $?`;
      return stage.skiff("exec", container, "sh", "-c", script);
    };
    assertEquals([await ping("web", gateway), await ping("db", gateway, 1)], ["0", "1"]);

    // what is internal stays so where somebody knows a way
    const inner = await stage.field("inner.Gateway", "spy");
    await stage.skiff("exec", "spy", "ip", "route", "add", "default", "via", inner);
    assertEquals(await ping("spy", inner), "0");
    for (const [to, port] of [["192.0.2.2", 80], ["192.0.2.1", 8080], [address, 80]] as const) {
      assertEquals(await stage.askFrom("spy", to, port), "-", to);
    }
    // nor in another's name
    await stage.skiff("exec", "spy", "ip", "route", "del", "default");
    await stage.skiff("network", "connect", "back", "spy");
    assertEquals(await stage.askFrom("spy", "192.0.2.2", 80), "world 192.0.2.1");
    assertEquals(
      await stage.askFrom("spy", "db", 80),
      `db ${await stage.field("back.GlobalIPv6Address", "spy")}`,
    );
    assertEquals(await stage.askFrom("spy", address, 80), "-");
  });
});

hostTest(
  "as root, of bridges nothing is left on the machine, and nothing of others is touched",
  OPTIONS,
  async (host) => {
    await onStage(host, async (stage) => {
      await stage.probe("make", "other");
      await stage.skiff("network", "create", "--ipv6", "front");
      const [before, state] = [await stage.rules(), await stage.state()];
      assertEquals(before.tables, ["other"]);
      assert(state.endsWith(" 0 0"), state);
      const isAsBefore = async () => await stage.state() === state;
      await stage.serve("one", "front", "-p", "8080:80");
      const made = await stage.rules();
      assertEquals([made.tables, made.rules.other], [["other", "skiff"], before.rules.other!]);
      assertIncludes(await stage.state(), " 1 1 ");
      await stage.skiff("rm", "-f", "-t", "0", "one");
      await waitFor("the machine is as before", isAsBefore);
      assertEquals(await stage.rules(), before);

      // who holds them is killed, and made again; then all are
      await stage.serve("one", "front", "-p", "8080:80");
      await stage.serve("two", "front", "-p", "8081:80");
      const rules = await stage.rules();
      for (let round = 0; round < 2; round++) {
        await waitFor("one holder", () => stage.holders().length === 1);
        const [holder] = stage.holders();
        host.kill9(holder!);
        await waitFor("another holder", () => stage.holders().some((pid) => pid !== holder));
        await waitFor("names again", async () => (await stage.askFrom("two", "one", 80)).startsWith("one "));
        assertEquals(await stage.ask("world", "192.0.2.1", 8080), "one 192.0.2.2");
        assertEquals(await stage.ask("world", "192.0.2.1", 8081), "two 192.0.2.2");
        assertEquals(
          await stage.ask("machine", "::1", 8081),
          `two ${await stage.field("front.IPv6Gateway", "two")}`,
        );
      }
      assertEquals(await stage.rules(), rules, "nothing had to be made again");
      // somebody else's `flush ruleset`
      await stage.probe("delete", "skiff");
      await stage.skiff("network", "reload", "one");
      assertEquals((await stage.rules()).tables, ["other", "skiff"]);
      assertEquals(await stage.ask("world", "192.0.2.1", 8081), "two 192.0.2.2");
      const monitors = ["one", "two"].map((name) =>
        host.processes().find(({ command }) => command.startsWith(`skiff: ${name}`))!
      );
      const [holder] = stage.holders();
      // it would see that nobody is left, and clean up
      Deno.kill(holder!, "SIGSTOP");
      for (const { pid } of monitors) host.kill9(pid);
      host.kill9(holder!);
      await waitFor(
        "all are gone",
        () => host.processes().every(({ command }) => !command.startsWith("skiff: ")),
      );
      assert(!await isAsBefore(), "there is something to remove");
      await stage.skiff("rm", "-f", "-a");
      await waitFor("the machine is as before", isAsBefore);
      assertEquals(await stage.rules(), before);
    });
  },
);

hostTest("as root, a bridge believes no router, whatever it is called", OPTIONS, async (host) => {
  await onStage(host, async (stage) => {
    const [name, files] = ["a$&b", ["ipv6/conf/NAME/accept_ra", "ipv4/conf/NAME/send_redirects"]];
    const path = (file: string, of: string) => `/proc/sys/net/${file.replace("NAME", () => of)}`;
    // control: others are born otherwise
    for (const file of files) await stage.on("machine", "sh", "-c", `echo 1 >${path(file, "default")}`);
    await stage.on("machine", "ip", "link", "add", "other", "type", "bridge");
    await stage.skiff("network", "create", "--ipv6", "--interface-name", name, "odd");
    await stage.serve("one", "odd");
    for (const file of files) {
      const [other, own] = (await stage.on("machine", "cat", path(file, "other"), path(file, name))).split(
        "\n",
      );
      assertEquals([file, other === "0", own], [file, false, "0"]);
    }
  });
});

hostTest("as root, a bridge takes nobody's interface and nobody's port 53", OPTIONS, async (host) => {
  await onStage(host, async (stage) => {
    await stage.on("machine", "ip", "link", "add", "skiff1", "type", "bridge");
    await stage.skiff("network", "create", "--interface-name", "wire", "wired");
    await stage.skiff("network", "create", "--interface-name", "skiff1", "bridged");
    await stage.skiff("network", "create", "front");
    const before = await stage.state();
    const refused = async (...options: string[]) => {
      const command = [host.binary, "run", "-q", "--rm", ...options, IMAGE, "true"].join(" ");
      return await stage.on("machine", "sh", "-c", `${command} 2>&1; test $? = 125`);
    };
    for (const [network, name] of [["wired", "wire"], ["bridged", "skiff1"]] as const) {
      assertIncludes(
        await refused("--network", network),
        `Error: join network ${network}: there is an interface ${name} already`,
      );
    }
    assertIncludes(
      await refused("--network", "front:host_interface_name=wire"),
      "Error: join network front: there is an interface wire already",
    );
    await waitFor("nothing has changed", async () => await stage.state() === before);
    // a nameserver of the machine's that has all addresses
    const listen = "import socket; s=socket.socket(type=socket.SOCK_DGRAM); s.bind(('0.0.0.0',53)); " +
      "print(s.getsockname(), flush=True); s.recv(9)";
    const taken = host.spawnProgram([
      "/usr/bin/nsenter",
      "--target",
      stage.machine,
      "--net",
      "/usr/bin/python3",
      "-c",
      listen,
    ]);
    try {
      await waitFor("port 53 is taken", () => taken.output.stdout.includes("53"));
      await stage.serve("one", "front");
      assertEquals(
        await stage.askFrom("one", "one", 80),
        `one ${await stage.field("front.IPAddress", "one")}`,
      );
      // whoever comes from another machine, as it were, has nothing of these
      const command =
        `unshare -n ${host.binary} run -q --rm --network front ${IMAGE} true 2>&1; test $? = 125`;
      assertEquals(
        await stage.on("machine", "sh", "-c", command),
        "Error: join networks: the bridges are in another network namespace",
      );
    } finally {
      taken.child.kill("SIGKILL");
      await taken.result;
    }
  });
});
