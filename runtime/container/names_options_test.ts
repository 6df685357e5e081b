import { deepStrictEqual as assertEquals, throws } from "node:assert";
import { isAddress, parseChrootDirs, resolveHosts, resolveResolver } from "./names_options.ts";
import type { CreateOptions } from "./options.ts";

const options = (rest: Partial<CreateOptions>): CreateOptions => ({ image: "x", command: [], ...rest });
const hosts = (addHosts: string[], rest: Partial<CreateOptions> = {}) =>
  resolveHosts(options({ addHosts, ...rest }), () => "10.0.0.1 base\n");

Deno.test("chroot folders are absolute, once each, and never the root or below /proc", () => {
  assertEquals(parseChrootDirs(["/srv/a", "b/../c", "/", "", "srv/a/"]), ["/srv/a", "/c"]);
  throws(() => parseChrootDirs(["/x/../proc/1"]), /inside \/proc/);
});

Deno.test("a host is added by name and address, several names at once, IPv6 with brackets or without", () => {
  assertEquals(hosts(["a:1.2.3.4", "b;c=::1", "d:[fe80::1]"])?.added, [
    { names: ["a"], address: "1.2.3.4" },
    { names: ["b", "c"], address: "::1" },
    { names: ["d"], address: "fe80::1" },
  ]);
  assertEquals(hosts(["g:host-gateway"], { network: "host" })?.added, [{
    names: ["g"],
    address: "127.0.0.1",
  }]);
  assertEquals(hosts([]), undefined);
  assertEquals(hosts([], { noHosts: true }), { none: true, added: [] });
  assertEquals(hosts([], { hostsFile: "f" }), { base: "10.0.0.1 base\n", added: [] });
  assertEquals(hosts([], { hostsFile: "none" }), { base: "", added: [] });
});

Deno.test("what is no host is refused in podman's words", () => {
  const cases: [string, Partial<CreateOptions>, string][] = [
    ["foo", {}, 'bad format for add-host: "foo"'],
    [":1.2.3.4", {}, 'bad format for add-host: ":1.2.3.4"'],
    ["a b:1.2.3.4", {}, 'bad format for add-host: "a b:1.2.3.4"'],
    ["foo:bar", {}, 'invalid IP address in add-host: "bar"'],
    ["a:1.2.3.4", { noHosts: true }, "--no-hosts and --add-host cannot be set together"],
    [
      "a:1.2.3.4",
      { network: "container:x" },
      "conflicting options: add-host and the network mode: container:x",
    ],
  ];
  for (const [text, rest, message] of cases) throws(() => hosts([text], rest), { message }, text);
  throws(() => hosts(["g:host-gateway"], { network: "none" }), /needs a network/);
});

Deno.test("the resolver's servers, domains and options are lists, none leaves the file alone", () => {
  const resolve = (rest: Partial<CreateOptions>) => resolveResolver(options(rest));
  assertEquals(resolve({}), undefined);
  assertEquals(resolve({ dns: ["1.1.1.1", "::1"], dnsSearch: ["a.b"], dnsOptions: ["ndots:2"] }), {
    servers: ["1.1.1.1", "::1"],
    search: ["a.b"],
    options: ["ndots:2"],
  });
  assertEquals(resolve({ dnsSearch: ["."] })?.search, []);
  assertEquals(resolve({ dns: ["none"] }), { none: true });
  throws(() => resolve({ dns: ["foo"] }), { message: "foo is not an ip address" });
  throws(() => resolve({ dns: ["1.1.1.1"], network: "none" }), {
    message: "conflicting options: dns and the network mode: none",
  });
  assertEquals(resolve({ dnsSearch: ["_srv.Example-1.org.", ""] })?.search, ["_srv.Example-1.org."]);
  for (const domain of ["a..b", "-a", "a_-", "1.2", "a/b", `${"a.".repeat(127)}a`]) {
    throws(() => resolve({ dnsSearch: [domain] }), { message: `${domain} is not a valid domain` });
  }
  throws(() => resolve({ dnsSearch: ["a\nnameserver 6.6.6.6"] }), /invalid DNS search domain/);
});

Deno.test("an address is one that the resolver reads the same way", () => {
  const good = ["1.2.3.4", "::", "fe80::1%eth0", "::ffff:1.2.3.4"];
  const bad = ["1.2.3", "010.1.1.1", "256.1.1.1", "1.2.3.4.5", "g::", "", "1::2::3", "a"];
  assertEquals([...good, ...bad].map(isAddress), [...good.map(() => true), ...bad.map(() => false)]);
});
