/** @see podman-secret-ls(1) */

import { type SecretInfo, secrets } from "../../runtime/engine/secrets.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { filterSecrets } from "../filters/secrets.ts";
import { humanAge } from "../output/humanize.ts";
import { type ListView, renderList } from "../output/list.ts";
import { print } from "../output/print.ts";

const VIEW: ListView<SecretInfo> = {
  name: "list secret",
  rowType: "*entities.SecretListReport",
  fields: {
    ID: { heading: "ID", value: ({ ID }) => ID },
    Name: { heading: "NAME", value: ({ Spec }) => Spec.Name },
    Driver: { heading: "DRIVER", value: ({ Spec }) => Spec.Driver.Name },
    CreatedAt: { heading: "CREATED", value: ({ CreatedAt }) => humanAge(CreatedAt, Date.now()) },
    UpdatedAt: { heading: "UPDATED", value: ({ UpdatedAt }) => humanAge(UpdatedAt, Date.now()) },
    Labels: { heading: "LABELS", value: ({ Spec }) => Spec.Labels },
  },
  document: (secret) => secret,
};

export const command = defineCommand({
  usage: "[options]",
  examples: ["skiff secret ls", "skiff secret ls -q --filter name=db"],
  flags: {
    filter: { kind: "array", short: "f", value: "KEY=VALUE", help: "Only those that match: id=, name=" },
    format: { kind: "string", value: "FORMAT", help: "json, table or a Go template" },
    noheading: { kind: "bool", short: "n", help: "Do not print the headings" },
    quiet: { kind: "bool", short: "q", help: "Print ids only" },
  },
  arity: { max: 0 },
  async run({ options, global }) {
    const { format, quiet, noheading } = options;
    const found = filterSecrets(await secrets(engineFor(global)), options.filter);
    if (quiet && format === undefined) return print(found.map(({ ID }) => `${ID}\n`).join(""));
    const columns = ["ID", "Name", "Driver", "CreatedAt", "UpdatedAt"];
    print(await renderList(found, VIEW, { format, columns, noHeading: noheading }));
  },
});
