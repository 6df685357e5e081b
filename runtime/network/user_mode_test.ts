import { assertEquals } from "../../tests/assertions.ts";
import { planStack, planTun, userModeAddresses } from "./user_mode.ts";

Deno.test("the addresses are slirp4netns's, and cidr moves them", () => {
  assertEquals(planTun().addresses, [{ address: "10.0.2.100", prefix: 24 }, {
    address: "fd00::100",
    prefix: 64,
  }]);
  assertEquals(planTun().gateways, ["10.0.2.2", "fd00::2"]);
  assertEquals(planStack().nameservers, ["10.0.2.3", "fd00::3"]);
  const { ipv4 } = userModeAddresses({ cidr: "172.16.128.0/17" });
  assertEquals(ipv4, {
    guest: "172.16.128.100",
    gateway: "172.16.128.2",
    nameserver: "172.16.128.3",
    prefix: 17,
  });
  assertEquals(userModeAddresses({ cidr: "10.9.8.128/25" }).ipv4.guest, "10.9.8.228");
});

Deno.test("a stack takes packets of its one guest only, and sends nothing of its network out", () => {
  const { guests, networks, allowHostLoopback } = planStack({ ipv6: false });
  assertEquals(guests, [{ address: "10.0.2.100", prefix: 32 }]);
  assertEquals(networks, [{ address: "10.0.2.100", prefix: 24 }]);
  assertEquals(allowHostLoopback, false);
});
