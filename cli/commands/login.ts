/** @see podman-login(1) */

import { loggedInUser, login, registryName, validLogin } from "../../runtime/engine/login.ts";
import { InvalidArgumentError, NotFoundError } from "../../runtime/errors.ts";
import { defineCommand, type Flags, type GlobalValues, type Values } from "../command.ts";
import { print, printError } from "../output/print.ts";
import { ask, askHidden } from "../terminal/ask.ts";

const FLAGS = {
  authfile: { kind: "string", value: "FILE", help: "Keep the login in FILE" },
  "cert-dir": { kind: "string", value: "DIR", help: "Certificates of the registry are in DIR" },
  "get-login": { kind: "bool", help: "Print the user who is logged in" },
  password: {
    kind: "string",
    short: "p",
    value: "PASSWORD",
    help: "Password; other users may see it in the list of processes",
  },
  secret: {
    kind: "string",
    value: "SECRET",
    help: "The password is that secret (default username: its name)",
  },
  "password-stdin": { kind: "bool", help: "Read the password from stdin" },
  "tls-verify": {
    kind: "bool",
    default: true,
    help: "Require HTTPS and verify certificates of the registry",
  },
  username: { kind: "string", short: "u", value: "NAME", help: "Username" },
  verbose: { kind: "bool", short: "v", help: "Print where the login is kept" },
} as const satisfies Flags;

/** From the options, stdin, or the terminal. */
async function askLogin(
  registry: string,
  options: Values<typeof FLAGS>,
  known: string | undefined,
  global: GlobalValues,
) {
  if (options.secret) {
    if (options.password !== undefined || options["password-stdin"]) {
      throw new InvalidArgumentError("--secret can not be used with --password options");
    }
    const { secretInspect } = await import("../../runtime/engine/secrets.ts");
    const { engineFor } = await import("../engine.ts");
    const { Spec, SecretData = "" } = await secretInspect(engineFor(global), options.secret, {
      showSecret: true,
    });
    return { username: options.username ?? Spec.Name, password: SecretData };
  }
  if (options["password-stdin"]) {
    if (options.password !== undefined) {
      throw new InvalidArgumentError("Can't specify both --password-stdin and --password");
    }
    if (options.username === undefined) {
      throw new InvalidArgumentError("Must provide --username with --password-stdin");
    }
    const text = await new Response(Deno.stdin.readable).text();
    return { username: options.username, password: text.replace(/\r?\n$/, "") };
  }
  const shown = known === undefined ? "" : ` (${known})`;
  const username = options.username ?? (ask(`Username${shown}: `) || known || "");
  if (username === "") throw new InvalidArgumentError(`log in at ${registry}: there is no username`);
  return { username, password: options.password ?? askHidden("Password: ") };
}

export const command = defineCommand({
  usage: "[options] [REGISTRY]",
  description:
    "Tries a login and keeps it, in $XDG_RUNTIME_DIR/containers/auth.json or the credential helper named there.\n" +
    "Without REGISTRY: the first of registries.conf, else docker.io.",
  examples: [
    "skiff login quay.io",
    "skiff login -u me --password-stdin registry.example.com < token",
    "skiff login --get-login quay.io",
  ],
  flags: FLAGS,
  arity: { max: 1 },
  async run({ options, given, args, global }) {
    const { authfile: authFile, username, password } = options;
    const registry = await registryName(args[0]);
    if (options["get-login"]) {
      const user = await loggedInUser(registry, authFile);
      if (user !== undefined) return print(`${user}\n`);
      throw new NotFoundError("file", registry, { message: `not logged into ${registry}` });
    }
    const how = {
      authFile,
      certDir: options["cert-dir"],
      tlsVerify: given.has("tls-verify") ? options["tls-verify"] : undefined,
    };
    const asksNothing = username === undefined && password === undefined && !options["password-stdin"] &&
      !options.secret;
    const known = asksNothing ? await loggedInUser(registry, authFile) : undefined;
    if (known !== undefined) {
      print(`Authenticating with existing credentials for ${registry}\n`);
      if (await validLogin(registry, how) !== undefined) {
        return print(`Existing credentials are valid. Already logged in to ${registry}\n`);
      }
      printError("Existing credentials are invalid, please enter valid username and password\n");
    }
    const where = await login(registry, await askLogin(registry, options, known, global), how);
    if (options.verbose) print(`Used:  ${where}\n`);
    print("Login Succeeded!\n");
  },
});
