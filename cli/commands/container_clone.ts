/** @see podman-container-clone(1) */

import { clone } from "../../runtime/engine/clone.ts";
import { InvalidArgumentError, UnsupportedError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { print, printWarnings } from "../output/print.ts";

/** What podman could change of the clone: limits, which need cgroups. */
const REFUSED: Record<string, string> = Object.fromEntries(
  ("blkio-weight blkio-weight-device cpu-period cpu-quota cpu-rt-period cpu-rt-runtime cpu-shares cpus " +
    "cpuset-cpus cpuset-mems device-read-bps device-write-bps memory memory-reservation memory-swap " +
    "memory-swappiness").split(" ").map((name) => [name, "resource limits are not set yet"]),
);

const SHORT: Record<string, string> = { "cpu-shares": "c", memory: "m" };

export const command = defineCommand({
  usage: "[options] CONTAINER [NAME [IMAGE]]",
  description:
    "Makes another container with the same configuration and prints its id. It shares the named volumes; " +
    "what the original has written into its own files is not copied.",
  examples: [
    "skiff container clone web",
    "skiff container clone --destroy --force --run web web2 nginx:1.27",
  ],
  flags: {
    destroy: { kind: "bool", help: "Remove the original" },
    force: { kind: "bool", short: "f", help: "With --destroy: also where it runs" },
    name: { kind: "string", value: "NAME", help: "Name of the clone (default CONTAINER-clone)" },
    pod: { kind: "string", value: "POD", help: "Put the clone into a pod" },
    run: { kind: "bool", help: "Start the clone" },
    ...Object.fromEntries(
      Object.keys(REFUSED).map((name) => [name, {
        kind: "string" as const,
        short: SHORT[name],
        hidden: true,
        help: REFUSED[name]!,
      }]),
    ),
  },
  arity: { min: 1, max: 3, message: undefined },
  async run({ options, given, args, global }) {
    const refused = [...given].find((name) => Object.hasOwn(REFUSED, name));
    if (refused !== undefined) {
      throw new UnsupportedError(`--${refused} is not available yet: ${REFUSED[refused]}`);
    }
    const { destroy, force, run } = options;
    if (force && !destroy) throw new InvalidArgumentError("cannot set --force without --destroy");
    const name = (options.name as string | undefined) ?? args[1];
    const made = await clone(engineFor(global), args[0]!, {
      name,
      image: args[2],
      destroy: destroy as boolean,
      force: force as boolean,
      run: run as boolean,
      pod: options.pod as string | undefined,
    });
    printWarnings(made.warnings);
    print(`${made.id}\n`);
  },
});
