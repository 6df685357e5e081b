/**
 * The arguments of an instruction, still raw: in words, in pairs, or as a JSON array.
 *
 * @see BuildKit frontend/dockerfile/parser/line_parsers.go
 */

import { BuildError } from "../../errors.ts";
import { goQuote } from "../../spec/go_quote.ts";
import type { KeyValue } from "./ast.ts";
import { cutFirstWord, isSpace, trimStart } from "./characters.ts";

/** Split at blanks outside quotes; quotes and escapes stay in the words. */
export function splitWords(text: string, escape: string): string[] {
  const words: string[] = [];
  const chars = [...text];
  let word = "";
  let quote = "";
  for (let at = 0; at < chars.length; at++) {
    let char = chars[at]!;
    if (!quote && isSpace(char)) {
      if (word !== "") words.push(word);
      word = "";
      continue;
    }
    if (char === escape && quote !== "'") {
      // The last one escapes nothing.
      if (at === chars.length - 1) break;
      word += char;
      char = chars[++at]!;
    } else if (char === quote) quote = "";
    else if (!quote && (char === "'" || char === '"')) quote = char;
    word += char;
  }
  if (word !== "") words.push(word);
  return words;
}

/** `["a", "b"]`; undefined where it is none, so that the shell takes it. Throws where it is one of other things. */
export function parseStringArray(text: string): string[] | undefined {
  const array = trimStart(text);
  if (!array.startsWith("[")) return undefined;
  let parsed: unknown;
  try {
    parsed = JSON.parse(array);
  } catch {
    return undefined;
  }
  if (Array.isArray(parsed) && parsed.every((item) => typeof item === "string")) {
    return parsed.map((item) => item.toWellFormed());
  }
  throw new BuildError("when using JSON array syntax, arrays must be comprised of strings only");
}

export interface Pairs {
  pairs: KeyValue[];
  /** `KEY the whole rest` instead of `KEY=value …`. */
  isLegacy: boolean;
}

/** Of ENV and LABEL. */
export function parsePairs(text: string, keyword: string, escape: string): Pairs {
  const words = splitWords(text, escape);
  if (words.length === 0) return { pairs: [], isLegacy: false };
  if (!words[0]!.includes("=")) {
    const [key, value] = cutFirstWord(text);
    if (value === undefined) throw new BuildError(`${keyword} must have two arguments`);
    return { pairs: [{ key, value }], isLegacy: true };
  }
  const pairs = words.map((word) => {
    const at = word.indexOf("=");
    if (at < 0) {
      throw new BuildError(
        `Syntax error - can't find = in ${goQuote(word)}. Must be of the form: name=value`,
      );
    }
    return { key: word.slice(0, at), value: word.slice(at + 1) };
  });
  return { pairs, isLegacy: false };
}
