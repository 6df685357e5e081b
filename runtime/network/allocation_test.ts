import fc from "fast-check";
import { assert, assertEquals } from "../../tests/assertions.ts";
import { freeAddress, freeSubnet, macOf, randomUla, whyUnusable } from "./allocation.ts";
import { contains, formatSubnet, overlap, parseAddress, parseSubnet, type Subnet } from "./ip.ts";

const subnets = (...texts: string[]): Subnet[] => texts.map((text) => parseSubnet(text)!);

Deno.test("a new network gets the first subnet of the pools that touches nothing", () => {
  assertEquals(formatSubnet(freeSubnet([])!), "10.89.0.0/24");
  assertEquals(formatSubnet(freeSubnet(subnets("10.89.0.0/25", "10.89.1.128/32"))!), "10.89.2.0/24");
  assertEquals(formatSubnet(freeSubnet(subnets("10.88.0.0/15"))!), "10.90.0.0/24");
  assertEquals(formatSubnet(freeSubnet(subnets("10.64.0.0/10"))!), "10.128.0.0/24");
  assertEquals(freeSubnet(subnets("10.0.0.0/8")), undefined);
  assertEquals(freeSubnet(subnets("0.0.0.0/0")), undefined);
});

Deno.test("free subnets touch none of those in use, whatever these are", () => {
  const used = fc.tuple(fc.bigInt({ min: 0n, max: 0xffffffffn }), fc.integer({ min: 9, max: 32 })).map(
    ([value, prefix]) => {
      const size = 1n << BigInt(32 - prefix);
      const first = 0x0a000000n + value % 0x1000000n / size * size;
      return { version: 4 as const, first, last: first + size - 1n, prefix };
    },
  );
  fc.assert(fc.property(fc.array(used, { maxLength: 40 }), (list) => {
    const found = freeSubnet(list);
    assert(found === undefined || !list.some((other) => overlap(other, found)));
  }));
});

Deno.test("a random ULA lies below fd00::/8 and touches none in use", () => {
  let calls = 0;
  const random = (count: number) => new Uint8Array(count).fill(++calls);
  const found = randomUla(subnets("fd01:101:101:101::/64"), random);
  assertEquals(formatSubnet(found), "fd02:202:202:202::/64");
});

Deno.test("addresses go round: the next one is behind the last, and all come before one comes again", () => {
  const pool = { subnet: "10.89.0.0/29", gateway: "10.89.0.1" };
  const taken = new Set<string>();
  let cursor: string | undefined;
  const given: string[] = [];
  for (;;) {
    const next = freeAddress({ ...pool, cursor }, (address) => taken.has(address));
    if (next === undefined) break;
    given.push(next);
    taken.add(cursor = next);
  }
  assertEquals(given, [2, 3, 4, 5, 6].map((last) => `10.89.0.${last}`));
  taken.delete("10.89.0.2");
  taken.delete("10.89.0.4");
  assertEquals(freeAddress({ ...pool, cursor: "10.89.0.3" }, (address) => taken.has(address)), "10.89.0.4");
  assertEquals(freeAddress({ ...pool, cursor: "10.89.0.4" }, (address) => taken.has(address)), "10.89.0.2");
  assertEquals(freeAddress({ ...pool, cursor: "nonsense" }, () => true), undefined);
});

Deno.test("an address handed out is in the subnet and the range, and never the gateway, network or broadcast", () => {
  const pools = fc.record({
    subnet: fc.constantFrom("10.1.2.0/24", "10.1.2.0/30", "10.1.2.0/31", "fd00:1::/64", "172.16.0.0/12"),
    last: fc.integer({ min: 0, max: 3 }),
  });
  fc.assert(fc.property(pools, fc.array(fc.integer({ min: 0, max: 5 })), ({ subnet, last }, holes) => {
    const base = subnet.split("/")[0]!.replace(/0$|::$/, (end) => end === "0" ? "" : "::");
    const pool = { subnet, gateway: `${base}${last + 1}`, cursor: `${base}${last}` };
    if (
      parseAddress(pool.gateway) === undefined || !contains(parseSubnet(subnet)!, parseAddress(pool.gateway)!)
    ) return;
    const found = freeAddress(pool, (address) => holes.some((hole) => address === `${base}${hole}`));
    if (found === undefined) return;
    assertEquals(whyUnusable(pool, parseAddress(found)!), undefined);
    assert(!holes.some((hole) => found === `${base}${hole}`));
  }));
  const ranged = { subnet: "10.1.2.0/24", leaseRange: { start: "10.1.2.17", end: "10.1.2.18" } };
  assertEquals(freeAddress(ranged, () => false), "10.1.2.17");
  assertEquals(freeAddress({ ...ranged, cursor: "10.1.2.200" }, () => false), "10.1.2.17");
  assertEquals(freeAddress(ranged, (address) => /1[78]$/.test(address)), undefined);
  const reserved = { ...ranged, reserved: { router: "10.1.2.17" } };
  assertEquals(freeAddress(reserved, () => false), "10.1.2.18");
  assertEquals(whyUnusable(reserved, parseAddress("10.1.2.17")!), "it is reserved for router");
});

Deno.test("what cannot be had says why", () => {
  const pool = { subnet: "10.1.2.0/24", gateway: "10.1.2.1" };
  const why = (text: string) => whyUnusable(pool, parseAddress(text)!);
  assertEquals(why("10.1.2.0"), "it is the network's own address");
  assertEquals(why("10.1.2.255"), "it is the broadcast address");
  assertEquals(why("10.1.2.1"), "it is the gateway");
  assertEquals(why("10.1.3.1"), "it is not in subnet 10.1.2.0/24");
  assertEquals(why("10.1.2.9"), undefined);
});

Deno.test("a MAC address follows from the address", () => {
  assertEquals(macOf(parseAddress("172.17.0.2")!), "02:42:ac:11:00:02");
  assertEquals(macOf(parseAddress("fd00::a:b")!), "02:42:00:0a:00:0b");
});
