/** The instructions of the language: how their arguments are cut, which flags they take, whether heredocs feed them. */

import type { FlagTable } from "./flags.ts";

export interface InstructionRow {
  /**
   * `list`: a JSON array, or words between blanks; `blanks`: these alone; `command`: a JSON array, or one text; `text`;
   * `words`: quotes keep blanks together; `pairs`: `KEY=value`; `health` and `trigger` hold a command or an instruction.
   */
  cut: "list" | "blanks" | "command" | "text" | "words" | "pairs" | "health" | "trigger";
  flags: FlagTable;
  takesHeredocs?: boolean;
}

const FILES: FlagTable = { chown: "string", chmod: "string", link: "bool", exclude: "strings" };

/** @see BuildKit frontend/dockerfile/command, parser/parser.go (dispatch), instructions/parse.go */
export const INSTRUCTIONS = {
  ADD: {
    cut: "list",
    flags: { ...FILES, "keep-git-dir": "bool", checksum: "string", unpack: "bool" },
    takesHeredocs: true,
  },
  ARG: { cut: "words", flags: {} },
  CMD: { cut: "command", flags: {} },
  COPY: { cut: "list", flags: { ...FILES, from: "string", parents: "bool" }, takesHeredocs: true },
  ENTRYPOINT: { cut: "command", flags: {} },
  ENV: { cut: "pairs", flags: {} },
  EXPOSE: { cut: "blanks", flags: {} },
  FROM: { cut: "blanks", flags: { platform: "string" } },
  HEALTHCHECK: {
    cut: "health",
    flags: {
      interval: "string",
      timeout: "string",
      "start-period": "string",
      "start-interval": "string",
      retries: "string",
    },
  },
  LABEL: { cut: "pairs", flags: {} },
  MAINTAINER: { cut: "text", flags: {} },
  ONBUILD: { cut: "trigger", flags: {} },
  RUN: {
    cut: "command",
    flags: { mount: "strings", network: "string", security: "string", device: "strings" },
    takesHeredocs: true,
  },
  SHELL: { cut: "command", flags: {} },
  STOPSIGNAL: { cut: "text", flags: {} },
  USER: { cut: "text", flags: {} },
  VOLUME: { cut: "list", flags: {} },
  WORKDIR: { cut: "text", flags: {} },
} as const satisfies Record<string, InstructionRow>;

export type Keyword = keyof typeof INSTRUCTIONS;

/** In any case of letters; undefined where there is no such instruction. */
export function instructionNamed(word: string): Keyword | undefined {
  const upper = word.toUpperCase();
  return Object.hasOwn(INSTRUCTIONS, upper) ? upper as Keyword : undefined;
}
