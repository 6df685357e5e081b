/**
 * `.dockerignore`, and the patterns of `--exclude`: which paths of a tree they leave out.
 *
 * Ours and not @balena/dockerignore, which reads a pattern as node-ignore does and differs from docker in moby's own
 * table (`**file`, `a**\/*.txt`, `[a-b-c]`, what a parent matched when an exception follows).
 *
 * @see github.com/moby/patternmatcher; Go path/filepath, Match; Dockerfile reference, .dockerignore file
 */

import { InvalidArgumentError } from "../errors.ts";
import { goQuote } from "../spec/go_quote.ts";
import { trim } from "./dockerfile/characters.ts";

/** The patterns of such a file: without comments and blank lines, cleaned. */
export function parseIgnoreFile(text: string): string[] {
  const patterns: string[] = [];
  for (const line of text.replace(/^\ufeff/, "").split("\n")) {
    // A comment begins at the very beginning of its line.
    if (line.startsWith("#")) continue;
    let pattern = trim(line);
    const isException = pattern.startsWith("!");
    if (isException) pattern = trim(pattern.slice(1));
    if (pattern !== "") {
      pattern = cleanPath(pattern);
      if (pattern.length > 1) pattern = pattern.replace(/^\//, "");
    }
    if (pattern !== "" || isException) patterns.push(isException ? `!${pattern}` : pattern);
  }
  return patterns;
}

export interface PatternMatcher {
  /** `path` is below the root, parts between slashes, no slash in front: the last pattern for it or a parent counts. */
  matches(path: string): boolean;
  /** There is a pattern with `!`. */
  readonly hasExceptions: boolean;
  /** Something below a folder that matches may be taken back by a `!` pattern: a walker must not skip it. */
  mayHoldExceptions(folder: string): boolean;
}

/** @throws {InvalidArgumentError} for a pattern that is none */
export function compilePatterns(patterns: readonly string[]): PatternMatcher {
  const compiled = patterns.map(trim).filter((pattern) => pattern !== "").map(compileOne);
  const exceptions = compiled.filter((pattern) => pattern.isException);
  return {
    hasExceptions: exceptions.length > 0,
    matches(path) {
      if (path === "" || path === ".") return false;
      const prefixes = parentsOf(path);
      let isMatched = false;
      for (const pattern of compiled) {
        if (pattern.isException !== isMatched) continue;
        if (prefixes.some(pattern.test)) isMatched = !pattern.isException;
      }
      return isMatched;
    },
    mayHoldExceptions: (folder) => exceptions.some((pattern) => mayMatchBelow(pattern.parts, folder)),
  };
}

export type IgnoreDecision =
  | "kept"
  /** And nothing below it is kept. */
  | "ignored"
  /** A folder that is left out itself, though something below it may be kept. */
  | "look";

/** A test for the entries of a context. */
export function compileIgnore(
  patterns: string | readonly string[],
): (path: string, isFolder: boolean) => IgnoreDecision {
  const matcher = compilePatterns(typeof patterns === "string" ? parseIgnoreFile(patterns) : patterns);
  return (path, isFolder) => {
    if (!matcher.matches(path)) return "kept";
    return isFolder && matcher.mayHoldExceptions(path) ? "look" : "ignored";
  };
}

interface Pattern {
  isException: boolean;
  parts: string[];
  test: (path: string) => boolean;
}

function compileOne(text: string): Pattern {
  let pattern = cleanPath(text);
  const isException = pattern.startsWith("!");
  if (isException) pattern = pattern.slice(1);
  if (pattern === "") throw new InvalidArgumentError('illegal exclusion pattern: "!"');
  const source = compilePattern(pattern);
  if (source === undefined) {
    throw new InvalidArgumentError(`ignore pattern ${goQuote(pattern)}: syntax error in pattern`);
  }
  return { isException, parts: pattern.split("/"), test: testOf(pattern, source) };
}

/** What has no wildcard but `**` at one of its ends needs no regular expression. */
function testOf(pattern: string, source: string): (path: string) => boolean {
  if (!/[*?[\]\\]/.test(pattern)) return (path) => path === pattern;
  const fixed = pattern.replace(/^\*\*|\*\*$/, "");
  if (!/[*?[\]\\]/.test(fixed) && pattern.endsWith("**") && !pattern.startsWith("**")) {
    return (path) => path.startsWith(fixed);
  }
  if (pattern === "**") return () => true;
  if (!/[*?[\]\\]/.test(fixed) && pattern.startsWith("**")) {
    const name = fixed.replace(/^\//, "");
    return (path) => path.endsWith(fixed) || (fixed !== name && path === name);
  }
  const expression = new RegExp(`^${source}$`, "su");
  return (path) => expression.test(path);
}

/**
 * The regular expression of a pattern; undefined where Go's filepath.Match says that it is malformed. `**` is any number
 * of folders, and at the end anything.
 */
function compilePattern(pattern: string): string | undefined {
  const chars = [...pattern];
  let source = "";
  for (let at = 0; at < chars.length; at++) {
    const char = chars[at]!;
    if (char === "*" && chars[at + 1] === "*") {
      while (chars[at + 1] === "*" && chars[at] === "*") at++;
      if (chars[at + 1] === "/") at++;
      source += at + 1 === chars.length ? ".*" : "(?:.*/)?";
    } else if (char === "*") source += "[^/]*";
    else if (char === "?") source += "[^/]";
    else if (char === "\\") {
      if (++at === chars.length) return undefined;
      source += literal(chars[at]!);
    } else if (char === "[") {
      const set = compileSet(chars, at);
      if (!set) return undefined;
      source += set.source;
      at = set.end;
    } else source += literal(char);
  }
  return source;
}

/** `[a-z]`, `[^a]`: at least one range, none of whose ends is a bare `-` or `]`. */
function compileSet(chars: readonly string[], start: number): { source: string; end: number } | undefined {
  let at = start + 1;
  const isNegated = chars[at] === "^";
  if (isNegated) at++;
  const end = (): string | undefined => {
    let char = chars[at++];
    if (char === "-" || char === "]") return undefined;
    if (char === "\\") char = chars[at++];
    return char;
  };
  let ranges = "";
  do {
    const low = end();
    let high = low;
    if (low !== undefined && chars[at] === "-") {
      at++;
      high = end();
    }
    if (low === undefined || high === undefined || at >= chars.length) return undefined;
    // A range the wrong way round holds nothing.
    if (low.codePointAt(0)! <= high.codePointAt(0)!) ranges += `${literal(low)}-${literal(high)}`;
  } while (chars[at] !== "]");
  if (ranges === "") return { source: isNegated ? "[^]" : "[]", end: at };
  return { source: `[${isNegated ? "^" : ""}${ranges}]`, end: at };
}

function literal(char: string): string {
  return char.replace(/[\\^$.*+?()[\]{}|/-]/, "\\$&");
}

/** `a`, `a/b`, `a/b/c`, the path itself first. */
function parentsOf(path: string): string[] {
  const paths = [path];
  for (let at = path.lastIndexOf("/"); at > 0; at = path.lastIndexOf("/", at - 1)) {
    paths.push(path.slice(0, at));
  }
  return paths;
}

/** Whether `parts` may match something below the folder, each of whose names then matches the part beside it. */
function mayMatchBelow(parts: readonly string[], folder: string): boolean {
  for (const [index, name] of folder.split("/").entries()) {
    const part = parts[index];
    if (part === undefined) return false;
    if (part.includes("**")) return true;
    const source = compilePattern(part);
    if (source === undefined || !new RegExp(`^${source}$`, "su").test(name)) return false;
  }
  return true;
}

/** Go's filepath.Clean: no `.`, no `//`, no `..` but in front, no slash at the end. */
function cleanPath(path: string): string {
  const isAbsolute = path.startsWith("/");
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.length > 0 && parts.at(-1) !== "..") parts.pop();
    else if (!isAbsolute) parts.push(part);
  }
  const clean = parts.join("/");
  return isAbsolute ? `/${clean}` : clean || ".";
}
