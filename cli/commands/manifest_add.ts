/** @see podman-manifest-add(1) */

import { manifestAdd } from "../../runtime/engine/manifest_add.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { detailsFrom, ENTRY_FLAGS } from "../flags/manifest_entry.ts";
import { REGISTRY_FLAGS, registryFrom } from "../flags/registry_login.ts";
import { print } from "../output/print.ts";

export const command = defineCommand({
  usage: "[options] LIST IMAGE [IMAGE...]",
  description:
    "An IMAGE is one of the store or else of a registry, where it stays until the list is pushed;\n" +
    "docker://NAME is that of the registry. Prints the list's id.",
  examples: [
    "skiff manifest add app:1 app:1-arm64",
    "skiff manifest add --all app:1 docker://quay.io/team/app:1",
    "skiff manifest add --arch arm --variant v6 app:1 app:1-pi",
  ],
  flags: {
    all: { kind: "bool", help: "Add every image of what is a list itself" },
    ...ENTRY_FLAGS,
    ...REGISTRY_FLAGS,
  },
  arity: { min: 2 },
  async run({ options, given, args, global }) {
    const [list = "", ...images] = args;
    const id = await manifestAdd(engineFor(global), list, images, {
      all: options.all,
      ...detailsFrom(options),
      ...await registryFrom(options, given),
    });
    print(`${id}\n`);
  },
});
