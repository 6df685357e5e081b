/** @see docs.docker.com/reference/cli/docker/buildx/use */

import { SkiffError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";

/** @throws {SkiffError} for any but the one builder that there is */
export function checkBuilder(name: string | undefined): void {
  if (name !== undefined && name !== "default") throw new SkiffError(`no builder "${name}" found`);
}

export const command = defineCommand({
  usage: "[options] NAME",
  description: "Chooses the builder; there is one, `default`.",
  examples: ["skiff buildx use default"],
  flags: {
    default: { kind: "bool", help: "For this place; it is so everywhere" },
    global: { kind: "bool", help: "For all contexts; it is so everywhere" },
  },
  arity: { min: 1, max: 1 },
  run({ args }) {
    checkBuilder(args[0]);
    return Promise.resolve();
  },
});
