/** An instruction cut into keyword, flags and arguments, before anything is checked. */

import type { Heredoc, KeyValue, Location } from "./ast.ts";
import { cutFirstWord, splitBlanks, trim } from "./characters.ts";
import { cutFlags } from "./flags.ts";
import { instructionNamed, INSTRUCTIONS } from "./table.ts";
import { parsePairs, parseStringArray, splitWords } from "./words.ts";

export interface Arguments {
  words: string[];
  /** They stood in a JSON array. */
  isJson?: boolean;
  /** Of ENV and LABEL. */
  pairs?: KeyValue[];
  isLegacy?: boolean;
  /** Of ONBUILD. */
  trigger?: Cut;
}

/** Of one line. */
export interface Cut {
  /** As written: `FROM`, `from`. */
  keyword: string;
  flags: string[];
  args: Arguments;
}

export interface Node extends Cut {
  /** The line with its continuations joined. */
  original: string;
  location: Location;
  heredocs: Heredoc[];
  comments: string[];
}

/** @throws {BuildError} where the arguments cannot be cut at all; unknown keywords are left to the caller */
export function cutLine(line: string, escape: string, isTrigger = false): Cut {
  const [keyword, rest] = cutFirstWord(trim(line));
  const [flags, args] = cutFlags(rest ?? "");
  return { keyword, flags, args: cutArguments(keyword, trim(args), escape, isTrigger) };
}

export function takesHeredocs(cut: Cut): boolean {
  const inner = cut.args.trigger ?? cut;
  const keyword = instructionNamed(inner.keyword);
  if (!keyword || inner.args.isJson) return false;
  const row = INSTRUCTIONS[keyword];
  return "takesHeredocs" in row && row.takesHeredocs;
}

function cutArguments(word: string, text: string, escape: string, isTrigger: boolean): Arguments {
  const keyword = instructionNamed(word);
  if (!keyword) return { words: [] };
  switch (INSTRUCTIONS[keyword].cut) {
    case "list":
      return cutArray(text) ?? { words: text === "" ? [] : splitBlanks(text) };
    case "blanks":
      return { words: text === "" ? [] : splitBlanks(text) };
    case "command":
      return cutCommand(text);
    case "text":
      return { words: text === "" ? [] : [text] };
    case "words":
      return { words: splitWords(text, escape) };
    case "pairs":
      return { words: [], ...parsePairs(text, keyword, escape) };
    case "health": {
      if (text === "") return { words: [] };
      const [, kind, rest] = /^(\S+)\s*([^]*)$/.exec(text)!;
      const command = cutCommand(rest!);
      return { ...command, words: [kind!, ...command.words] };
    }
    case "trigger":
      if (text === "") return { words: [] };
      // One within another is refused for that alone.
      if (isTrigger) return { words: [text] };
      return { words: [], trigger: cutLine(text, escape, true) };
  }
}

function cutCommand(text: string): Arguments {
  return cutArray(text) ?? { words: text === "" ? [] : [text] };
}

function cutArray(text: string): Arguments | undefined {
  const words = parseStringArray(text);
  return words && { words, isJson: true };
}
