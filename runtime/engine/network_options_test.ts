import { assertEquals, messageOf } from "../../tests/assertions.ts";
import { parseSubnet } from "../network/ip.ts";
import type { NetworkRow } from "../state/networks.ts";
import { readHostSubnets } from "./host_subnets.ts";
import { type NetworkCreateOptions, type NetworkWorld, planNetwork } from "./network_options.ts";
import { nameInterfaces } from "./networks.ts";

const WORLD: NetworkWorld = {
  id: "f".repeat(64),
  createdAt: "2026-01-01T00:00:00Z",
  isRoot: false,
  others: [],
  own: [],
  far: [],
  hasInterface: (name) => name === "eth7",
  random: (count) => new Uint8Array(count).fill(0xab),
};

const plan = (options: NetworkCreateOptions = {}, world: Partial<NetworkWorld> = {}, name?: string) =>
  planNetwork(name, options, { ...WORLD, ...world });
const error = (options: NetworkCreateOptions, world: Partial<NetworkWorld> = {}, name = "n") =>
  messageOf(() => plan(options, world, name));

Deno.test("without options a network is a bridge with names and the first free subnet", () => {
  const { name, driver, interface: bridge, subnets, dns, internal, ipv6 } = plan();
  assertEquals({ name, driver, bridge, subnets, dns, internal, ipv6 }, {
    name: "skiff1",
    driver: "bridge",
    bridge: "skiff1",
    subnets: [{ subnet: "10.89.0.0/24", gateway: "10.89.0.1" }],
    dns: true,
    internal: false,
    ipv6: false,
  });
});

Deno.test("a network beside others takes the next interface and subnet, and no route of the machine's", async () => {
  const others: NetworkRow[] = [plan({}, {}, "a")];
  assertEquals(plan({}, { others }).subnets[0]!.subnet, "10.89.1.0/24");
  assertEquals(plan({}, { others }).interface, "skiff2");
  const far = [parseSubnet("10.89.0.0/16")!];
  assertEquals(plan({}, { far }).subnets[0]!.subnet, "10.90.0.0/24");
  // a VPN that has all of 10.0.0.0/8 leaves nothing, and is not in the way of a container more than it has to be
  assertEquals(plan({}, { far: [parseSubnet("10.0.0.0/8")!] }).subnets[0]!.subnet, "10.89.0.0/24");
  assertEquals(
    await error({}, { own: [parseSubnet("10.0.0.0/8")!] }),
    "could not find free subnet from subnet pools",
  );
});

Deno.test("addresses of others are kept out of the subnet that they are in", async () => {
  const subnets = ["10.77.0.0/24", "fd00:5::/64"];
  assertEquals(
    plan({ subnets, auxAddresses: ["router=10.77.0.5", "nas=10.77.0.6", "six=fd00:5::9"] }).subnets.map(
      ({ reserved }) => reserved,
    ),
    [{ router: "10.77.0.5", nas: "10.77.0.6" }, { six: "fd00:5::9" }],
  );
  const refused = (auxAddress: string) => error({ subnets, auxAddresses: [auxAddress] });
  assertEquals(await refused("a=10.78.0.1"), "no matching subnet for aux-address 10.78.0.1");
  for (const text of ["10.77.0.5", "=10.77.0.5", "a=b", "a=10.77.0.5=c"]) {
    assertEquals(await refused(text), `invalid aux-address "${text}": it reads NAME=ADDRESS`);
  }
  assertEquals(await refused("a=10.77.0.1"), 'invalid aux-address "a=10.77.0.1": it is the gateway');
});

Deno.test("subnets, gateways and ranges belong together by their places", () => {
  const { subnets, ipv6 } = plan({
    subnets: ["10.77.0.5/24", "fd00:5::/64"],
    gateways: ["10.77.0.9"],
    ipRanges: ["10.77.0.16/28", "fd00:5::100-fd00:5::1ff"],
  });
  assertEquals(ipv6, true);
  assertEquals(subnets, [
    {
      subnet: "10.77.0.0/24",
      gateway: "10.77.0.9",
      leaseRange: { start: "10.77.0.17", end: "10.77.0.31" },
    },
    {
      subnet: "fd00:5::/64",
      gateway: "fd00:5::1",
      leaseRange: { start: "fd00:5::100", end: "fd00:5::1ff" },
    },
  ]);
  assertEquals(plan({ ipv6: true }).subnets.map(({ subnet }) => subnet), [
    "10.89.0.0/24",
    "fdab:abab:abab:abab::/64",
  ]);
  assertEquals(
    plan({ ipv6: true, subnets: ["fd00:9::/64"] }).subnets.map(({ subnet }) => subnet),
    ["fd00:9::/64", "10.89.0.0/24"],
  );
});

Deno.test("a macvlan network has the subnet of its parent", async () => {
  const world = {
    own: [parseSubnet("10.75.0.0/24")!],
    isRoot: true,
    hasInterface: (name: string) => name === "eth0",
  };
  const options = { subnets: ["10.75.0.0/24"], gateways: ["10.75.0.1"] };
  assertEquals(plan({ ...options, driver: "macvlan", interfaceName: "eth0" }, world).subnets, [
    { subnet: "10.75.0.0/24", gateway: "10.75.0.1" },
  ]);
  assertEquals(
    await error(options, world),
    "subnet 10.75.0.0/24 is already used on the host or by another config",
  );
});

Deno.test("an internal network has a gateway only to resolve names", () => {
  assertEquals(plan({ internal: true }).subnets[0]!.gateway, "10.89.0.1");
  assertEquals(plan({ internal: true, disableDns: true }).subnets[0]!.gateway, undefined);
});

const MISTAKES: [NetworkCreateOptions, string][] = [
  [{ driver: "foo" }, "unsupported driver foo: invalid argument"],
  [{ subnets: ["foo"] }, "invalid CIDR address: foo"],
  [
    { subnets: ["127.5.0.0/16"] },
    "invalid subnet 127.5.0.0/16: no interface has addresses of 127.0.0.0/8, which is loopback",
  ],
  [
    { subnets: ["224.0.0.0/24"] },
    "invalid subnet 224.0.0.0/24: no interface has addresses of 224.0.0.0/4, which is multicast",
  ],
  [
    { subnets: ["fe80::/64"] },
    "invalid subnet fe80::/64: no interface has addresses of fe80::/10, which is link-local",
  ],
  [
    { subnets: ["10.0.0.0/8", "10.1.0.0/16"] },
    "subnet 10.1.0.0/16 is already used on the host or by another config",
  ],
  [{ gateways: ["10.78.0.1"] }, "cannot set gateway or range without subnet"],
  [{ ipRanges: ["10.78.0.0/28"] }, "cannot set gateway or range without subnet"],
  [{ subnets: ["10.77.0.0/24"], gateways: ["10.78.0.1"] }, "gateway 10.78.0.1 not in subnet 10.77.0.0/24"],
  [
    { subnets: ["10.77.0.0/24"], gateways: ["10.77.0.255"] },
    "gateway 10.77.0.255 is the network's or the broadcast address of 10.77.0.0/24",
  ],
  [
    { subnets: ["10.77.0.0/24"], gateways: ["foo"] },
    'invalid argument "foo" for "--gateway" flag: invalid string being converted to IP address: foo',
  ],
  [{ subnets: ["10.76.0.0/24"], ipRanges: ["foo"] }, "invalid CIDR address: foo"],
  [
    { subnets: ["10.76.0.0/24"], ipRanges: ["10.75.0.0/28"] },
    "lease range start ip 10.75.0.1 not in subnet 10.76.0.0/24",
  ],
  [
    { subnets: ["10.76.0.0/24"], ipRanges: ["10.76.0.9-10.76.0.3"] },
    'invalid ip range "10.76.0.9-10.76.0.3": it ends before it begins',
  ],
  [{ subnets: ["10.76.0.0/32"] }, "subnet 10.76.0.0/32 has no room for a container"],
  [{ options: { foo: "bar" } }, "unsupported bridge network option foo"],
  [{ options: { mtu: "abc" } }, 'invalid mtu "abc": it is not a number'],
  [{ options: { mtu: "-1" } }, "mtu -1 is less than zero"],
  [{ options: { mtu: "1279" }, ipv6: true }, "mtu 1279 is less than 1280, which IPv6 needs"],
  [{ interfaceName: "uplink" }, 'interface name "uplink": it is another interface\'s'],
  [{ options: { vlan: "5000" } }, "vlan ID 5000 must be between 0 and 4094"],
  [{ options: { isolate: "maybe" } }, 'failed to parse isolate option: "maybe" is neither true nor false'],
  [{ options: { parent: "eth7" } }, "unsupported bridge network option parent"],
  [{ dns: ["foo"] }, '"foo" is not an ip address'],
  [
    { dns: ["1.1.1.1"], disableDns: true },
    "cannot set NetworkDNSServers if DNS is not enabled for the network",
  ],
  [
    { interfaceName: "far-too-long-a-name" },
    'interface name "far-too-long-a-name": at most 15 characters, without blank, slash or colon',
  ],
  [{ interfaceName: "a/b" }, 'interface name "a/b": at most 15 characters, without blank, slash or colon'],
  [{ routes: ["10.1.0.0/16"] }, 'invalid route "10.1.0.0/16": it reads DESTINATION,GATEWAY[,METRIC]'],
  [{ routes: ["x,10.89.0.9"] }, 'invalid route "x,10.89.0.9": x is no subnet in CIDR format'],
  [
    { routes: ["10.1.0.0/16,192.0.2.1"] },
    'invalid route "10.1.0.0/16,192.0.2.1": gateway 192.0.2.1 is in no subnet of the network',
  ],
  [{ ipamDriver: "dhcp" }, "ipam driver dhcp is not supported with bridge"],
  [{ ipamDriver: "x" }, 'unsupported ipam driver "x"'],
];

for (const [options, message] of MISTAKES) {
  Deno.test(`network create refuses ${JSON.stringify(options)}`, async () => {
    assertEquals(await error(options), message);
  });
}

Deno.test("names that --network takes for a mode, or nobody could type, are refused", async () => {
  for (const name of ["host", "none", "bridge", "podman", "default", "slirp4netns", "pasta", "container"]) {
    assertEquals(
      await error({}, {}, name),
      `cannot create network with name "${name}" because it conflicts with a valid network mode`,
    );
  }
  for (const name of ["a b", "", "../x", "a:b", "-x"]) {
    assertEquals((await error({}, {}, name)).includes("names must match"), true, name);
  }
});

Deno.test("macvlan and ipvlan are root's, and need an interface and addresses", async () => {
  assertEquals(
    await error({ driver: "macvlan" }),
    "create network with driver macvlan: it needs an interface of this machine, which only root can give away",
  );
  const world = { isRoot: true };
  assertEquals(
    await error({ driver: "macvlan", options: { parent: "nope" } }, world),
    "parent interface nope does not exist",
  );
  assertEquals(
    await error({ driver: "ipvlan", options: { parent: "eth7", mode: "vepa" } }, world),
    'unknown ipvlan mode "vepa": known are l2, l3, l3s',
  );
  const made = plan({
    driver: "macvlan",
    subnets: ["192.0.2.0/24"],
    options: { parent: "eth7", macvlan_mode: "vepa" },
  }, world);
  assertEquals([made.name, made.interface, made.dns, made.options.mode], ["macvlan1", "eth7", false, "vepa"]);
});

Deno.test("members may be kept apart; only root's connections may leave under another address", async () => {
  const [icc, masquerade] = ["enable_icc", "enable_ip_masquerade"].map((name) =>
    `com.docker.network.bridge.${name}`
  ) as [string, string];
  assertEquals(plan({ options: { [icc]: "0", [masquerade]: "1" } }).options, {
    [icc]: "false",
    [masquerade]: "true",
  });
  const options = { [masquerade]: "false" };
  assertEquals(
    await error({ options }),
    `set ${masquerade}=false: without root, connections leave with this machine's address`,
  );
  assertEquals(plan({ options }, { isRoot: true }).options, options);
});

Deno.test("options have docker's names as well", () => {
  const { options, internal, interface: bridge } = plan({
    options: {
      "com.docker.network.driver.mtu": "1400",
      "com.docker.network.bridge.name": "br-web",
      "com.docker.network.bridge.host_binding_ipv4": "127.0.0.1",
      isolate: "1",
    },
  });
  assertEquals([options.mtu, options.host_binding_ipv4, options.isolate, internal, bridge], [
    "1400",
    "127.0.0.1",
    "true",
    false,
    "br-web",
  ]);
  assertEquals(plan({ options: { "com.docker.network.enable_ipv6": "true" } }).subnets.length, 2);
});

Deno.test("a network may have a prefix of its own for the interfaces of containers", async () => {
  const prefix = (text: string) => ({ options: { "com.docker.network.container_iface_prefix": text } });
  const lan = plan(prefix("lan"), {}, "a");
  const names = nameInterfaces(
    [{ network: "b" }, { network: "a" }, { network: "c", interface: "lan1" }, { network: "a" }],
    [lan],
  ).map((request) => request.interface);
  assertEquals(names, ["eth0", "lan0", "lan1", "lan2"]);
  assertEquals(await error(prefix("")), 'prefix of interfaces "": it is empty');
  assertEquals(
    await error(prefix("a/b")),
    'prefix of interfaces "a/b": at most 15 characters, without blank, slash or colon',
  );
});

Deno.test("routes of the machine are read as the kernel writes them", () => {
  const files: Record<string, string> = {
    "/proc/net/route":
      "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n" +
      "eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n" +
      "eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n" +
      "tun0\t0000590A\t0101A8C0\t0003\t0\t0\t0\t0000FFFF\t0\t0\t0\n",
    "/proc/net/ipv6_route": "fd000000000000000000000000000000 40 00000000000000000000000000000000 00 " +
      "00000000000000000000000000000000 00000100 00000001 00000000 00000001 eth0\n" +
      "fe800000000000000000000000000000 40 00000000000000000000000000000000 00 " +
      "00000000000000000000000000000000 00000100 00000001 00000000 00000001 eth0\n",
  };
  const { own, far } = readHostSubnets((path) => files[path]!);
  assertEquals(own, [parseSubnet("192.168.1.0/24"), parseSubnet("fd00::/64")]);
  assertEquals(far, [parseSubnet("10.89.0.0/16")]);
});

Deno.test("IPv6 alone has no subnet of IPv4", async () => {
  const versions = (options: NetworkCreateOptions) =>
    plan(options).subnets.map(({ subnet }) => subnet.includes(":") ? 6 : 4);
  assertEquals(versions({ ipv4: false, ipv6: true }), [6]);
  assertEquals(versions({ ipv6: true, options: { "com.docker.network.enable_ipv4": "0" } }), [6]);
  assertEquals(versions({ ipv4: true, ipv6: true }), [4, 6]);
  assertEquals(await error({ ipv4: false }), "IPv4 or IPv6 must be enabled");
  assertEquals(
    await error({ ipv4: false, ipv6: true, subnets: ["10.7.0.0/24"] }),
    "subnet 10.7.0.0/24 is one of IPv4, which is disabled",
  );
});
