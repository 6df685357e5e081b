import { deepStrictEqual as equal } from "node:assert/strict";
import { DnsServers } from "./dns_servers.ts";

const names = (servers: DnsServers, nowMs: number) => servers.list(nowMs).servers.map(({ name }) => name);

Deno.test("the host's file is read when it has changed, and looked at once a second", () => {
  const resolvConf = Deno.makeTempFileSync();
  try {
    Deno.writeTextFileSync(resolvConf, "nameserver 192.0.2.1\nnameserver bad\noptions timeout:3 use-vc\n");
    const servers = new DnsServers({ resolvConf });
    equal(names(servers, 0), ["192.0.2.1"]);
    const { timeoutMs, useTcp } = servers.list(0);
    equal([timeoutMs, useTcp], [3000, true]);
    Deno.writeTextFileSync(`${resolvConf}.new`, "nameserver 192.0.2.2\nnameserver 2001:db8::1\n");
    Deno.renameSync(`${resolvConf}.new`, resolvConf);
    equal(names(servers, 999), ["192.0.2.1"]);
    equal(names(servers, 1000), ["192.0.2.2", "2001:db8::1"]);
    equal(servers.list(1000).useTcp, false);
    Deno.removeSync(resolvConf);
    equal(names(servers, 2000), ["192.0.2.2", "2001:db8::1"], "away for a moment");
    Deno.writeTextFileSync(resolvConf, "search example.org\n");
    equal(names(servers, 3000), ["127.0.0.1"], "nobody named is the host itself");
  } finally {
    Deno.removeSync(resolvConf);
  }
});

Deno.test("a server that failed is asked last for half a minute", () => {
  const servers = new DnsServers({ resolvConf: "/nonexistent", servers: ["192.0.2.1", "192.0.2.2"] });
  const [first, second] = servers.list(0).servers;
  servers.failed(first!, 0);
  equal(names(servers, 29_999), ["192.0.2.2", "192.0.2.1"]);
  equal(names(servers, 30_000), ["192.0.2.1", "192.0.2.2"]);
  servers.failed(first!, 40_000);
  servers.failed(second!, 40_000);
  equal(names(servers, 40_000), ["192.0.2.1", "192.0.2.2"]);
  servers.answered(second!);
  equal(names(servers, 40_000), ["192.0.2.2", "192.0.2.1"]);
});

Deno.test("a link-local server is asked on its interface", () => {
  const servers = new DnsServers({
    resolvConf: "/nonexistent",
    servers: ["fe80::1%lo", "fe80::2%7", "fe80::3%../x"],
  });
  equal(servers.list(0).servers.map(({ scope }) => scope), [1, 7, 0]);
});
