/** The options that `logs` and `pod logs` share. @see podman-logs(1) */

import type { Flags } from "../command.ts";

export const LOG_FLAGS = {
  color: { kind: "bool", help: "Show each container's lines in a colour of its own" },
  follow: { kind: "bool", short: "f", help: "Go on until the container ends" },
  names: {
    kind: "bool",
    short: "n",
    help: "Begin lines with names instead of ids, where there are several",
  },
  since: {
    kind: "string",
    value: "TIME",
    help: "From TIME on: 10m, 2026-11-20T10:00:00Z, seconds since 1970",
  },
  tail: { kind: "int", value: "N", words: { all: -1 }, help: "Only the last N lines (default all)" },
  timestamps: { kind: "bool", short: "t", help: "Begin lines with their time" },
  until: { kind: "string", value: "TIME", help: "Up to TIME" },
} as const satisfies Flags;
