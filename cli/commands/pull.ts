/** @see podman-pull(1) */

import { isFileReference, pull, type PullOptions } from "../../runtime/engine/pull.ts";
import type { PullPolicy } from "../../runtime/engine/options.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { DECRYPTION_FLAGS } from "../flags/encryption.ts";
import { PLATFORM_FLAGS, platformFrom } from "../flags/platform.ts";
import { REGISTRY_FLAGS, registryFrom } from "../flags/registry_login.ts";
import { retriesFrom, RETRY_FLAGS } from "../flags/retry.ts";
import { print } from "../output/print.ts";
import { PullWatch } from "../terminal/pull_watch.ts";

async function allTags(names: readonly string[], how: PullOptions): Promise<string[]> {
  const { listTags } = await import("../../runtime/engine/list_tags.ts");
  const lists: string[] = [];
  for (const name of names) lists.push(...await listTags(name, how));
  return lists;
}

export const command = defineCommand({
  usage: "[options] IMAGE [IMAGE...]",
  description:
    "Prints the id of each image. A pull that was broken off goes on where it was. An image may also be in a file\n" +
    "or folder: docker-archive:FILE, oci-archive:FILE, oci:FOLDER or dir:FOLDER, each perhaps with :NAME.",
  examples: [
    "skiff pull docker.io/library/debian:12",
    "skiff pull --platform linux/arm64 docker.io/library/alpine",
  ],
  flags: {
    "all-tags": { kind: "bool", short: "a", help: "Pull every tag of the repository" },
    ...REGISTRY_FLAGS,
    ...DECRYPTION_FLAGS,
    lazy: {
      kind: "bool",
      help:
        "Fetch eStargz and zstd:chunked layers when a container reads them; the rest follows while it runs",
    },
    ...PLATFORM_FLAGS,
    ...RETRY_FLAGS,
    policy: {
      kind: "string",
      value: "POLICY",
      choices: ["always", "missing", "never", "newer"],
      help: "When to pull: always, missing, never or newer (default always)",
    },
    quiet: { kind: "bool", short: "q", help: "Show no progress" },
    "disable-content-trust": { kind: "bool", help: "Of Docker, without effect", hidden: true },
  },
  arity: { min: 1 },
  async run({ options, given, args, global }) {
    const engine = engineFor(global);
    const how = {
      platform: platformFrom(options),
      ...await registryFrom(options, given),
      policy: options.policy as PullPolicy | undefined,
      lazy: options.lazy,
      decryptionKeys: options["decryption-key"],
      ...retriesFrom(options),
    };
    const references = options["all-tags"] ? await allTags(args, how) : args;
    for (const reference of references) {
      const watch = new PullWatch(options.quiet);
      const pullOptions = { ...how, signal: watch.signal, progress: watch.progress };
      const pulled = await watch.during(async () =>
        isFileReference(reference)
          ? await (await import("../../runtime/engine/pull_files.ts")).pullFiles(
            engine,
            reference,
            pullOptions,
          )
          : [await pull(engine, reference, pullOptions)]
      );
      print(pulled.map(({ id }) => `${id}\n`).join(""));
    }
  },
});
