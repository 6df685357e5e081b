import { assertEquals, messageOf } from "../../tests/assertions.ts";
import { parseAttachments } from "./network_attachments.ts";
import { asksForNetworks, type AttachmentOptions } from "./network_choice.ts";

const parse = (words: string[], options: AttachmentOptions = {}) => parseAttachments(words, options);
const error = (words: string[], options: AttachmentOptions = {}) => messageOf(() => parse(words, options));

Deno.test("a network has its options behind a colon", () => {
  assertEquals(
    parse([
      "web:ip=10.5.0.9,ip6=fd00:0::9,mac=02-00-00-00-00-01,alias=a,alias=b,interface_name=net0,host_interface_name=v0",
    ]),
    [{
      network: "web",
      ip: "10.5.0.9",
      ip6: "fd00::9",
      mac: "02:00:00:00:00:01",
      aliases: ["a", "b"],
      interface: "net0",
      hostInterface: "v0",
    }],
  );
  assertEquals(parse(["web:ip=fd00::1"]), [{ network: "web", ip6: "fd00::1" }]);
});

Deno.test("several networks keep their order, and one that is named twice is one", () => {
  assertEquals(parse(["a", "b:alias=x", "a:ip=10.0.0.9"]), [
    { network: "a", ip: "10.0.0.9" },
    { network: "b", aliases: ["x"] },
  ]);
  assertEquals(parse(["a,b"]), [{ network: "a" }, { network: "b" }]);
  assertEquals(parse(["a:"]), [{ network: "a" }]);
});

Deno.test("options of the container are those of its only network; aliases those of all", () => {
  assertEquals(parse(["a"], { ip: "10.0.0.9", macAddress: "02:00:00:00:00:01", networkAliases: ["x"] }), [
    { network: "a", ip: "10.0.0.9", mac: "02:00:00:00:00:01", aliases: ["x"] },
  ]);
  assertEquals(parse(["a", "b:alias=y"], { networkAliases: ["x"] }), [
    { network: "a", aliases: ["x"] },
    { network: "b", aliases: ["y", "x"] },
  ]);
  // podman's default network has addresses
  assertEquals(parse([], { ip: "10.88.0.9" }), [{ network: "bridge", ip: "10.88.0.9" }]);
});

Deno.test("modes are left to others, unless something asks for a network", () => {
  for (const words of [[], [""], ["none"], ["slirp:mtu=1500"], ["container:x"], ["ns:/x"], ["pasta:-t,80"]]) {
    assertEquals(asksForNetworks(words, {}), false, words.join());
    assertEquals(asksForNetworks(words, { networkAliases: [] }), false, words.join());
    assertEquals(asksForNetworks(words, { ip6: "fd00::1" }), true, words.join());
  }
  for (const words of [["web"], ["bridge"], ["podman:ip=1.2.3.4"], ["none", "host"], ["a,b"]]) {
    assertEquals(asksForNetworks(words, {}), true, words.join());
  }
});

Deno.test("what does not go together, or is malformed, says so in podman's words", async () => {
  const multiple = (mode: string) =>
    `cannot set multiple networks without bridge network mode, selected mode ${mode}: invalid argument`;
  assertEquals(await error(["none", "web"]), multiple("none"));
  assertEquals(await error(["web", "container:x"]), multiple("container"));
  const bridgeOnly = (flag: string) =>
    `--${flag} can only be set when the network mode is bridge: invalid argument`;
  assertEquals(await error(["host"], { ip: "10.0.0.1" }), bridgeOnly("ip"));
  assertEquals(await error(["none"], { macAddress: "02:00:00:00:00:01" }), bridgeOnly("mac-address"));
  assertEquals(await error(["slirp:mtu=1500"], { networkAliases: ["x"] }), bridgeOnly("network-alias"));
  const single = (flag: string) => `--${flag} can only be set for a single network: invalid argument`;
  assertEquals(await error(["a", "b"], { ip6: "fd00::1" }), single("ip6"));
  assertEquals(await error(["a", "b"], { macAddress: "02:00:00:00:00:01" }), single("mac-address"));
  assertEquals(await error(["a"], { ip: "foo" }), '"foo" is not an ip address');
  assertEquals(await error(["a"], { ip: "fd00::1" }), '"fd00::1" is not an IPv4 address');
  assertEquals(await error(["a"], { macAddress: "foo" }), "address foo: invalid MAC address");
  assertEquals(
    await error(["a"], { networkAliases: ["a b"] }),
    'network alias "a b": it is no name that can be looked up',
  );
  assertEquals(await error([":ip=1.2.3.4"]), 'invalid network ":ip=1.2.3.4": the name is missing');
  for (
    const [option, reason] of [
      ["ip=10.88.0.999", 'invalid ip address "10.88.0.999"'],
      ["ip=", 'invalid ip address ""'],
      ["ip", "ip needs a value"],
      ["ip6=10.0.0.1", 'invalid ip address "10.0.0.1"'],
      ["mac=foo", "address foo: invalid MAC address"],
      ["mac=01:00:00:00:00:00", "address 01:00:00:00:00:00: invalid MAC address"],
      ["alias=", "alias cannot be empty"],
      ["foo=bar", "unknown bridge network option: foo"],
      ["constructor=1", "unknown bridge network option: constructor"],
      [
        "interface_name=a/b",
        'invalid interface name "a/b": at most 15 characters, without blank, slash or colon',
      ],
      [
        "interface_name=lo",
        'invalid interface name "lo": at most 15 characters, without blank, slash or colon',
      ],
      ["host_interface_name=uplink", 'invalid interface name "uplink": it is another interface\'s'],
    ] as const
  ) assertEquals(await error([`web:${option}`]), `invalid option for network web: ${reason}`);
});
