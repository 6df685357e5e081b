/** Networks as things of their own, and what containers say of those that they are on. */

import { assert, assertEquals, assertMatch, hostTest, waitFor } from "./harness.ts";
import type { Host } from "./host.ts";

const BRIDGES = { needs: ["registry", "busybox"] as ("registry" | "busybox")[] };

/** The names, and nothing that others of the user's have. */
const inspected = async (host: Host, name: string) =>
  JSON.parse(await host.ok("network", "inspect", name))[0];

hostTest("a network is made, shown, listed, updated and removed", {}, async (host) => {
  assertEquals(await host.ok("network", "create"), "skiff1");
  const options = [
    "--subnet",
    "10.201.7.5/24",
    "--ip-range",
    "10.201.7.64/26",
    "--aux-address",
    "router=10.201.7.65",
    "--label",
    "team=web",
    "--ipv6",
  ];
  await host.ok(
    "network",
    "create",
    ...options,
    "-o",
    "mtu=1400",
    "-o",
    "isolate=1",
    "--dns",
    "192.0.2.53",
    "web",
  );
  const network = await inspected(host, "web");
  const [first, second] = network.subnets;
  assertEquals(first, {
    subnet: "10.201.7.0/24",
    gateway: "10.201.7.1",
    lease_range: { start_ip: "10.201.7.65", end_ip: "10.201.7.127" },
  });
  assertMatch(second.subnet, /^fd[0-9a-f:]+::\/64$/);
  const { name, driver, network_interface, ipv6_enabled, internal, dns_enabled, labels } = network;
  assertEquals({ name, driver, network_interface, ipv6_enabled, internal, dns_enabled, labels }, {
    name: "web",
    driver: "bridge",
    network_interface: "skiff2",
    ipv6_enabled: true,
    internal: false,
    dns_enabled: true,
    labels: { team: "web" },
  });
  assertEquals([network.options, network.network_dns_servers, network.containers], [
    { mtu: "1400", isolate: "true" },
    ["192.0.2.53"],
    {},
  ]);
  // docker's words for the same
  assertEquals(network.IPAM.Config[0], {
    Subnet: "10.201.7.0/24",
    IPRange: "10.201.7.65-10.201.7.127",
    Gateway: "10.201.7.1",
    AuxiliaryAddress: { router: "10.201.7.65" },
  });
  assertEquals(
    await host.ok("network", "inspect", "-f", "{{.Id}} {{.Scope}} {{.EnableIPv6}} {{.ID}}", "web"),
    `${network.id} local true ${network.id}`,
  );
  await host.ok("network", "update", "--dns-add", "192.0.2.54", "--dns-drop", "192.0.2.53", "web");
  assertEquals((await inspected(host, "web")).network_dns_servers, ["192.0.2.54"]);
  assertEquals(await host.ok("network", "ls", "-q"), "bridge\nhost\nnone\nskiff1\nweb");
  assertEquals(
    await host.ok("network", "ls", "-f", "name=web", "--format", '{{.Name}} {{.IPv6}} {{.Label "team"}}'),
    "web true web",
  );
  assertEquals(
    await host.ok("network", "ls", "-q", "--filter", "type=custom", "--filter", "label!=team"),
    "skiff1",
  );
  assertEquals(await host.ok("network", "inspect", "-f", "{{.Name}}", network.id.slice(0, 8)), "web");
  assertEquals(await host.ok("network", "inspect", "-f", "{{.Name}}", "podman"), "bridge");
  assertEquals(
    (await host.skiff(["network", "create", "web"])).stderr,
    "Error: network name web already used: network already exists\n",
  );
  assertEquals(await host.ok("network", "create", "--ignore", "web"), "web");
  for (const fixed of ["bridge", "podman", "host", "none"]) {
    const { code, stderr } = await host.skiff(["network", "rm", "-f", fixed]);
    assertEquals([code, stderr], [125, `Error: default network ${fixed} cannot be removed\n`]);
  }
  const events = await host.ok(
    "events",
    "--stream=false",
    "--since",
    "1h",
    "--filter",
    "type=network",
    "--format",
    "{{.Status}} {{.Name}}",
  );
  assertEquals(events, "create skiff1\ncreate web\nupdate web");
  assertEquals(await host.ok("network", "prune", "-f", "--filter", "label=team"), "web");
  assertEquals(await host.ok("system", "prune", "-f"), "Deleted Networks\nskiff1\nTotal reclaimed space: 0B");
});

hostTest("a configuration network is what others are made from, and nobody is on it", {}, async (host) => {
  await host.ok("network", "create", "--config-only", "--subnet", "10.203.4.0/24", "--label", "a=b", "kept");
  const { driver, ConfigOnly, IPAM } = await inspected(host, "kept");
  assertEquals({ driver, ConfigOnly, IPAM: IPAM.Config }, {
    driver: "null",
    ConfigOnly: true,
    IPAM: [{ Subnet: "10.203.4.0/24", Gateway: "10.203.4.1" }],
  });
  await host.ok("network", "create", "--config-from", "kept", "--internal", "made");
  const made = await inspected(host, "made");
  assertEquals([made.subnets, made.labels, made.internal, made.ConfigFrom], [
    [{ subnet: "10.203.4.0/24", gateway: "10.203.4.1" }],
    { a: "b" },
    true,
    { Network: "kept" },
  ]);
  const refused = async (...words: string[]) => {
    const { code, stderr } = await host.skiff(words);
    assertEquals(code, 125, stderr);
    return stderr;
  };
  const nobody = "Error: join network kept: it is a configuration network, which others are made from\n";
  assertEquals(await refused("create", "--network", "kept", "host", "true"), nobody);
  await host.ok("create", "--name", "c", "--network", "made", "host", "true");
  assertEquals(await refused("network", "connect", "kept", "c"), nobody);
  const { code, stderr } = await host.skiff(["network", "rm", "kept"]);
  assertEquals([code, stderr], [2, 'Error: configuration network "kept" is in use by network made\n']);
  assertEquals(
    await refused("network", "create", "--config-from", "made", "more"),
    "Error: network made is no configuration network\n",
  );
  await host.ok("rm", "c");
  // what is kept is no network without a use
  assertEquals(await host.ok("network", "prune", "-f"), "made");
  assertEquals(await host.ok("network", "rm", "kept"), "kept");
  // docker's, with what there is instead
  assertEquals(
    await refused("network", "create", "--ipam-opt", "a=b", "n"),
    "Error: --ipam-opt is not available yet: addresses are given by skiff itself, which has no options for it\n" +
      "See 'skiff network create --help'\n",
  );
});

hostTest("networks that are made at once have subnets and interfaces of their own", {}, async (host) => {
  const names = Array.from({ length: 12 }, (_, index) => `n${index}`);
  await Promise.all(names.map((name) => host.ok("network", "create", name)));
  const all = JSON.parse(await host.ok("network", "ls", "--format", "json", "--filter", "driver=bridge"));
  assertEquals(all.length, 13);
  for (const key of ["id", "network_interface"]) {
    assertEquals(new Set(all.map((one: Record<string, string>) => one[key])).size, 13, key);
  }
  assertEquals(
    new Set(all.map(({ subnets }: { subnets: { subnet: string }[] }) => subnets[0]!.subnet)).size,
    13,
  );
});

hostTest("a container's networks are kept, changed and told before it ever runs", {}, async (host) => {
  await host.ok("network", "create", "--subnet", "10.202.1.0/24", "web");
  await host.ok("network", "create", "back");
  const create = (...words: string[]) => host.skiff(["create", ...words, "host", "true"]);
  await host.ok(
    "create",
    "--name",
    "c",
    "--network",
    "web:ip=10.202.1.9,alias=db",
    "--net",
    "back",
    "--network-alias",
    "x",
    "host",
    "true",
  );
  const id = await host.ok("inspect", "-f", "{{.Id}}", "c");
  const endpoints = async () =>
    JSON.parse(await host.ok("inspect", "-f", "{{json .NetworkSettings.Networks}}", "c"));
  const { web, back } = await endpoints();
  assertEquals([web.IPAddress, web.IPAMConfig, web.Aliases], ["", { IPv4Address: "10.202.1.9" }, [
    "db",
    "x",
    id.slice(0, 12),
  ]]);
  assertEquals(back.Aliases, ["x", id.slice(0, 12)]);
  assertEquals(await host.ok("ps", "-a", "--format", "{{.Networks}}"), "web,back");
  assertEquals(await host.ok("ps", "-aq", "--no-trunc", "--filter", "network=back"), id);

  const inUse = await host.skiff(["network", "rm", "back"]);
  assertEquals([inUse.code, inUse.stderr], [
    2,
    'Error: "back" has associated containers with it. Use -f to forcibly delete containers and pods: network is being used\n',
  ]);
  assertEquals(await host.ok("network", "prune", "-f"), "");
  await host.ok("network", "disconnect", "web", "c");
  assertEquals(Object.keys(await endpoints()), ["back"]);
  await host.ok(
    "network",
    "connect",
    "--ip",
    "10.202.1.10",
    "--alias",
    "cache",
    "--mac-address",
    "02:00:00:00:00:0a",
    "web",
    "c",
  );
  assertEquals((await endpoints()).web.Aliases, ["cache", id.slice(0, 12)]);
  assertEquals(
    await host.ok("container", "clone", "c", "copy").then(() =>
      host.ok("ps", "-a", "--filter", "name=copy", "--format", "{{.Networks}}")
    ),
    "back,web",
  );

  const mistakes: [string[], string][] = [
    [["--network", "nosuch"], "unable to find network with name or ID nosuch: network not found"],
    [["--network", "web:ip=10.203.0.1"], "requested static ip 10.203.0.1 not in any subnet on network web"],
    [
      ["--network", "web", "--ip", "10.202.1.1"],
      "requested static ip 10.202.1.1 on network web: it is the gateway",
    ],
    [
      ["--network", "web", "--ip6", "fd00::1"],
      "requested static ip fd00::1 not in any subnet on network web",
    ],
    [
      ["--network", "web:interface_name=x", "--network", "back:interface_name=x"],
      "interface x is asked for by two networks",
    ],
    [["--network", "bridge", "--network", "podman"], "network bridge is named twice"],
  ];
  for (const [words, message] of mistakes) {
    const { code, stderr } = await create(...words);
    assertEquals([code, stderr], [125, `Error: ${message}\n`]);
  }
  assertEquals(
    (await host.skiff(["network", "connect", "web", "c"])).stderr,
    `Error: container ${id} is already connected to network "web": network is already connected\n`,
  );
  assertEquals(await host.ok("network", "rm", "-f", "web"), "web");
  assertEquals(await host.ok("ps", "-aq"), "");
});

hostTest(
  "containers that run have addresses of their own, names in /etc/hosts, and networks come and go",
  BRIDGES,
  async (host) => {
    const image = await host.image();
    await host.ok("network", "create", "web");
    await host.ok("network", "create", "--ipv6", "back");
    await host.ok("run", "-q", "-d", "--name", "one", "--network", "web", image, "sleep", "600");
    await host.ok(
      "run",
      "-q",
      "-d",
      "--name",
      "two",
      "--network",
      "web:mac=02:00:00:00:00:22",
      "--network",
      "back",
      image,
      "sleep",
      "600",
    );
    const addressOf = (name: string, network: string) =>
      host.ok("inspect", "-f", `{{(index .NetworkSettings.Networks "${network}").IPAddress}}`, name);
    const [one, two] = [await addressOf("one", "web"), await addressOf("two", "web")];
    assert(one !== two && one !== "" && two !== "", `${one} ${two}`);
    assertMatch(
      await host.ok("exec", "one", "cat", "/etc/hosts"),
      new RegExp(`^${one}\t[0-9a-f]{12} one$`, "m"),
    );
    assertMatch(await host.ok("exec", "two", "ip", "link", "show", "eth0"), /02:00:00:00:00:22/);
    const { containers } = await inspected(host, "web");
    const members = Object.values(containers) as {
      name: string;
      interfaces: Record<string, { mac_address: string }>;
    }[];
    assertEquals(members.map(({ name }) => name).sort(), ["one", "two"]);
    assertEquals(
      members.find(({ name }) => name === "two")!.interfaces.eth0!.mac_address,
      "02:00:00:00:00:22",
    );

    await host.ok("network", "connect", "--alias", "extra", "back", "one");
    const back = await addressOf("one", "back");
    assertMatch(await host.ok("exec", "one", "ip", "addr", "show", "eth1"), new RegExp(`inet ${back}/24`));
    assertMatch(
      await host.ok("exec", "one", "cat", "/etc/hosts"),
      new RegExp(`^${back}\t[0-9a-f]{12} one$`, "m"),
    );
    assertMatch(
      await host.ok("exec", "two", "nslookup", "extra.dns.podman"),
      new RegExp(`Address.*: ${back}$`, "m"),
    );
    await host.ok("network", "disconnect", "back", "one");
    assertEquals((await host.ok("exec", "one", "ls", "/sys/class/net")).split("\n"), ["eth0", "lo"]);
    assertEquals((await host.ok("exec", "one", "cat", "/etc/hosts")).includes(back), false);
    assertEquals(await host.ok("ps", "--format", "{{.Networks}}", "--filter", "name=one"), "web");

    // an address that somebody has is nobody else's; a stopped container's own comes back to it
    const taken = await host.skiff(["run", "--rm", "--network", `web:ip=${one}`, image, "true"]);
    assertEquals(taken.code, 125);
    assertMatch(
      taken.stderr,
      /^Error: IPAM error: requested ip address \S+ is already allocated to container ID [0-9a-f]{64}\n$/,
    );
    await host.ok("restart", "-t", "0", "one");
    assertEquals(await addressOf("one", "web"), one);
    await host.ok("stop", "-t", "0", "one");
    assertEquals(await addressOf("one", "web"), "");
    await host.ok("run", "--rm", "-q", "--network", `web:ip=${one}`, image, "true");
    assertEquals(await host.ok("network", "rm", "-f", "web", "back"), "web\nback");
  },
);

hostTest("a change of networks waits for a holder that was killed", BRIDGES, async (host) => {
  const image = await host.image();
  for (const name of ["web", "back"]) await host.ok("network", "create", name);
  await host.ok("run", "-q", "-d", "--name", "one", "--network", "web", image, "sleep", "600");
  let killed = 0;
  const killHolder = async () => {
    const holder = () =>
      host.processes().find(({ pid, command }) => pid !== killed && command.startsWith("skiff: networks"))
        ?.pid;
    await waitFor("a holder of the bridges", () => holder() !== undefined);
    Deno.kill(killed = holder()!, "SIGKILL");
  };
  const links = () => host.ok("exec", "one", "ls", "/sys/class/net");
  await killHolder();
  await host.ok("network", "connect", "back", "one");
  assertEquals(await links(), "eth0\neth1\nlo");
  await killHolder();
  await host.ok("network", "disconnect", "web", "one");
  assertEquals(await links(), "eth1\nlo");
  await killHolder();
  await host.ok("network", "reload", "one");
  assertEquals(await links(), "eth1\nlo");
});

hostTest(
  "addresses come back whatever ended their containers, and many starts at once share none",
  BRIDGES,
  async (host) => {
    const image = await host.image();
    // five addresses besides the gateway's
    await host.ok("network", "create", "--subnet", "10.204.1.0/29", "small");
    const onSmall = ["-q", "--network", "small", image];
    for (let round = 0; round < 7; round++) await host.ok("run", "--rm", ...onSmall, "true");
    const names = ["a", "b", "c", "d", "e"];
    await Promise.all(names.map((name) => host.ok("run", "-d", "--name", name, ...onSmall, "sleep", "600")));
    const addresses = await host.ok("inspect", "-f", "{{.NetworkSettings.IPAddress}}", ...names);
    assertEquals(
      addresses.split("\n").sort(),
      [2, 3, 4, 5, 6].map((last) => `10.204.1.${last}`),
    );
    const full = await host.skiff(["run", "--rm", ...onSmall, "true"]);
    assertEquals([full.code, full.stderr], [
      125,
      "Error: IPAM error: failed to find free IP in range: 10.204.1.1 - 10.204.1.6\n",
    ]);
    // nobody is left who could give them back
    const monitors = (await host.ok("inspect", "-f", "{{.State.ConmonPid}}", "a", "b")).split("\n");
    for (const pid of monitors) Deno.kill(Number(pid), "SIGKILL");
    await host.ok("wait", "a", "b");
    assertEquals(await host.ok("run", "--rm", ...onSmall, "true"), "");
    // what has ended keeps its address as long as nobody needs it
    await host.ok("start", "a");
    assertEquals(await host.ok("network", "inspect", "-f", "{{len .Containers}}", "small"), "4");
    assertEquals(await host.ok("rm", "-f", "-t", "0", "a", "c").then((text) => text.split("\n").length), 2);
    await host.ok("network", "disconnect", "small", "b");
    // on no network at all there is only the loopback
    await host.ok("start", "b");
    assertEquals(await host.ok("exec", "b", "ls", "/sys/class/net"), "lo");
    await host.ok("network", "rm", "-f", "small");
    assertEquals(await host.ok("ps", "-a", "--format", "{{.Names}}"), "b");
  },
);

hostTest("a network says where ports are published that name no address", {}, async (host) => {
  await host.ok("network", "create", "-o", "com.docker.network.bridge.host_binding_ipv4=127.0.0.1", "web");
  await host.ok("create", "--name", "c", "--network", "web", "-p", "80", "-p", "0.0.0.0::81", "host", "true");
  const bindings = JSON.parse(await host.ok("inspect", "-f", "{{json .HostConfig.PortBindings}}", "c"));
  assertEquals([bindings["80/tcp"][0].HostIp, bindings["81/tcp"][0].HostIp], ["127.0.0.1", "0.0.0.0"]);
});

hostTest("ports that no network of a container could lead to it are told of", {}, async (host) => {
  await host.ok("network", "create", "--internal", "in");
  await host.ok("network", "create", "-o", "no_default_route=true", "apart");
  await host.ok("network", "create", "web");
  const create = async (...networks: string[]) => {
    const words = networks.flatMap((name) => ["--network", name]);
    const { code, stderr } = await host.skiff(["create", ...words, "-p", "80", "host", "true"]);
    assertEquals(code, 0, stderr);
    return stderr;
  };
  assertEquals(
    await create("in", "apart"),
    "Warning: published ports do not reach the container: none of its networks leads out (in, apart)\n",
  );
  assertEquals(await create("in", "web"), "");
});

hostTest("inspect finds volumes and networks after containers and images", {}, async (host) => {
  await host.ok("volume", "create", "data");
  await host.ok("network", "create", "--internal", "web");
  assertEquals(
    await host.ok("inspect", "-f", "{{.Name}} {{.Driver}}", "data", "web"),
    "data local\nweb bridge",
  );
  assertEquals(await host.ok("inspect", "--type", "network", "-f", "{{.Internal}}", "web"), "true");
  assertEquals(JSON.parse(await host.ok("inspect", "web"))[0].internal, true);
  assertEquals((await host.skiff(["inspect", "--type", "volume", "web"])).code, 125);
});

hostTest("a container of the default network is told how one changes networks", {}, async (host) => {
  await host.ok("network", "create", "web");
  await host.ok("create", "--name", "alone", "host", "true");
  const { code, stderr } = await host.skiff(["network", "connect", "web", "alone"]);
  assertEquals([code, stderr], [
    125,
    'Error: "slirp" is not supported: invalid network mode\n' +
    "only containers that were created with --network bridge, or --network NAME, can change networks\n",
  ]);
});
