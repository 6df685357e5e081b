/** @see podman-volume-reload(1) */

import { volumeReload } from "../../runtime/engine/volume_mount.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { print, printError } from "../output/print.ts";
import { renderError } from "../render_error.ts";

export const command = defineCommand({
  usage: "",
  description:
    "Asks all volume plugins for their volumes: takes those that skiff does not know, forgets those that are gone and that\n" +
    "no container uses.",
  examples: ["skiff volume reload"],
  flags: {},
  arity: { max: 0 },
  async run({ global }) {
    const { added, removed, errors } = await volumeReload(engineFor(global));
    if (added.length > 0) print(`Added:\n${added.join("\n")}\n`);
    if (removed.length > 0) print(`Removed:\n${removed.join("\n")}\n`);
    for (const error of errors) printError(renderError(error, false).text);
    return errors.length > 0 ? 125 : 0;
  },
});
