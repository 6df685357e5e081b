/** @see podman-pull(1) */

import { pull } from "../../runtime/engine/pull.ts";
import type { PullPolicy } from "../../runtime/engine/options.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { PLATFORM_FLAGS, platformFrom } from "../flags/platform.ts";
import { print } from "../output/print.ts";
import { PullWatch } from "../terminal/pull_watch.ts";

export const command = defineCommand({
  usage: "[options] IMAGE [IMAGE...]",
  description: "Prints the id of each image. A pull that was broken off goes on where it was.",
  examples: [
    "skiff pull docker.io/library/debian:12",
    "skiff pull --platform linux/arm64 docker.io/library/alpine",
  ],
  flags: {
    authfile: { kind: "string", value: "FILE", help: "Read logins from FILE" },
    ...PLATFORM_FLAGS,
    policy: {
      kind: "string",
      value: "POLICY",
      choices: ["always", "missing", "never", "newer"],
      help: "When to pull: always, missing, never or newer (default always)",
    },
    quiet: { kind: "bool", short: "q", help: "Show no progress" },
    "tls-verify": {
      kind: "bool",
      default: true,
      help: "Require HTTPS and verify certificates of registries",
    },
    "disable-content-trust": { kind: "bool", help: "Of Docker, without effect", hidden: true },
  },
  arity: { min: 1 },
  async run({ options, given, args, global }) {
    const engine = engineFor(global);
    for (const reference of args) {
      const watch = new PullWatch(options.quiet);
      const { id } = await watch.during(() =>
        pull(engine, reference, {
          platform: platformFrom(options),
          tlsVerify: given.has("tls-verify") ? options["tls-verify"] : undefined,
          authFile: options.authfile,
          policy: options.policy as PullPolicy | undefined,
          signal: watch.signal,
          progress: watch.progress,
        })
      );
      print(`${id}\n`);
    }
  },
});
