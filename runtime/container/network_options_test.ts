import { throws } from "node:assert/strict";
import { assertEquals } from "../../tests/assertions.ts";
import { parseNetwork } from "./network_options.ts";

Deno.test("a mode alone is the mode with nothing changed", () => {
  for (const text of ["slirp", "slirp:", "private", "default", ""]) {
    assertEquals(parseNetwork(text), { mode: "slirp" }, text);
  }
  assertEquals(parseNetwork("slirp4netns"), { mode: "slirp4netns" });
  assertEquals(parseNetwork("pasta"), { mode: "pasta" });
  assertEquals(parseNetwork("ns:/proc/self/ns/net"), { mode: "ns", path: "/proc/self/ns/net" });
});

Deno.test("options are those of podman's slirp4netns mode", () => {
  const options = (text: string) => {
    const choice = parseNetwork(`slirp:${text}`);
    return choice.mode === "slirp" && choice.options;
  };
  assertEquals(options("mtu=1500,cidr=10.9.0.0/16"), { mtu: 1500, cidr: "10.9.0.0/16" });
  assertEquals(options("allow_host_loopback=true"), { allowHostLoopback: true });
  assertEquals(options("allow_host_loopback=false,enable_ipv6=true,port_handler=rootlesskit"), undefined);
  assertEquals(options("ipv6=false"), { ipv6: false });
  assertEquals(options("outbound_addr=192.0.2.9,outbound_addr6=lo"), {
    outbound: { ipv4: "192.0.2.9", ipv6: "lo" },
  });
  assertEquals(parseNetwork("pasta:--mtu,1500"), { mode: "pasta", words: ["--mtu", "1500"] });
});

Deno.test("pasta is not for root, which is told before there is a container", () => {
  throws(() => parseNetwork("pasta", false), { message: 'use network "pasta": it is only for rootless use' });
  assertEquals(parseNetwork("slirp4netns", false), { mode: "slirp4netns" });
});

Deno.test("what is malformed is refused with the word and what would be right", () => {
  const cases: [string, string][] = [
    ["slirp:foo=1", `unknown option for slirp: "foo=1"`],
    ["slirp:toString=1", `unknown option for slirp: "toString=1"`],
    ["slirp4netns:mtu", `unknown option for slirp4netns: "mtu"`],
    ["slirp:mtu=1x", `invalid mtu "1x" for slirp: a number from 1280 to 65521`],
    ["slirp:mtu=70000", `invalid mtu "70000" for slirp: a number from 1280 to 65521`],
    ["slirp:enable_ipv6=yes", `invalid enable_ipv6 "yes" for slirp: true or false`],
    [
      "slirp:outbound_addr=no such",
      `invalid outbound_addr "no such" for slirp: an IPv4 address or an interface of this machine`,
    ],
    [
      "slirp:outbound_addr=::1",
      `invalid outbound_addr "::1" for slirp: an IPv4 address or an interface of this machine`,
    ],
    [
      "slirp:enable_ipv6=false,outbound_addr6=::1",
      `use network "slirp": outbound_addr6 needs enable_ipv6=true`,
    ],
    ["slirp:port_handler=x", `invalid port_handler "x" for slirp: rootlesskit or slirp4netns`],
    ["none:x", `use network "none:x": the network none takes no options`],
    ["ns:/no/such", "cannot find specified network namespace path: stat /no/such: no such file or directory"],
    ["foo", "no such network: foo"],
  ];
  for (
    const cidr of [
      "10.0.2.100/24",
      "10.0.2.0/26",
      "10.0.2.0",
      "10.0.2.0/24/1",
      "fd00::/24",
      "0.0.0.0/1",
      "10.0.2.0/0",
      "010.0.2.0/24",
    ]
  ) {
    cases.push([
      `slirp:cidr=${cidr}`,
      `invalid cidr "${cidr}" for slirp: an IPv4 network of 1 to 25 bits, such as 10.0.2.0/24`,
    ]);
  }
  for (const [text, message] of cases) throws(() => parseNetwork(text), { message }, text);
});
