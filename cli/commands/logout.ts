/** @see podman-logout(1) */

import { checkAuthFile, logout, logoutAll, registryName } from "../../runtime/engine/login.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { print } from "../output/print.ts";

export const command = defineCommand({
  usage: "[options] [REGISTRY]",
  description:
    "Forgets a login. Without REGISTRY: that of the first registry of registries.conf, else of docker.io.",
  examples: ["skiff logout quay.io", "skiff logout --all"],
  flags: {
    all: { kind: "bool", short: "a", help: "Forget the logins for all registries of the file" },
    authfile: { kind: "string", value: "FILE", help: "Remove the login from FILE" },
  },
  arity: { max: 1 },
  async run({ options, args }) {
    const { all, authfile: authFile } = options;
    if (all && args.length > 0) throw new InvalidArgumentError("--all takes no arguments");
    await checkAuthFile(authFile);
    if (all) {
      await logoutAll(authFile);
      return print("Removed login credentials for all registries\n");
    }
    const registry = await registryName(args[0]);
    await logout(registry, authFile);
    print(`Removed login credentials for ${registry}\n`);
  },
});
