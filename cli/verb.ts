/** What a command is to the table of commands. */

import type { Command } from "./command.ts";

export interface Verb {
  /** The canonical name; `container ls` is the `list` of its group. */
  name: string;
  aliases?: readonly string[];
  /** One line of `skiff --help`. */
  summary: string;
  load(): Promise<{ command: Command }>;
}

/** One without other names. */
export function verb(name: string, summary: string, load: Verb["load"]): Verb {
  return { name, summary, load };
}

export interface VerbGroup {
  name: string;
  summary: string;
  verbs: readonly Verb[];
}
