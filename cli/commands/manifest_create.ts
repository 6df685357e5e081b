/** @see podman-manifest-create(1) */

import { manifestCreate } from "../../runtime/engine/manifest_create.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { annotationsFrom } from "../flags/manifest_entry.ts";
import { print } from "../output/print.ts";

export const command = defineCommand({
  usage: "[options] LIST [IMAGE...]",
  description: "Makes a list of images for several platforms, and prints its id.",
  examples: ["skiff manifest create app:1", "skiff manifest create app:1 app:1-amd64 app:1-arm64"],
  flags: {
    all: { kind: "bool", help: "Add every image of what is a list itself" },
    amend: { kind: "bool", short: "a", help: "Add to the list where there is one of that name" },
    annotation: { kind: "array", value: "KEY=VALUE", help: "Set an annotation of the list" },
    "tls-verify": {
      kind: "bool",
      default: true,
      help: "Require HTTPS and verify certificates of registries",
    },
  },
  arity: { min: 1 },
  async run({ options, given, args, global }) {
    const [name = "", ...images] = args;
    const { all, amend, annotation } = options;
    const id = await manifestCreate(engineFor(global), name, images, {
      all,
      amend,
      annotations: annotationsFrom(annotation),
      tlsVerify: given.has("tls-verify") ? options["tls-verify"] : undefined,
    });
    print(`${id}\n`);
  },
});
