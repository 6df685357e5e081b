/** @see podman-manifest-add(1) */

import { manifestAdd } from "../../runtime/engine/manifest_add.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
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
    artifact: { kind: "bool", help: "The IMAGEs are files, which become an artifact of the list" },
    "artifact-config": { kind: "string", value: "FILE", help: "The artifact's config" },
    "artifact-config-type": { kind: "string", value: "TYPE", help: "Media type of the config" },
    "artifact-exclude-titles": { kind: "bool", help: "The names of the files are left out" },
    "artifact-layer-type": { kind: "string", value: "TYPE", help: "Media type of the files" },
    "artifact-subject": { kind: "string", value: "IMAGE", help: "What the artifact is about" },
    "artifact-type": { kind: "string", value: "TYPE", help: "Type of the artifact" },
  },
  arity: { min: 2 },
  async run({ options, given, args, global }) {
    const [list = "", ...images] = args;
    if (options.artifact) {
      const { manifestAddFiles } = await import("../../runtime/engine/manifest_artifact.ts");
      const id = await manifestAddFiles(engineFor(global), list, images, {
        ...detailsFrom(options),
        type: options["artifact-type"],
        config: options["artifact-config"],
        configType: options["artifact-config-type"],
        layerType: options["artifact-layer-type"],
        excludeTitles: options["artifact-exclude-titles"],
        subject: options["artifact-subject"],
      });
      return print(`${id}\n`);
    }
    const stray = [...given].find((name) => name.startsWith("artifact-"));
    if (stray !== undefined) throw new InvalidArgumentError(`--${stray} needs --artifact`);
    const id = await manifestAdd(engineFor(global), list, images, {
      all: options.all,
      ...detailsFrom(options),
      ...await registryFrom(options, given),
    });
    print(`${id}\n`);
  },
});
