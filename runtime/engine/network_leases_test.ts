import { assert, assertEquals, messageOf } from "../../tests/assertions.ts";
import {
  deleteContainer,
  insertContainer,
  type RecordedState,
  setContainerExited,
  setContainerState,
} from "../state/containers.ts";
import { type Database, openDatabase } from "../state/db.ts";
import {
  deleteUnusedNetwork,
  findNetwork,
  insertNetwork,
  listLeases,
  type NetworkRequest,
  type NetworkRow,
  putMembership,
} from "../state/networks.ts";
import { containerRow } from "../../tests/container_row.ts";
import { leaseAddresses } from "./network_leases.ts";

const NETWORK: NetworkRow = {
  id: "n".repeat(64),
  name: "n",
  driver: "bridge",
  interface: "skiff1",
  createdAt: "2026-01-01T00:00:00Z",
  subnets: [{ subnet: "10.89.0.0/24", gateway: "10.89.0.1" }],
  ipv6: false,
  internal: false,
  dns: true,
  nameservers: [],
  routes: [],
  labels: {},
  options: {},
  ipam: "host-local",
};

async function withDatabase(
  network: Partial<NetworkRow>,
  body: (db: Database, path: string) => Promise<void>,
): Promise<void> {
  const folder = Deno.makeTempDirSync();
  const path = `${folder}/skiff.db`;
  {
    using db = await openDatabase(path);
    await db.transaction(() => insertNetwork(db, { ...NETWORK, ...network }));
    await body(db, path);
  }
  Deno.removeSync(folder, { recursive: true });
}

function addContainer(
  db: Database,
  id: string,
  state: RecordedState,
  request: NetworkRequest = { network: "n" },
) {
  insertContainer(db, containerRow({ id, name: id, imageName: "", state, network: "bridge" }));
  putMembership(db, { containerId: id, networkId: NETWORK.id, position: 0, request });
}

const start = (db: Database, id: string, request: NetworkRequest = { network: "n" }) =>
  db.transaction(() => {
    setContainerState(db, id, "starting");
    return leaseAddresses(db, findNetwork(db, NETWORK.id)!, id, request).map(({ address }) => address);
  });
const stop = (db: Database, id: string) =>
  db.transaction(() =>
    setContainerExited(db, id, { startedAt: "", finishedAt: "x", exitCode: 0, error: "", oomKilled: false })
  );

Deno.test("a container keeps its address over a restart, until another one needs it", async () => {
  await withDatabase({ subnets: [{ subnet: "10.89.0.0/29", gateway: "10.89.0.1" }] }, async (db) => {
    const ids = ["a", "b", "c", "d", "e", "f"];
    await db.transaction(() => ids.forEach((id) => addContainer(db, id, "created")));
    for (const [index, id] of ids.slice(0, 4).entries()) {
      assertEquals(await start(db, id), [`10.89.0.${index + 2}`]);
    }
    await stop(db, "b");
    assertEquals(await start(db, "b"), ["10.89.0.3"]);
    await stop(db, "c");
    assertEquals(await start(db, "e"), ["10.89.0.6"]);
    assertEquals(await start(db, "f"), ["10.89.0.4"]);
    assertEquals(
      await messageOf(() => start(db, "c")),
      "IPAM error: failed to find free IP in range: 10.89.0.1 - 10.89.0.6",
    );
    // what the failed transaction did is undone
    assertEquals(listLeases(db, NETWORK.id).length, 5);
    await db.transaction(() => deleteContainer(db, "a"));
    assertEquals(await start(db, "c"), ["10.89.0.2"]);
  });
});

Deno.test("an address that was asked for is given to nobody else, and is one container's at a time", async () => {
  await withDatabase({
    subnets: [{ subnet: "10.89.0.0/24", gateway: "10.89.0.1" }, { subnet: "fd00:1::/64" }],
  }, async (db) => {
    const fixed = { network: "n", ip: "10.89.0.2", ip6: "fd00:1:0::1" };
    await db.transaction(() => {
      addContainer(db, "fixed", "created", fixed);
      addContainer(db, "other", "created", fixed);
      addContainer(db, "any", "created");
    });
    assertEquals(await start(db, "any"), ["10.89.0.3", "fd00:1::2"]);
    assertEquals(await start(db, "fixed", fixed), ["10.89.0.2", "fd00:1::1"]);
    assertEquals(
      await messageOf(() => start(db, "other", fixed)),
      "IPAM error: requested ip address 10.89.0.2 is already allocated to container ID fixed",
    );
    await stop(db, "fixed");
    assertEquals(await start(db, "other", fixed), ["10.89.0.2", "fd00:1::1"]);
  });
});

Deno.test("what the network cannot give is refused with the reason", async () => {
  await withDatabase({}, async (db) => {
    await db.transaction(() => addContainer(db, "a", "created"));
    for (
      const [ip, reason] of [
        ["1.2.3.4", "requested static ip 1.2.3.4 not in any subnet on network n"],
        ["10.89.0.1", "requested static ip 10.89.0.1 on network n: it is the gateway"],
        ["10.89.0.255", "requested static ip 10.89.0.255 on network n: it is the broadcast address"],
      ] as const
    ) assertEquals(await messageOf(() => start(db, "a", { network: "n", ip })), reason);
    assertEquals(
      await messageOf(() => start(db, "a", { network: "n", ip6: "fd00::5" })),
      "requested static ip fd00::5 not in any subnet on network n",
    );
  });
});

Deno.test("a network that a container is on stays; leases go with their container", async () => {
  await withDatabase({}, async (db) => {
    await db.transaction(() => addContainer(db, "a", "created"));
    await start(db, "a");
    assertEquals(await db.transaction(() => deleteUnusedNetwork(db, NETWORK.id)), false);
    await db.transaction(() => deleteContainer(db, "a"));
    assertEquals(listLeases(db, NETWORK.id), []);
    assertEquals(await db.transaction(() => deleteUnusedNetwork(db, NETWORK.id)), true);
  });
});

Deno.test("forty processes at once, some killed amidst, never give an address to two", async () => {
  // 160 containers for 200 addresses: ended ones have to give theirs up
  const subnets = [{ subnet: "10.89.0.0/24", leaseRange: { start: "10.89.0.10", end: "10.89.0.209" } }];
  await withDatabase({ subnets }, async (db, path) => {
    const parts = Array.from({ length: 40 }, (_, index) => index);
    await db.transaction(() => {
      for (const part of parts) for (let n = 0; n < 4; n++) addContainer(db, `c${part}-${n}`, "created");
    });
    const probe = new URL("../../tests/network_leases_probe.ts", import.meta.url).pathname;
    const outputs = await Promise.all(parts.map(async (part) => {
      const dies = part % 5 === 0 ? "5" : "";
      const { stdout, stderr, signal } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--no-check", probe, path, String(part), "12", dies],
      }).output();
      assertEquals(signal, dies === "" ? null : "SIGKILL", new TextDecoder().decode(stderr));
      return new TextDecoder().decode(stdout);
    }));
    const live = listLeases(db, NETWORK.id).filter(({ isLive }) => isLive);
    assertEquals(new Set(live.map(({ address }) => address)).size, live.length);
    const holders = new Map(live.map(({ address, containerId }) => [address, containerId]));
    let told = 0;
    for (const output of outputs) {
      if (output === "") continue;
      for (const [id, addresses] of Object.entries(JSON.parse(output) as Record<string, string[]>)) {
        for (const address of addresses) {
          assertEquals(holders.get(address), id, address);
          told++;
        }
      }
    }
    assertEquals(told, 32 * 4);
    assert(
      live.every(({ address }) =>
        Number(address.split(".")[3]) >= 10 && Number(address.split(".")[3]) <= 209
      ),
    );
  });
});
