/** @see podman-image-trust(1) */

import { setTrust, TRUST_TYPES, type TrustType } from "../../runtime/engine/image_trust.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { printable } from "../../runtime/spec/printable.ts";
import { defineCommand } from "../command.ts";
import { TRUST_PLACES, trustPlacesFrom } from "../flags/trust.ts";

export const command = defineCommand({
  usage: "[options] REGISTRY",
  description:
    "REGISTRY is a registry, a namespace, a repository or an image there (quay.io/team), *.DOMAIN, or\n" +
    "default. It is written into ~/.config/containers/policy.json; root's into /etc/containers/policy.json\n" +
    "where root has none of its own. The first one of a user begins as a copy of the machine's.",
  examples: [
    "skiff image trust set -t reject default",
    "skiff image trust set -t sigstoreSigned -f /etc/pki/containers/team.pub quay.io/team",
  ],
  flags: {
    pubkeysfile: {
      kind: "array",
      short: "f",
      value: "FILE",
      help: "A file with public keys; of several each must have signed",
    },
    type: {
      kind: "string",
      short: "t",
      value: "TYPE",
      help: "signedBy (the default), sigstoreSigned, accept or reject",
    },
    ...TRUST_PLACES,
  },
  arity: { min: 1, max: 1 },
  async run({ options, args }) {
    const type = TRUST_TYPES.find((one) => one === (options.type ?? ("signedBy" satisfies TrustType)));
    if (type === undefined) {
      const choices = TRUST_TYPES.map((one) => `'${one}'`).join(", ");
      throw new InvalidArgumentError(`invalid choice: ${printable(options.type!)} (choose from ${choices})`);
    }
    await setTrust({ scope: args[0]!, type, keyPaths: options.pubkeysfile }, trustPlacesFrom(options));
  },
});
