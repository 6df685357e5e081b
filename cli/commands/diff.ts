/** @see podman-diff(1) */

import { diff } from "../../runtime/engine/diff.ts";
import { InvalidArgumentError, NotFoundError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { LATEST } from "../flags/selection.ts";
import { checkChangesFormat, renderChanges } from "../output/changes.ts";
import { print } from "../output/print.ts";
import { selectContainers } from "../selection.ts";

export const command = defineCommand({
  usage: "[options] CONTAINER|IMAGE",
  description:
    "Lists what a container has changed of its image's files, or an image of the one below it: A added,\n" +
    "C changed, D deleted.",
  examples: ["skiff diff web", "skiff diff --format json web"],
  flags: {
    format: { kind: "string", value: "FORMAT", help: "json, or table (the default)" },
    ...LATEST,
  },
  arity: { max: 1 },
  async run({ options, args, global }) {
    const { format } = options;
    checkChangesFormat(format);
    const engine = engineFor(global);
    if (args.length === 0 && !options.latest) {
      throw new InvalidArgumentError('"skiff diff" requires a name, id, or the "--latest" flag');
    }
    const [name] = options.latest ? await selectContainers(engine, { latest: true, args }) : args;
    const changes = await diff(engine, name!).catch(async (error) => {
      if (!(error instanceof NotFoundError) || options.latest) throw error;
      const [{ imageExists }, { imageDiff }] = await Promise.all([
        import("../../runtime/engine/image_exists.ts"),
        import("../../runtime/engine/image_diff.ts"),
      ]);
      if (!await imageExists(engine, name!)) {
        // podman's words: it asks its storage
        throw new NotFoundError("container", name!, {
          message: `${name} not found: layer not known`,
          cause: error,
        });
      }
      return await imageDiff(engine, name!);
    });
    print(renderChanges(changes, format));
  },
});
