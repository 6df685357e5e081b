/** Options that choose containers. */

import type { Flags } from "../command.ts";

export const CIDFILE = {
  cidfile: { kind: "array", value: "FILE", help: "Read the container's id from FILE" },
} as const satisfies Flags;

export const FILTER = {
  filter: { kind: "list", short: "f", value: "KEY=VALUE", help: "Act on the containers that match" },
} as const satisfies Flags;

export const IGNORE = {
  ignore: { kind: "bool", short: "i", help: "A container that does not exist is no error" },
} as const satisfies Flags;

export const LATEST = {
  latest: { kind: "bool", short: "l", help: "Act on the container created last" },
} as const satisfies Flags;

export const STOP_SIGNAL = {
  signal: {
    kind: "string",
    short: "s",
    value: "SIGNAL",
    help: "Send SIGNAL first, not the container's stop signal",
  },
} as const satisfies Flags;

export const SIGNAL = {
  signal: {
    kind: "string",
    short: "s",
    value: "SIGNAL",
    help: "Signal to send, by name or number (default KILL)",
  },
} as const satisfies Flags;

export const TIME = {
  time: {
    kind: "int",
    short: "t",
    value: "SECONDS",
    aliases: ["timeout"],
    help: "Seconds to wait before killing; -1 waits for ever (default: the container's, which is 10)",
  },
} as const satisfies Flags;
