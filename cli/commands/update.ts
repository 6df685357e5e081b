/** @see podman-update(1); ports are changed by skiff alone */

import { update } from "../../runtime/engine/update.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { defineCommand, type Values } from "../command.ts";
import { engineFor } from "../engine.ts";
import { HEALTH_FLAGS, healthOptions, RESTART_FLAG } from "../flags/lifecycle.ts";
import { LATEST } from "../flags/selection.ts";
import { print, printWarnings } from "../output/print.ts";
import { selectContainers } from "../selection.ts";

const FLAGS = {
  "publish-add": {
    kind: "list",
    value: "[IP:][HOST:]PORT[/PROTOCOL]",
    help: "Publish a port or a range, in the spelling of run --publish",
  },
  "publish-rm": {
    kind: "list",
    value: "[IP:][HOST:]PORT[/PROTOCOL]",
    help: "Publish it no more; without a host port wherever it is published",
  },
  env: { kind: "array", short: "e", value: "NAME=VALUE", help: "Set a variable, from the next start on" },
  unsetenv: { kind: "array", value: "NAME", help: "Remove a variable, from the next start on" },
  ...RESTART_FLAG,
  ...HEALTH_FLAGS,
  ...LATEST,
} as const;

export const command = defineCommand({
  usage: "[options] CONTAINER",
  description:
    "Changes the published ports of a container, its restart policy and its health checks, at once where it runs, and\n" +
    "for all its later runs; and its variables, from its next start on. Either the whole change is made or none of it.",
  examples: [
    "skiff update --publish-add 8443:443 web",
    "skiff update --publish-rm 8080:80 --publish-add 80:80 web",
    "skiff update --restart unless-stopped --health-interval 10s web",
    "skiff update --env LEVEL=debug --unsetenv TOKEN web",
  ],
  flags: FLAGS,
  arity: { min: 0, max: 1 },
  async run({ options, args, global }) {
    const engine = engineFor(global);
    const asked = askedFor(options);
    const [target] = await selectContainers(
      engine,
      { args, latest: options.latest },
      "update takes exactly 1 argument",
    );
    const { id, warnings } = await update(engine, target!, asked);
    printWarnings(warnings);
    print(`${id}\n`);
  },
});

function askedFor(options: Values<typeof FLAGS>) {
  const list = (words: string[]) => words.length > 0 ? words : undefined;
  const lifecycle = { restart: options.restart, ...healthOptions(options) };
  const asked = {
    publishAdd: list(options["publish-add"]),
    publishRm: list(options["publish-rm"]),
    env: list(options.env),
    unsetEnv: list(options.unsetenv),
    lifecycle: Object.values(lifecycle).some((value) => value !== undefined) ? lifecycle : undefined,
  };
  if (Object.values(asked).every((value) => value === undefined)) {
    throw new InvalidArgumentError("update container: nothing is to be changed");
  }
  return asked;
}
