/** After a reboot: what podman-restart.service and Docker's daemon do. */

import { BOOT_UNIT, installBootUnit } from "../../runtime/engine/boot_unit.ts";
import { startAll } from "../../runtime/engine/start_all.ts";
import { defineCommand } from "../command.ts";
import { engineFor, engineOptions } from "../engine.ts";
import { print, printError } from "../output/print.ts";
import { renderError } from "../render_error.ts";

export const command = defineCommand({
  usage: "[options]",
  description:
    "Starts the containers with the restart policy always, and those with unless-stopped that nobody had stopped.\n" +
    "With --install-unit it only writes a systemd unit that does so after each boot.",
  examples: ["skiff system start-all", "skiff system start-all --install-unit"],
  flags: {
    "install-unit": { kind: "bool", help: "Write a systemd unit that runs this command after each boot" },
  },
  arity: { max: 0 },
  async run({ options, global }) {
    if (options["install-unit"]) return showUnit(installBootUnit(engineOptions(global)));
    let code = 0;
    for await (const { name, error } of startAll(engineFor(global))) {
      if (error === undefined) {
        print(`${name}\n`);
        continue;
      }
      const rendered = renderError(error, false);
      printError(rendered.text);
      code = Math.max(code, rendered.exitCode);
    }
    return code;
  },
});

function showUnit(path: string): void {
  print(`${path}\n`);
  const isRoot = Deno.uid() === 0;
  const systemctl = isRoot ? "systemctl" : "systemctl --user";
  printError(`To have it run: ${systemctl} daemon-reload && ${systemctl} enable ${BOOT_UNIT}\n`);
  if (!isRoot) printError("At boot, before a login: loginctl enable-linger\n");
}
