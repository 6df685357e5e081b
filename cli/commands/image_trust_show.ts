/** @see podman-image-trust(1) */

import { trustEntries, type TrustEntry, trustText } from "../../runtime/engine/image_trust.ts";
import { defineCommand } from "../command.ts";
import { print } from "../output/print.ts";
import { renderTable } from "../output/table.ts";
import { TRUST_PLACES, trustPlacesFrom } from "../flags/trust.ts";

const HEADINGS = ["TRANSPORT", "NAME", "TYPE", "ID", "STORE"];

export const command = defineCommand({
  usage: "[options]",
  description: "Shows what policy.json asks of images, and where registries.d looks for their signatures.",
  examples: ["skiff image trust show", "skiff image trust show --json"],
  flags: {
    json: { kind: "bool", short: "j", help: "Show JSON" },
    noheading: { kind: "bool", short: "n", help: "Do not print the headings" },
    raw: { kind: "bool", help: "Show policy.json as it is" },
    ...TRUST_PLACES,
  },
  // podman takes a registry, and shows all the same
  arity: { max: 1 },
  async run({ options }) {
    const places = trustPlacesFrom(options);
    if (options.raw) {
      const text = await trustText(places);
      return print(text.endsWith("\n") ? text : `${text}\n`);
    }
    const entries = await trustEntries(places);
    if (options.json) return print(JSON.stringify(entries.map(document), undefined, 2) + "\n");
    const rows = entries.map(({ transport, name = "", type, signers = "", lookaside = "" }) => [
      transport,
      name,
      type,
      signers,
      lookaside,
    ]);
    print(renderTable(options.noheading ? rows : [HEADINGS, ...rows]));
  },
});

/** The names are podman's; what is empty is not there. */
function document({ transport, name, type, signers, lookaside }: TrustEntry): object {
  return {
    transport,
    ...name === undefined ? {} : { name: name === "default" ? "* (default)" : name, repo_name: name },
    ...lookaside ? { sigstore: lookaside } : {},
    type,
    ...signers ? { gpg_id: signers } : {},
  };
}
