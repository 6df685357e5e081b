/** @see podman-network-update(1) */

import { networkUpdate } from "../../runtime/engine/network_update.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { print } from "../output/print.ts";

export const command = defineCommand({
  usage: "[options] NETWORK",
  description: "Changes the name servers that other names than those of containers are asked at.",
  examples: ["skiff network update --dns-add 192.0.2.53 --dns-drop 192.0.2.1 web"],
  flags: {
    "dns-add": { kind: "list", value: "ADDRESS", help: "Add a name server" },
    "dns-drop": { kind: "list", value: "ADDRESS", help: "Drop a name server" },
  },
  arity: { min: 1, max: 1 },
  async run({ options, args, global }) {
    const dnsAdd = options["dns-add"], dnsDrop = options["dns-drop"];
    if (dnsAdd.length + dnsDrop.length === 0) {
      throw new InvalidArgumentError("nothing to update: give --dns-add or --dns-drop");
    }
    print(`${await networkUpdate(engineFor(global), args[0]!, { dnsAdd, dnsDrop })}\n`);
  },
});
