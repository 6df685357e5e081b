/**
 * `<<EOF`: which words of a line begin a document, and what its end is called.
 *
 * @see BuildKit frontend/dockerfile/parser/parser.go; Dockerfile reference, here-documents
 */

import { lex } from "./expand.ts";

/** `3<<-"EOF"` */
export interface HeredocWord {
  /** Unquoted. */
  name: string;
  /** No part of the name was quoted. */
  expand: boolean;
  /** `<<-`: tabs at the beginning of lines go. */
  chomp: boolean;
  /** 0 where none is written. */
  descriptor: number;
}

/** The blanks are not tried one fewer at a time: a line may have a million. */
const HEREDOC = /^(\d*)<<(-?)\s*(?!\s)([^<]*)$/;
const LEADING_TABS = /(^|\n)\t+/g;

/** Those of a line, in their order. A line whose quotes or substitutions are broken has none. */
export function findHeredocs(line: string): HeredocWord[] {
  const words = readWords(line, true);
  return (words ?? []).map(parseHeredocWord).filter((word) => word !== undefined);
}

/** Undefined where the word begins no document. @throws {BuildError} where its quotes are broken */
export function parseHeredocWord(word: string): HeredocWord | undefined {
  const match = HEREDOC.exec(word);
  const rest = match?.[3];
  if (!match || !rest) return undefined;
  const options = { escape: "\\", keepUnset: true, split: true };
  const plain = lex(rest, () => undefined, options).words;
  if (plain.length !== 1) return undefined;
  const quoted = lex(rest, () => undefined, { ...options, rawQuotes: true }).words[0]!;
  return {
    name: plain[0]!,
    expand: countQuotes(plain[0]!) === countQuotes(quoted),
    chomp: match[2] === "-",
    descriptor: Number(match[1] ?? 0),
  };
}

/** The same for arguments, among which a broken one is a name like others. */
export function asHeredocWord(word: string): HeredocWord | undefined {
  try {
    return parseHeredocWord(word);
  } catch {
    return undefined;
  }
}

export function removeLeadingTabs(content: string): string {
  return content.replace(LEADING_TABS, "$1");
}

function readWords(line: string, isRaw: boolean): string[] | undefined {
  try {
    const options = { escape: "\\", keepUnset: true, rawQuotes: isRaw, rawEscapes: isRaw, split: true };
    return lex(line, () => undefined, options).words;
  } catch {
    return undefined;
  }
}

function countQuotes(text: string): number {
  return text.match(/['"]/g)?.length ?? 0;
}
