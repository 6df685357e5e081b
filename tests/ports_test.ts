/** Published ports from the host's side: who reaches what, who is seen inside, what is refused, what is kept. */

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
import { createSocket } from "node:dgram";
import { busyboxEntries } from "./images.ts";

const NEEDS = { needs: ["registry", "busybox", "uidmap"] as Need[] };

/** A web server whose one page is the client's address as it sees it, and a word. */
const server = (port: number, word = "") =>
  `mkdir -p /tmp/${port}/cgi-bin; cd /tmp/${port}/cgi-bin; ` +
  `printf '#!/bin/sh\\necho; echo $REMOTE_ADDR ${word}' >who; chmod +x who; httpd -f -p ${port} -h /tmp/${port}`;

/** They end with their shell, which is the first process. */
const serving = (...servers: string[]) => `${servers.map((one) => `(${one}) & `).join("")} wait`;

/** Runs a container in the background that serves this. */
async function serve(host: Host, name: string, options: string[], ...servers: string[]): Promise<void> {
  const script = serving(...servers);
  await host.ok("run", "-q", "-d", "--name", name, ...options, await host.image(), "sh", "-c", script);
}

/** What the server says; undefined where nobody answers. */
async function ask(port: number, hostname = "127.0.0.1"): Promise<string | undefined> {
  try {
    using conn = await Deno.connect({ hostname, port });
    await conn.write(new TextEncoder().encode("GET /cgi-bin/who HTTP/1.0\r\n\r\n"));
    let text = "";
    const decoder = new TextDecoder();
    const buffer = new Uint8Array(4096);
    for (let count = await conn.read(buffer); count !== null; count = await conn.read(buffer)) {
      text += decoder.decode(buffer.subarray(0, count));
    }
    return /\r?\n\r?\n(.+)/.exec(text)?.[1]?.trim();
  } catch (error) {
    const { ConnectionRefused, ConnectionReset, BrokenPipe } = Deno.errors;
    if ([ConnectionRefused, ConnectionReset, BrokenPipe].some((kind) => error instanceof kind)) {
      return undefined;
    }
    throw error;
  }
}

const answer = (port: number, hostname?: string) => waitFor("the server answers", () => ask(port, hostname));

/** The client's address as plain IPv4 where it is that. */
function clientOf(text: string): string {
  const [, address = ""] = /^\[?(?:::ffff:)?([0-9a-f.:]+?)\]?(?: |$)/.exec(text) ?? [];
  return address;
}

/** Where `skiff port` says that a port is published. */
async function published(host: Host, name: string, port: string): Promise<number> {
  return Number((await host.ok("port", name, port)).split("\n")[0]!.replace(/.*:/, ""));
}

/** An address of this machine that is not loopback. */
function ownAddress(family: "IPv4" | "IPv6"): string | undefined {
  return Deno.networkInterfaces().find((one) =>
    one.family === family && !/^(127\.|::1$|fe80)/.test(one.address) && one.netmask !== "255.255.255.255"
  )?.address;
}

/** The address of the interface with `ownAddress` on its link, with its zone: others may come and go. */
function linkLocalAddress(): string | undefined {
  const all = Deno.networkInterfaces();
  const name = all.find(({ address }) => address === ownAddress("IPv4"))?.name;
  const found = all.find((one) => one.name === name && one.address.startsWith("fe80:"));
  return found && `${found.address}%${found.name}`;
}

/**
 * A loopback address of the test's own: whatever port is free there stays free between two binds of it, as nobody else's
 * connections have an address there.
 */
function loopback(): string {
  const [a, b] = crypto.getRandomValues(new Uint8Array(2));
  return `127.${1 + a! % 250}.${b}.${1 + b! % 250}`;
}

const hasIpv6 = Deno.networkInterfaces().some(({ address }) => address === "::1");

async function refused(host: Host, ...words: string[]): Promise<string> {
  const { code, stderr } = await host.skiff(words);
  assertEquals(code, 125, stderr);
  return stderr;
}

hostTest("a published port leads to the program, which sees who calls", NEEDS, async (host) => {
  const options = ["-p", "80", "-p", "0.0.0.0::82", "--expose", "81", "-P"];
  await serve(host, "web", options, server(80), server(81, "exposed"), server(82));
  const port = await published(host, "web", "80/tcp");
  // this machine itself is the gateway inside: a program that trusts 127.0.0.1 must not trust all (CVE-2021-20199)
  assertEquals(clientOf(await answer(port)), "10.0.2.2");
  if (hasIpv6) assertEquals(clientOf(await answer(port, "::1")), "fd00::2");
  // an address of the network inside would be somebody else there
  const own = ownAddress("IPv4");
  if (own) assertEquals(clientOf(await answer(port, own)), own.startsWith("10.0.2.") ? "10.0.2.2" : own);
  const own6 = ownAddress("IPv6");
  if (own6) assertEquals(clientOf(await answer(port, own6)), own6.startsWith("fd00::") ? "fd00::2" : own6);
  assertMatch(await answer(await published(host, "web", "81")), /exposed$/);
  await answer(await published(host, "web", "82"));
});

/** Answers each datagram with its sender's address. */
const UDP_SERVER = `
import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(("::", 53))
while True:
    data, client = s.recvfrom(65535)
    s.sendto(client[0].encode() + b" " + data, client)
`;

/** Sends a datagram until it is answered, from the address that it went to: others are not received. */
async function askUdp(port: number, hostname: string, text: string): Promise<string> {
  const client = createSocket(hostname.includes(":") ? "udp6" : "udp4");
  let heard: string | undefined;
  client.on("message", (data) => heard = data.toString());
  client.on("error", () => {}); // refused, as long as nobody listens
  try {
    await new Promise<void>((resolve) => client.connect(port, hostname, resolve));
    return await waitFor("a datagram is answered", async () => {
      client.send(text);
      await new Promise((resolve) => setTimeout(resolve, 20));
      return heard;
    });
  } finally {
    client.close();
  }
}

hostTest("a published UDP port leads to the program, which sees who sends", {
  needs: ["uidmap", "python3"],
}, async (host) => {
  await host.ok("run", "-d", "--name", "dns", "-p", "53/udp", "host", "python3", "-c", UDP_SERVER);
  const port = await published(host, "dns", "53/udp");
  assertEquals(await askUdp(port, "127.0.0.1", "one"), "::ffff:10.0.2.2 one");
  if (hasIpv6) assertEquals(await askUdp(port, "::1", "two"), "fd00::2 two");
  const own = ownAddress("IPv4");
  const seen = own?.startsWith("10.0.2.") ? "10.0.2.2" : own;
  if (own) assertEquals(await askUdp(port, own, "three"), `::ffff:${seen} three`);
  const link = linkLocalAddress();
  if (link) assertEquals(await askUdp(port, link, "link"), "fd00::2 link");
  const large = "x".repeat(8000);
  assertEquals(await askUdp(port, "127.0.0.1", large), `::ffff:10.0.2.2 ${large}`);
  // live: another port of the host leads there as well, and the first no more
  await host.ok("update", "--publish-add", "127.0.0.1::53/udp", "--publish-rm", `${port}:53/udp`, "dns");
  const other = await published(host, "dns", "53/udp");
  assertEquals(await askUdp(other, "127.0.0.1", "four"), "::ffff:10.0.2.2 four");
  const { code, stderr } = await host.skiff([
    "run",
    "--rm",
    "-p",
    `127.0.0.1:${other}:1/udp`,
    "host",
    "true",
  ]);
  assertEquals(code, 125);
  assertIncludes(stderr, `publish port 127.0.0.1:${other}/udp: address already in use by container "dns"\n`);
});

hostTest(
  "each form of --publish is shown by port, ps and inspect, and by its filters",
  NEEDS,
  async (host) => {
    const image = await host.makeImage({
      layers: [{ entries: busyboxEntries() }],
      config: { Env: ["PATH=/bin"], ExposedPorts: { "90/tcp": {}, "91-92/udp": {}, "x": {} } },
    });
    const options = "-p 127.0.0.1::80 -p 81-82 -p 127.0.0.1::80/udp --expose 93 -P".split(" ");
    await host.ok("create", "-q", "--name", "c", ...options, image, "true");
    const [{ NetworkSettings, HostConfig, Config }] = JSON.parse(await host.ok("inspect", "c"));
    assertEquals(
      Object.keys(NetworkSettings.Ports).sort(),
      ["80/tcp", "80/udp", "81/tcp", "82/tcp", "90/tcp", "91/udp", "92/udp", "93/tcp"],
    );
    assertEquals(HostConfig.PortBindings, NetworkSettings.Ports);
    assertEquals(Object.keys(Config.ExposedPorts).sort(), Object.keys(NetworkSettings.Ports).sort());
    const [{ HostIp, HostPort }] = NetworkSettings.Ports["80/tcp"];
    assertEquals(HostIp, "127.0.0.1");
    assertIncludes(await host.ok("ps", "-a", "--format", "{{.Ports}}"), `127.0.0.1:${HostPort}->80/tcp`);
    const listed = (filter: string) => host.ok("ps", "-a", "--filter", filter, "--format", "{{.Names}}");
    assertEquals(await listed(`publish=${HostPort}`), "c");
    assertEquals(await listed("publish=1"), "");
    assertEquals(await listed("expose=91/udp"), "c");
    assertEquals(await host.ok("port", "c"), "", "one that does not run has none");

    await host.ok("create", "-q", "--name", "d", "--expose", "93-94/udp", image, "true");
    assertEquals(await host.ok("ps", "-a", "-n", "1", "--format", "{{.Ports}}"), "90/tcp, 91-94/udp");
    assertEquals(JSON.parse(await host.ok("inspect", "d"))[0].NetworkSettings.Ports, {
      ...{ "90/tcp": null, "91/udp": null, "92/udp": null, "93/udp": null, "94/udp": null },
    });
  },
);

hostTest(
  "a range leads to a range, and a range for one port gives the first that is free",
  NEEDS,
  async (host) => {
    const [address, first] = [loopback(), 10_000 + Math.floor(Math.random() * 20_000)];
    await serve(
      host,
      "c",
      ["-p", `${address}:${first}-${first + 2}:80-82`],
      ...[80, 81, 82].map((port) => server(port, `at ${port}`)),
    );
    assertEquals(
      await host.ok("ps", "--format", "{{.Ports}}"),
      `${address}:${first}-${first + 2}->80-82/tcp`,
    );
    for (const at of [0, 1, 2]) assertMatch(await answer(first + at, address), new RegExp(`at ${80 + at}$`));
    const any = `${address}:${first}-${first + 200}:80`;
    await host.ok("run", "-q", "-d", "--name", "d", "-p", any, await host.image(), "sleep", "1000");
    assert(await published(host, "d", "80") > first + 2);
  },
);

hostTest("a port that is taken is told with who has it, and nothing is left", NEEDS, async (host) => {
  const [image, address] = [await host.image(), loopback()];
  await serve(host, "web", ["-p", `${address}::80`], server(80));
  const port = await published(host, "web", "80");
  const taken = (holder: string) =>
    `Error: publish port ${address}:${port}/tcp: address already in use by ${holder}\n` +
    "choose another host port, or leave it out to have a free one\n";
  const words = ["-q", "--name", "other", "-p", `${address}:${port}:81`, "-p", "82", image, "true"];
  assertEquals(await refused(host, "run", "-d", ...words), taken('container "web"'));
  assertEquals(host.containers().length, 1);
  assertIncludes(await refused(host, "run", "-q", "--rm", "-p", `${port}:81`, image), 'by container "web"\n');
  // a created container meets it when it starts, and stays
  await host.ok("create", ...words);
  assertEquals(await refused(host, "start", "other"), taken('container "web"'));
  assertEquals(await host.ok("ps", "-a", "--filter", "name=other", "--format", "{{.State}}"), "created");
  await host.ok("rm", "other");
  // its stop frees it, and its end under --rm
  await host.ok("stop", "-t", "0", "web");
  await host.ok("run", "-q", "--rm", "-p", `${address}:${port}:81`, image);
  using listener = Deno.listen({ hostname: address, port });
  assertEquals(listener.addr.port, port);
  const whose = (await refused(host, "start", "web")).split("\n")[0]!;
  // who runs the test may be somebody whose processes the test user cannot look into
  assertMatch(whose, /address already in use by (\S+ \(pid \d+\)|a process of user \d+)$/);
  listener.close();
  await host.ok("start", "web");
  assertEquals(await published(host, "web", "80"), port, "what was chosen stays");
  assertEquals(clientOf(await answer(port, address)), "10.0.2.2");
});

hostTest("ports that cannot be published say why", NEEDS, async (host) => {
  const image = await host.image();
  const run = (...options: string[]) => refused(host, "run", "-q", "--rm", ...options, image, "true");
  const start = Number(Deno.readTextFileSync("/proc/sys/net/ipv4/ip_unprivileged_port_start"));
  if (start > 1) {
    const low = start - 1;
    assertEquals(
      await run("-p", `${low}:80`),
      `Error: publish port 0.0.0.0:${low}/tcp: permission denied: host ports below ${start} are for root\n` +
        `allow it with: sudo sysctl net.ipv4.ip_unprivileged_port_start=${low} ` +
        "(in /etc/sysctl.d/ it stays), or choose a higher host port\n",
    );
  }
  assertIncludes(await run("-p", "203.0.113.254::80"), "this machine has no address 203.0.113.254\n");
  assertIncludes(await run("-p", "80/sctp"), 'network "slirp" passes on TCP and UDP, not SCTP\n');
  assertIncludes(
    await run("-p", "8080:80:90:1"),
    "Error: invalid port format - format is [[hostIP:]hostPort:]containerPort\n",
  );
  assertIncludes(
    await run("-p", "127.0.0.1:7:80", "-p", "7:81"),
    "conflicting port mappings for host port 7 (protocol tcp)\n",
  );
  assertEquals(host.containers(), []);
  for (const network of ["none", "host"]) {
    const { code, stdout, stderr } = await host.skiff([
      "run",
      "-q",
      "--rm",
      "--network",
      network,
      "-p",
      "80",
      image,
      "echo",
      "up",
    ]);
    assertEquals([code, stdout], [0, "up\n"]);
    assertIncludes(stderr, "Port mappings have been discarded as one of the Host, Container, Pod, and None");
  }
});

hostTest("update changes what is published while the container runs, and for good", NEEDS, async (host) => {
  const address = loopback();
  await serve(host, "web", ["-p", `${address}::80`], server(80, "old"), server(81, "new"));
  const port = await published(host, "web", "80");
  assertMatch(await answer(port, address), /old$/);
  const pid = await host.ok("inspect", "--format", "{{.State.Pid}}", "web");
  await host.ok("update", "--publish-add", `${address}::81`, "web");
  const added = await published(host, "web", "81");
  assertMatch(await answer(added, address), /new$/);
  // the same port of the host gets another end
  await host.ok("update", "--publish-rm", "80", "--publish-add", `${address}:${port}:81`, "web");
  assertMatch(await answer(port, address), /new$/);
  await host.ok("update", "--publish-rm", `${address}:${added}:81`, "web");
  assertEquals(await host.ok("port", "web"), `81/tcp -> ${address}:${port}`);
  assertEquals(await ask(added, address), undefined);
  assertEquals(await host.ok("inspect", "--format", "{{.State.Pid}}", "web"), pid);

  // all or nothing
  using listener = Deno.listen({ hostname: address, port: 0 });
  const taken = `${address}:${listener.addr.port}:80`;
  const both = await refused(
    host,
    "update",
    "--publish-rm",
    "81",
    "--publish-add",
    `${address}::80`,
    "--publish-add",
    taken,
    "web",
  );
  assertIncludes(both, `publish port ${taken.slice(0, -3)}/tcp: address already in use by `);
  assertIncludes(
    await refused(host, "update", "--publish-add", "82", "--publish-rm", "9:80", "web"),
    'Error: update container "web": it does not publish "9:80"\n',
  );
  assertIncludes(await refused(host, "update", "web"), "nothing is to be changed\n");
  assertEquals(await host.ok("port", "web"), `81/tcp -> ${address}:${port}`);

  // it is kept, and a stopped container can be changed, too
  await host.ok("restart", "-t", "0", "web");
  assertMatch(await answer(port, address), /new$/);
  await host.ok("stop", "-t", "0", "web");
  await host.ok("update", "--publish-rm", "81", "--publish-add", `${address}:${port}:80`, "web");
  await host.ok("start", "web");
  assertMatch(await answer(port, address), /old$/);
  await host.ok("create", "-q", "--name", "bare", "--network", "none", await host.image(), "true");
  assertIncludes(
    await refused(host, "update", "--publish-add", "80", "bare"),
    'with the network "none" it has no ports',
  );
});

hostTest(
  "a container that its policy restarts is published again, with what was changed",
  NEEDS,
  async (host) => {
    const address = loopback();
    const script = `(${server(80)}) & until rm /tmp/end 2>/dev/null; do sleep 0.1; done`;
    const options = ["-p", `${address}::80`, "--restart", "always"];
    await host.ok("run", "-q", "-d", "--name", "web", ...options, await host.image(), "sh", "-c", script);
    const port = await published(host, "web", "80");
    await answer(port, address);
    await host.ok("update", "--publish-add", `${address}::80`, "web");
    const [, second] = (await host.ok("port", "web", "80")).split("\n").map((line) =>
      Number(line.replace(/.*:/, ""))
    );
    await host.ok("exec", "web", "touch", "/tmp/end");
    await waitFor(
      "it is restarted",
      async () =>
        (await host.ok("inspect", "--format", "{{.RestartCount}} {{.State.Status}}", "web")) === "1 running",
    );
    for (const at of [port, second!]) assertEquals(clientOf(await answer(at, address)), "10.0.2.2");
  },
);

/** Without a default route pasta(1) has no addresses to copy. */
const hasRoute = /^\S+\t00000000\t/m.test(Deno.readTextFileSync("/proc/net/route"));

for (const program of ["slirp4netns", ...(hasRoute ? ["pasta"] : [])]) {
  hostTest(`${program} publishes ports by its own means`, {
    needs: [...NEEDS.needs, program as Need],
  }, async (host) => {
    const address = loopback();
    await serve(
      host,
      "web",
      ["--network", program, "-p", "80", "-p", `${address}::81`],
      server(80),
      server(81),
    );
    const port = await published(host, "web", "80");
    await answer(port);
    await answer(await published(host, "web", "81"), address);
    const own = ownAddress("IPv4");
    // pasta gives the container the same address
    if (own && program === "slirp4netns") {
      assertEquals(clientOf(await answer(port, own)), own.startsWith("10.0.2.") ? "10.0.2.2" : own);
    }
    assertIncludes(
      await refused(host, "run", "-q", "--rm", "--network", program, "-p", `${port}:80`, await host.image()),
      'address already in use by container "web"\n',
    );
    if (program === "pasta") {
      assertIncludes(
        await refused(host, "update", "--publish-add", "82", "web"),
        `Error: update container "web": ${program} cannot change what it publishes while it runs\n`,
      );
      await host.ok("stop", "-t", "0", "web");
    }
    await host.ok("update", "--publish-rm", "80", "--publish-add", `${address}::80`, "web");
    if (program === "pasta") await host.ok("start", "web");
    await answer(await published(host, "web", "80"), address);
  });
}

hostTest("published ports of slirp4netns change while it runs, and its policy restarts it with them", {
  needs: [...NEEDS.needs, "slirp4netns"],
}, async (host) => {
  const address = loopback();
  const script = `(${
    serving(server(80, "old"), server(81, "new"))
  }) & until rm /tmp/end 2>/dev/null; do sleep 0.1; done`;
  const options = ["--network", "slirp4netns", "--restart", "always"];
  await host.ok("run", "-q", "-d", "--name", "web", ...options, await host.image(), "sh", "-c", script);
  await host.ok("update", "--publish-add", `${address}::80`, "web");
  const port = await published(host, "web", "80");
  assertMatch(await answer(port, address), /old$/);
  using taken = Deno.listen({ hostname: address, port: 0 });
  const other = `${address}:${taken.addr.port}:81`;
  assertIncludes(
    await refused(host, "update", "--publish-rm", "80", "--publish-add", other, "web"),
    "address already in use",
  );
  assertMatch(await answer(port, address), /old$/);
  // the same port of the host for another one of the container
  await host.ok("update", "--publish-rm", "80", "--publish-add", `${address}:${port}:81`, "web");
  assertMatch(await answer(port, address), /new$/);
  await host.ok("exec", "web", "touch", "/tmp/end");
  await waitFor(
    "it is restarted",
    async () =>
      (await host.ok("inspect", "--format", "{{.RestartCount}} {{.State.Status}}", "web")) === "1 running",
  );
  assertMatch(await answer(port, address), /new$/);
  await host.ok("update", "--publish-rm", "81", "web");
  assertEquals(await host.ok("port", "web"), "");
  assertEquals(await ask(port, address), undefined);
});
