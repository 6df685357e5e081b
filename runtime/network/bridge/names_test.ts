import { deepStrictEqual as equal } from "node:assert/strict";
import type { BridgeNetwork, BridgePlan, NetworkAttachment } from "../plan.ts";
import { mustParse } from "../stack/addresses.ts";
import { NameTable } from "./names.ts";

function network(id: string, subnet: string, changes: Partial<BridgeNetwork> = {}): BridgeNetwork {
  return {
    id,
    name: id,
    driver: "bridge",
    interface: id,
    subnets: [{ subnet }],
    internal: false,
    mtu: 0,
    dns: true,
    nameservers: [],
    routes: [],
    isolate: "",
    vlan: 0,
    noDefaultRoute: false,
    ...changes,
  };
}

function place(on: BridgeNetwork, address: string, aliases: string[] = []): NetworkAttachment {
  return {
    network: on,
    interface: "eth0",
    addresses: [{ address, prefix: 24 }],
    mac: "02:42:00:00:00:01",
    gateways: [],
    aliases,
  };
}

const front = network("front", "10.1.0.0/24");
const back = network("back", "10.2.0.0/24", { internal: true });
const plain = network("plain", "10.3.0.0/24", { dns: false, nameservers: ["9.9.9.9"] });

function table(...plans: BridgePlan[]): NameTable {
  const names = new NameTable();
  plans.forEach((plan) => names.set(plan));
  return names;
}

const web: BridgePlan = { id: "a".repeat(64), name: "Web", attachments: [place(front, "10.1.0.2", ["www"])] };
const db: BridgePlan = { id: "b".repeat(64), name: "db", attachments: [place(back, "10.2.0.2", ["sql"])] };
const app: BridgePlan = {
  id: "c".repeat(64),
  name: "app",
  attachments: [place(front, "10.1.0.3"), place(back, "10.2.0.3")],
};

/** As the forwarder asks the table. */
function ask(names: NameTable, from: string, name: string): string {
  const asker = mustParse(from);
  const found = /^[\d.]+$/.test(name) ? names.names(name, asker) : names.addresses(name, asker);
  if (found) return found === "nobody" ? found : found.join(" ");
  return names.mayAskOutside(asker) ? ["outside", ...names.servers(asker) ?? []].join(" ") : "unknown";
}

Deno.test("names, aliases and short ids resolve on the network that they are on", () => {
  const names = table(web, db, app);
  equal(ask(names, "10.1.0.3", "web"), "10.1.0.2");
  equal(ask(names, "10.1.0.3", "www"), "10.1.0.2");
  equal(ask(names, "10.1.0.3", "aaaaaaaaaaaa"), "10.1.0.2");
  equal(ask(names, "10.1.0.3", "web.dns.podman"), "10.1.0.2");
  equal(ask(names, "10.1.0.2", "web"), "10.1.0.2");
  equal(ask(names, "10.1.0.2", "nosuch.dns.podman"), "nobody");
});

Deno.test("who is on two networks asks either for the names of both, and nobody else does", () => {
  const names = table(web, db, app);
  equal(ask(names, "10.1.0.3", "db"), "10.2.0.2");
  equal(ask(names, "10.2.0.3", "web"), "10.1.0.2");
  equal(ask(names, "10.1.0.2", "db"), "outside");
  equal(ask(names, "10.2.0.2", "web"), "unknown");
  equal(ask(names, "10.2.0.2", "app"), "10.2.0.3");
});

Deno.test("addresses have names, where the asker shares a network with them", () => {
  const names = table(web, db, app);
  equal(ask(names, "10.1.0.3", "10.1.0.2"), "web www aaaaaaaaaaaa");
  equal(ask(names, "10.1.0.2", "10.2.0.2"), "outside");
});

Deno.test("a network without names forwards, to its own servers if it has some", () => {
  const one: BridgePlan = { id: "d".repeat(64), name: "one", attachments: [place(plain, "10.3.0.2")] };
  equal(ask(table(one), "10.3.0.2", "one"), "outside 9.9.9.9");
});

Deno.test("a stranger's address gets nothing", () => {
  equal(ask(table(web), "10.1.0.9", "web"), "unknown");
});

Deno.test("a container that was disconnected or has ended has no names", () => {
  const names = table(web, app);
  names.set({ ...app, attachments: [app.attachments[1]!] });
  equal(ask(names, "10.1.0.2", "app"), "outside");
  names.delete(web.id);
  equal(ask(names, "10.1.0.2", "web"), "unknown");
});

Deno.test("a question in another's name is known by the bridge that it came by", () => {
  const names = table(web, db, app);
  names.setBridge("front", 3);
  names.setBridge("back", 4);
  const isFrom = (asker: string, bridge: number) => names.isFrom(mustParse(asker), bridge);
  equal([isFrom("10.1.0.2", 3), isFrom("10.1.0.2", 4)], [true, false]);
  equal([isFrom("10.2.0.2", 3), isFrom("10.2.0.2", 4)], [false, true]);
  equal([isFrom("10.1.0.3", 3), isFrom("10.1.0.3", 4)], [true, true], "on both");
  names.deleteBridge("front");
  equal(isFrom("10.1.0.2", 3), false);
});
