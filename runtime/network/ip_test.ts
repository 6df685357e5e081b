import fc from "fast-check";
import { assertEquals } from "../../tests/assertions.ts";
import {
  contains,
  formatAddress,
  formatSubnet,
  hostRange,
  overlap,
  parseAddress,
  parseMac,
  parseSubnet,
  subnetOf,
} from "./ip.ts";

Deno.test("what resolvers read in more than one way is no address", () => {
  for (
    const text of [
      "",
      "1.2.3",
      "1.2.3.4.5",
      "010.1.1.1",
      "1.2.3.256",
      "0x1.2.3.4",
      "fe80::1%eth0",
      "::g",
      "1::2::3",
    ]
  ) {
    assertEquals(parseAddress(text), undefined, text);
  }
  for (
    const text of ["10.0.0.0/33", "fd00::/129", "10.0.0.0", "10.0.0.0/", "10.0.0.0/08", "x/8", "fd00::/-1"]
  ) {
    assertEquals(parseSubnet(text), undefined, text);
  }
});

Deno.test("an address is the same after it was written and read again, in every spelling", () => {
  fc.assert(fc.property(fc.ipV4(), (text) => {
    assertEquals(formatAddress(parseAddress(text)!), text);
  }));
  fc.assert(fc.property(fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }), (value) => {
    assertEquals(parseAddress(formatAddress({ version: 6, value })), { version: 6, value });
  }));
});

Deno.test("a subnet holds its addresses and no others", () => {
  const subnet = parseSubnet("10.77.0.5/24")!;
  assertEquals(formatSubnet(subnet), "10.77.0.0/24");
  assertEquals(contains(subnet, parseAddress("10.77.0.255")!), true);
  assertEquals(contains(subnet, parseAddress("10.77.1.0")!), false);
  assertEquals(contains(subnet, parseAddress("::a4d:5")!), false);
  assertEquals(overlap(subnet, parseSubnet("10.0.0.0/8")!), true);
  assertEquals(overlap(subnet, parseSubnet("10.77.1.0/24")!), false);
  const address = parseAddress("192.168.5.9")!;
  assertEquals(formatSubnet(subnetOf(address, 16)), "192.168.0.0/16");
  for (
    const [text, count] of [["10.0.0.0/24", 254n], ["10.0.0.0/31", 2n], ["10.0.0.0/32", 1n], [
      "fd00::/120",
      255n,
    ]] as const
  ) {
    const { first, last } = hostRange(parseSubnet(text)!);
    assertEquals(last - first + 1n, count, text);
  }
});

Deno.test("a MAC address is one of a single host", () => {
  assertEquals(parseMac("02-42-AC-11-00-02"), "02:42:ac:11:00:02");
  for (
    const text of ["foo", "01:00:5e:00:00:01", "00:00:00:00:00:00", "02:42:ac:11:00", "02:42:ac:11:00:0g"]
  ) {
    assertEquals(parseMac(text), undefined, text);
  }
});
