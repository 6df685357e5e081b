import { deepStrictEqual as equal } from "node:assert/strict";
import { containerResolvConf, parseResolvConf, upstreamOptions } from "./resolv_conf.ts";

const HOST = `# made by hand
; another comment
domain old.example
nameserver 127.0.0.53
nameserver\t2001:db8::53   # the second
nameserver fe80::1%eth0
nameserver 192.0.2.4
 nameserver 192.0.2.5
search example.org corp.example
options edns0 trust-ad timeout:3
options use-vc ndots:2
nameserver
`;

Deno.test("a resolv.conf is read as glibc reads it", () => {
  equal(parseResolvConf(HOST), {
    servers: ["127.0.0.53", "2001:db8::53", "fe80::1%eth0"],
    search: ["example.org", "corp.example"],
    options: ["edns0", "trust-ad", "timeout:3", "use-vc", "ndots:2"],
  });
  equal(parseResolvConf("search a b\ndomain c\n").search, ["c"]);
  equal(parseResolvConf(""), { servers: [], search: [], options: [] });
});

Deno.test("a container asks the forwarder and keeps the host's domains and options", () => {
  equal(
    containerResolvConf({ nameservers: ["10.0.2.3", "fd00::3"], host: HOST }),
    "search example.org corp.example\nnameserver 10.0.2.3\nnameserver fd00::3\noptions edns0 trust-ad ndots:2\n",
  );
});

Deno.test("what the user gives replaces the host's, and a dot is no domain at all", () => {
  equal(
    containerResolvConf({ nameservers: ["192.0.2.1"], host: HOST, search: ["."], options: ["ndots:5"] }),
    "nameserver 192.0.2.1\noptions ndots:5\n",
  );
  equal(
    containerResolvConf({ nameservers: ["192.0.2.1"], host: "", search: ["x.example"] }),
    "search x.example\nnameserver 192.0.2.1\n",
  );
});

Deno.test("the forwarder waits as the host's options say, within bounds", () => {
  equal(upstreamOptions([]), { timeoutMs: 2000, useTcp: false, rotate: false });
  equal(upstreamOptions(["timeout:5", "timeout:900", "use-vc", "rotate"]), {
    timeoutMs: 30_000,
    useTcp: true,
    rotate: true,
  });
  equal(upstreamOptions(["timeout:0"]).timeoutMs, 1000);
});
