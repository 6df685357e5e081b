import { assertEquals, messageOf } from "../../tests/assertions.ts";
import type { NetworkRow } from "../state/networks.ts";
import { type NetworkCreateOptions, type NetworkWorld, planNetwork } from "./network_options.ts";
import { planTemplate, withTemplate } from "./network_template.ts";

const WORLD: NetworkWorld = {
  id: "f".repeat(64),
  createdAt: "2026-01-01T00:00:00Z",
  isRoot: true,
  others: [],
  own: [],
  far: [],
  hasInterface: (name) => name === "eth0",
  random: (count) => new Uint8Array(count).fill(0xab),
};

/** As the command gives what nobody has said. */
const SILENT: NetworkCreateOptions = {
  ...{ driver: "bridge", subnets: [], gateways: [], ipRanges: [], auxAddresses: [], ipv4: true, ipv6: false },
  ...{ internal: false, options: {}, labels: {}, dns: [], disableDns: false, routes: [] },
};

const template = (options: NetworkCreateOptions, name: string | undefined = "t") =>
  planTemplate(name, { ...SILENT, ...options }, WORLD);
const make = (options: NetworkCreateOptions, from: NetworkRow, others: NetworkRow[] = [from]) =>
  planNetwork("n", withTemplate({ ...SILENT, ...options }, from), { ...WORLD, others });

Deno.test("a network is made from what a configuration network keeps", async () => {
  const from = template({
    subnets: ["10.7.0.5/24"],
    ipRanges: ["10.7.0.128/25"],
    auxAddresses: ["router=10.7.0.9"],
    labels: { team: "web" },
    options: { parent: "eth0", mtu: "1400" },
  });
  const subnet = {
    subnet: "10.7.0.0/24",
    gateway: "10.7.0.1",
    leaseRange: { start: "10.7.0.129", end: "10.7.0.255" },
    reserved: { router: "10.7.0.9" },
  };
  assertEquals([from.subnets, from.template!.subnets], [[], [subnet]]);
  const { driver, interface: parent, subnets, labels, options } = make({ driver: "macvlan" }, from);
  assertEquals({ driver, parent, subnets, labels, options }, {
    driver: "macvlan",
    parent: "eth0",
    subnets: [subnet],
    labels: { team: "web" },
    options: { parent: "eth0", mtu: "1400" },
  });
  // it takes no subnet from others, but those that are made from it do
  const made = make({ driver: "macvlan" }, from);
  assertEquals(
    await messageOf(() => make({ driver: "macvlan" }, from, [from, made])),
    "subnet 10.7.0.0/24 is already used on the host or by another config",
  );
  // what its driver does not know
  assertEquals(await messageOf(() => make({}, from)), "unsupported bridge network option parent");
});

Deno.test("IPv6 alone is kept as well", () => {
  const { subnets, ipv6 } = make({}, template({ ipv4: false, ipv6: true }));
  assertEquals([subnets.map(({ subnet }) => subnet), ipv6], [["fdab:abab:abab:abab::/64"], true]);
});

Deno.test("what a configuration network cannot be is told", async () => {
  const error = (options: NetworkCreateOptions, name?: string) => messageOf(() => template(options, name));
  assertEquals(
    await error({ configFrom: "x" }),
    "a configuration network cannot depend on another configuration network",
  );
  assertEquals(
    await error({ internal: true }),
    "a configuration network is not internal: those made from it may be",
  );
  assertEquals(
    await error({ driver: "macvlan" }),
    "a configuration network has no driver: those made from it have one",
  );
  assertEquals(await error({ subnets: ["10.7/24"] }), "invalid CIDR address: 10.7/24");
  assertEquals(
    await messageOf(() => planTemplate(undefined, SILENT, WORLD)),
    "a configuration network needs a name",
  );
  const from = template({ subnets: ["10.7.0.0/24"] });
  const own =
    "user specified configurations are not supported if the network depends on a configuration network";
  for (const option of [{ ipv6: true }, { ipv4: false }, { labels: { a: "b" } }, { disableDns: true }]) {
    assertEquals(await messageOf(() => make(option, from)), own);
  }
  assertEquals(
    await messageOf(() => make({}, planNetwork("plain", {}, WORLD))),
    "network plain is no configuration network",
  );
});
