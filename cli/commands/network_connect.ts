/** @see podman-network-connect(1), docker network connect */

import { networkConnect } from "../../runtime/engine/network_connect.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";

export const command = defineCommand({
  usage: "[options] NETWORK CONTAINER",
  description: "Puts a container that has networks on one more; where it runs, at once.",
  examples: ["skiff network connect web db", "skiff network connect --ip 10.5.0.9 --alias cache web redis"],
  flags: {
    alias: { kind: "list", value: "NAME", help: "Another name of the container on this network" },
    ip: { kind: "string", value: "ADDRESS", help: "IPv4 address (default: a free one)" },
    ip6: { kind: "string", value: "ADDRESS", help: "IPv6 address" },
    "mac-address": { kind: "string", value: "ADDRESS", help: "MAC address" },
  },
  arity: { min: 2, max: 2 },
  async run({ options: { alias, ip, ip6, "mac-address": macAddress }, args, global }) {
    const [network, container] = args as [string, string];
    await networkConnect(engineFor(global), network, container, { ip, ip6, macAddress, aliases: alias });
  },
});
