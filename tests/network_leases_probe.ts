/** For runtime/engine/network_leases_test.ts: starts and ends containers in a database, and may be killed in the midst of it. */

import { setContainerExited, setContainerState } from "../runtime/state/containers.ts";
import { openDatabase } from "../runtime/state/db.ts";
import { findNetworkByName } from "../runtime/state/networks.ts";
import { leaseAddresses } from "../runtime/engine/network_leases.ts";

const [path = "", part = "", rounds = "0", dies = ""] = Deno.args;
using db = await openDatabase(path);
const given: Record<string, string[]> = {};
const end = { startedAt: "", finishedAt: "x", exitCode: 0, error: "", oomKilled: false };

for (let round = 0; round < Number(rounds); round++) {
  const id = `c${part}-${round % 4}`;
  await db.transaction(() => setContainerExited(db, id, end));
  delete given[id];
  const addresses = await db.transaction(() => {
    setContainerState(db, id, "starting");
    const network = findNetworkByName(db, "n")!;
    const leased = leaseAddresses(db, network, id, { network: "n" }).map(({ address }) => address);
    if (dies !== "" && round === Number(dies)) Deno.kill(Deno.pid, "SIGKILL");
    return leased;
  });
  given[id] = addresses;
}
console.log(JSON.stringify(given));
