/** @see podman-completion(1) */

import { SHELLS } from "../completion/shells.ts";
import { InvalidArgumentError, SkiffError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { print } from "../output/print.ts";

export const command = defineCommand({
  usage: "[options] bash|zsh|fish",
  description:
    "Prints a completion script: commands, options and their values, and the names of your containers,\n" +
    "images and volumes.",
  examples: [
    "source <(skiff completion bash)",
    "skiff completion bash --file ~/.local/share/bash-completion/completions/skiff",
    "skiff completion zsh --file ~/.zfunc/_skiff",
    "skiff completion fish --file ~/.config/fish/completions/skiff.fish",
  ],
  flags: {
    file: { kind: "string", short: "f", value: "FILE", help: "Write it to FILE" },
  },
  arity: { min: 1, max: 1 },
  async run({ options: { file }, args: [shell = ""] }) {
    const script = SHELLS[shell];
    if (script === undefined) {
      throw new InvalidArgumentError(
        `invalid argument ${JSON.stringify(shell)} for "skiff completion": choose ${
          Object.keys(SHELLS).join(", ")
        }`,
      );
    }
    if (file === undefined) return print(script);
    try {
      await Deno.writeTextFile(file, script);
    } catch (cause) {
      throw new SkiffError(`write ${file}: ${(cause as Error).message}`, { cause });
    }
  },
});
