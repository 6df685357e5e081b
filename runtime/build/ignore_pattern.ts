/**
 * One pattern of `.dockerignore` or `--exclude`, or a part of one of COPY: `*` and `?` stop at a slash, `[a-z]`, `\` before
 * what is meant as it is, and `**`: any number of folders, or at the end anything.
 *
 * @see github.com/moby/patternmatcher, compile; Go path/filepath, Match
 */

import { InvalidArgumentError } from "../errors.ts";
import { goQuote } from "../spec/go_quote.ts";

/** One step of a pattern: a character, or any number of them. */
type Token =
  | { kind: "one"; source: string; test: (char: string) => boolean }
  /** `*`; `**` at the end; `**` elsewhere. */
  | { kind: "name" | "anything" | "folders"; source: string };

/** More `*` than this, and a regular expression can be made to take for ever. */
const MAX_STARS_IN_EXPRESSION = 3;

/**
 * A test for whole paths.
 *
 * @throws {InvalidArgumentError} where Go's filepath.Match says that the pattern is malformed
 */
export function compilePattern(pattern: string): (path: string) => boolean {
  const tokens = tokenize(pattern);
  if (!/[*?[\]\\]/.test(pattern)) return (path) => path === pattern;
  const fixed = pattern.replace(/^\*\*/, "");
  // As moby has it, `**name` is whatever ends in it, be it the end of a longer name.
  if (pattern.startsWith("**") && fixed !== "" && !/[*?[\]\\]/.test(fixed)) {
    const name = fixed.startsWith("/") ? fixed.slice(1) : undefined;
    return (path) => path.endsWith(fixed) || path === name;
  }
  if (tokens.filter(({ kind }) => kind !== "one").length > MAX_STARS_IN_EXPRESSION) {
    return (path) => matches(tokens, path);
  }
  const expression = new RegExp(`^${tokens.map(({ source }) => source).join("")}$`, "su");
  return (path) => expression.test(path);
}

function tokenize(pattern: string): Token[] {
  const chars = [...pattern];
  const tokens: Token[] = [];
  for (let at = 0; at < chars.length; at++) {
    const char = chars[at]!;
    if (char === "*" && chars[at + 1] === "*") {
      at++;
      if (chars[at + 1] === "/") at++;
      const isLast = at + 1 === chars.length;
      // Twice in a row is no more than once.
      if (!isLast && tokens.at(-1)?.kind === "folders") continue;
      tokens.push(isLast ? { kind: "anything", source: ".*" } : { kind: "folders", source: "(?:.*/)?" });
    } else if (char === "*") tokens.push({ kind: "name", source: "[^/]*" });
    else if (char === "?") tokens.push({ kind: "one", source: "[^/]", test: (c) => c !== "/" });
    else if (char === "[") {
      const { end, token } = readSet(chars, at) ?? malformed(pattern);
      tokens.push(token);
      at = end;
    } else {
      if (char === "\\" && ++at === chars.length) malformed(pattern);
      tokens.push(literally(chars[at]!));
    }
  }
  return tokens;
}

function literally(char: string): Token {
  return { kind: "one", source: quoted(char), test: (c) => c === char };
}

/** `[a-z]`, `[^a]`: at least one range, none of whose ends is a bare `-` or `]`. */
function readSet(chars: readonly string[], start: number): { token: Token; end: number } | undefined {
  let at = start + 1;
  const isNegated = chars[at] === "^";
  if (isNegated) at++;
  const readEnd = (): string | undefined => {
    let char = chars[at++];
    if (char === "-" || char === "]") return undefined;
    if (char === "\\") char = chars[at++];
    return char;
  };
  const ranges: [low: string, high: string][] = [];
  do {
    const low = readEnd();
    let high = low;
    if (low !== undefined && chars[at] === "-") {
      at++;
      high = readEnd();
    }
    if (low === undefined || high === undefined || at >= chars.length) return undefined;
    // A range the wrong way round holds nothing.
    if (low.codePointAt(0)! <= high.codePointAt(0)!) ranges.push([low, high]);
  } while (chars[at] !== "]");
  const body = ranges.map(([low, high]) => `${quoted(low)}-${quoted(high)}`).join("");
  const source = `[${isNegated ? "^" : ""}${body}]`;
  const holds = (char: string) =>
    ranges.some(([low, high]) =>
      low.codePointAt(0)! <= char.codePointAt(0)! && char.codePointAt(0)! <= high.codePointAt(0)!
    );
  return { token: { kind: "one", source, test: (char) => holds(char) !== isNegated }, end: at };
}

/** All ways through the tokens at once, so that the time is that of the path times the pattern. */
function matches(tokens: readonly Token[], path: string): boolean {
  let at = new Set<number>();
  /** To be before a token is to be behind it as well, where that may stand for nothing. */
  const arrive = (states: Set<number>, index: number) => {
    for (states.add(index); index < tokens.length && tokens[index]!.kind !== "one"; states.add(index)) {
      index++;
    }
  };
  arrive(at, 0);
  for (const char of path) {
    const next = new Set<number>();
    for (const index of at) {
      const token = tokens[index];
      if (!token) continue;
      if (token.kind === "one") {
        if (token.test(char)) arrive(next, index + 1);
      } else if (token.kind === "folders") {
        next.add(index);
        if (char === "/") arrive(next, index + 1);
      } else if (token.kind === "anything" || char !== "/") arrive(next, index);
    }
    at = next;
  }
  return at.has(tokens.length);
}

function quoted(char: string): string {
  return char.replace(/[\\^$.*+?()[\]{}|/-]/, "\\$&");
}

function malformed(pattern: string): never {
  throw new InvalidArgumentError(`match ${goQuote(pattern)}: syntax error in pattern`);
}
