/** @see podman-secret-create(1) */

import { readUpTo } from "../../runtime/archive/read_up_to.ts";
import { secretCreate } from "../../runtime/engine/secrets.ts";
import { hostReason, InvalidArgumentError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { pairs } from "../flags/pairs.ts";
import { print } from "../output/print.ts";

/** More than a secret may hold: what is larger is not read to its end. */
const READ_BYTES = 512_001;

export const command = defineCommand({
  usage: "[options] NAME FILE|-",
  description:
    "Keeps what FILE or stdin (-) holds under a name, and prints the secret's id. Containers get it\n" +
    "by --secret; it is in no image, log or inspect of theirs. The file that keeps it can be read by nobody\n" +
    "else, but it is not encrypted. With the driver pass gpg encrypts it (root=FOLDER,key=KEY,gpghomedir=FOLDER),\n" +
    "with shell it is kept by commands that get its id in SECRET_ID (store=, lookup=, delete=, list=).",
  examples: [
    "skiff secret create db-password password.txt",
    'printf %s "$TOKEN" | skiff secret create token -',
    "skiff secret create --env --replace token TOKEN",
  ],
  flags: {
    driver: {
      kind: "string",
      short: "d",
      value: "DRIVER",
      help: "Who keeps it: file (default), pass or shell",
    },
    "driver-opts": { kind: "list", value: "KEY=VALUE", help: "Options of the driver: pass, shell" },
    env: { kind: "bool", help: "The second argument is a variable of the environment" },
    label: { kind: "array", short: "l", value: "KEY=VALUE", help: "Set metadata" },
    replace: { kind: "bool", help: "A secret of that name gets this content" },
  },
  arity: { min: 2, max: 2 },
  async run({ options, args, global }) {
    const [name, source] = args as [string, string];
    const content = options.env ? readVariable(source) : await readContent(source);
    const id = await secretCreate(engineFor(global), name, content, {
      driver: options.driver,
      driverOptions: pairs(options["driver-opts"]),
      labels: pairs(options.label),
      replace: options.replace,
    });
    print(`${id}\n`);
  },
});

function readVariable(name: string): Uint8Array {
  const text = name === "" ? undefined : Deno.env.get(name);
  if (text) return new TextEncoder().encode(text);
  throw new InvalidArgumentError(
    `cannot create store secret data: environment variable ${name} is not set`,
  );
}

async function readContent(path: string): Promise<Uint8Array> {
  if (path === "-" && Deno.stdin.isTerminal()) {
    throw new InvalidArgumentError("if `-` is used, data must be passed into stdin");
  }
  try {
    using file = path === "-" ? undefined : await Deno.open(path);
    return await readUpTo(file ?? Deno.stdin, READ_BYTES);
  } catch (cause) {
    throw new InvalidArgumentError(`open ${path}: ${hostReason(cause)}`, { cause });
  }
}
