/** @see podman-volume-inspect(1) */

import { type VolumeInfo, volumeInspect, volumes } from "../../runtime/engine/volumes.ts";
import { InvalidArgumentError, NotFoundError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { INSPECT_FLAGS } from "../inspection.ts";
import { escapeLines, jsonText } from "../output/escape.ts";
import { print, printError } from "../output/print.ts";
import { templateFields } from "../volume_fields.ts";

export const command = defineCommand({
  usage: "[options] VOLUME [VOLUME...]",
  examples: ["skiff volume inspect data", "skiff volume inspect --format '{{.Mountpoint}}' data"],
  flags: { all: { kind: "bool", short: "a", help: "All volumes" }, ...INSPECT_FLAGS },
  async run({ options, args, global }) {
    if (args.length > 0 === options.all) {
      throw new InvalidArgumentError("provide one or more volume names or use --all");
    }
    const engine = engineFor(global);
    const found: VolumeInfo[] = options.all ? await volumes(engine) : [];
    const missing: string[] = [];
    for (const name of args) {
      try {
        found.push(await volumeInspect(engine, name));
      } catch (error) {
        if (!(error instanceof NotFoundError)) throw error;
        missing.push(name);
      }
    }
    const { format } = options;
    if (format === undefined || format === "json") print(jsonText(found, 5) + "\n");
    else {
      const { compileFormat, row } = await import("../output/format.ts");
      const template = compileFormat("inspect", format);
      for (const one of found) {
        print(template.execute(row("*entities.VolumeInspectReport", { ...templateFields(one), ...one })));
      }
    }
    for (const name of missing) printError(`Error: inspecting object: no such volume ${escapeLines(name)}\n`);
    return missing.length > 0 ? 125 : 0;
  },
});
