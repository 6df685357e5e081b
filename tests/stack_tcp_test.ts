/** Whose address is seen on which side of the user-mode stack, and what a guest cannot reach. */

import { deepStrictEqual as equal } from "node:assert/strict";
import { runInOwnNetwork } from "./own_network.ts";
import { whyNoGuest } from "./stack_rig.ts";

const missing = whyNoGuest();

Deno.test({
  name:
    "TCP leaves from the address asked for, clients keep theirs, and nothing of the host's own is reached" +
    (missing ? ` [needs ${missing}]` : ""),
  ignore: missing !== undefined,
  async fn() {
    const seen = await runInOwnNetwork<{ sources: string[]; clients: string[]; reached: boolean[] }>(
      "./stack_tcp_run.ts",
    );
    // by itself, from an address, from an IPv6 address, by an interface
    equal(seen.sources, ["198.51.100.1", "198.51.100.2", "2001:db8::2", "198.51.100.1"]);
    // of the world; loopback (CVE-2021-20199) and what is the guest's own network inside come from the gateway
    equal(seen.clients, ["198.51.100.2", "2001:db8::2", "10.0.2.2", "10.0.2.2"]);
    // the first is the control
    equal(seen.reached, [true, false, false, false, false, false, false]);
  },
});
