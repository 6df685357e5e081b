/** @see podman-diff(1) */

import { type Change, diff } from "../../runtime/engine/diff.ts";
import type { Engine } from "../../runtime/engine/engine.ts";
import { InvalidArgumentError, NotFoundError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { LATEST } from "../flags/selection.ts";
import { checkChangesFormat, renderChanges } from "../output/changes.ts";
import { print } from "../output/print.ts";
import { selectContainers } from "../selection.ts";

export const command = defineCommand({
  usage: "[options] CONTAINER|IMAGE [CONTAINER|IMAGE]",
  description:
    "Lists what a container has changed of its image's files, or an image of the one below it, or what the first\n" +
    "differs in from the second: A added, C changed, D deleted.",
  examples: ["skiff diff web", "skiff diff web other", "skiff diff --format json web"],
  flags: {
    format: { kind: "string", value: "FORMAT", help: "json, or table (the default)" },
    ...LATEST,
  },
  arity: { max: 2 },
  async run({ options, args, global }) {
    const { format } = options;
    checkChangesFormat(format);
    const engine = engineFor(global);
    if (args.length === 0 && !options.latest) {
      throw new InvalidArgumentError('"skiff diff" requires a name, id, or the "--latest" flag');
    }
    const [name, other] = options.latest ? await selectContainers(engine, { latest: true, args }) : args;
    const changes = await (other === undefined ? changesOf(engine, name!, options.latest) : changesBetween());
    print(renderChanges(changes, format));

    async function changesBetween() {
      const { diffBetween } = await import("../../runtime/engine/diff_between.ts");
      return await diffBetween(engine, name!, other!);
    }
  },
});

async function changesOf(engine: Engine, name: string, isLatest: boolean | undefined): Promise<Change[]> {
  try {
    return await diff(engine, name);
  } catch (error) {
    if (!(error instanceof NotFoundError) || isLatest) throw error;
    const [{ imageExists }, { imageDiff }] = await Promise.all([
      import("../../runtime/engine/image_exists.ts"),
      import("../../runtime/engine/image_diff.ts"),
    ]);
    if (await imageExists(engine, name)) return await imageDiff(engine, name);
    // podman's words: it asks its storage
    const message = `${name} not found: layer not known`;
    throw new NotFoundError("container", name, { message, cause: error });
  }
}
