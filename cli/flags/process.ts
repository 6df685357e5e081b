/** Options about the process in a container, alike for `run`, `create` and `exec`. */

import { InvalidArgumentError } from "../../runtime/errors.ts";
import type { Flags, Values } from "../command.ts";

export const DETACH_KEYS = {
  "detach-keys": {
    kind: "string",
    value: "KEYS",
    help: "Keys that detach from the terminal; empty: none",
    default: "ctrl-p,ctrl-q",
  },
} as const satisfies Flags;

export const ENV = {
  env: {
    kind: "array",
    short: "e",
    value: "KEY[=VALUE]",
    help: "Set a variable; KEY alone takes the caller's value, KEY* all that begin so",
  },
} as const satisfies Flags;

export const ENV_FILE = {
  "env-file": { kind: "list", value: "FILE", help: "Read variables from FILE, one a line" },
} as const satisfies Flags;

export const INTERACTIVE = {
  interactive: { kind: "bool", short: "i", help: "Keep stdin open" },
} as const satisfies Flags;

export const PRIVILEGED = {
  privileged: { kind: "bool", help: "Give all capabilities and devices that the user has" },
} as const satisfies Flags;

export const TTY = {
  tty: { kind: "bool", short: "t", help: "Give the process a terminal" },
} as const satisfies Flags;

export const USER = {
  user: { kind: "string", short: "u", value: "USER[:GROUP]", help: "User (and group), by name or number" },
} as const satisfies Flags;

export const WORKDIR = {
  workdir: { kind: "string", short: "w", value: "FOLDER", help: "Working folder inside the container" },
} as const satisfies Flags;

export const PRESERVE_FDS = {
  "preserve-fd": {
    kind: "list",
    value: "FD[,FD…]",
    help: "Pass these further file descriptors of the caller, under their numbers",
  },
  "preserve-fds": {
    kind: "uint",
    value: "N",
    help: "Pass N further file descriptors of the caller, from 3 on",
  },
} as const satisfies Flags;

/** Those that were asked for. @throws {InvalidArgumentError} where the caller has not passed one */
export async function preservedFrom(options: Values<typeof PRESERVE_FDS>): Promise<number[] | undefined> {
  const { "preserve-fds": count, "preserve-fd": words } = options;
  if (!count && words.length === 0) return undefined;
  const { preservedFds } = await import("../../runtime/engine/preserved_fds.ts");
  return preservedFds({ count, numbers: words.map(parseFd) });
}

function parseFd(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError(
    `invalid argument ${JSON.stringify(text)} for "--preserve-fd" flag: strconv.ParseUint: parsing ${
      JSON.stringify(text)
    }: invalid syntax`,
  );
}

export const SIG_PROXY = {
  "sig-proxy": {
    kind: "bool",
    default: true,
    help: "Pass signals on to the process when it has no terminal",
  },
} as const satisfies Flags;
