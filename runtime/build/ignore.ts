/**
 * `.dockerignore`, and the patterns of `--exclude`: which paths of a tree they leave out.
 *
 * Ours and not @balena/dockerignore: that one (1.0.2) takes upper and lower case for the same, matches no name with
 * parentheses, and accepts the sets that docker refuses, of moby's own table.
 *
 * @see github.com/moby/patternmatcher; Go path/filepath, Match; Dockerfile reference, .dockerignore file
 */

import { InvalidArgumentError } from "../errors.ts";
import { trim } from "./dockerfile/characters.ts";
import { compilePattern } from "./ignore_pattern.ts";

/** The patterns of such a file: without comments and blank lines, cleaned. */
export function parseIgnore(text: string): string[] {
  const patterns: string[] = [];
  for (const line of text.replace(/^\ufeff/, "").split("\n")) {
    // A comment begins at the very beginning of its line.
    if (line.startsWith("#")) continue;
    let pattern = trim(line);
    const isException = pattern.startsWith("!");
    if (isException) pattern = trim(pattern.slice(1));
    if (pattern !== "") {
      pattern = cleanPattern(pattern);
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
  const matcher = compilePatterns(typeof patterns === "string" ? parseIgnore(patterns) : patterns);
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
  let pattern = cleanPattern(text);
  const isException = pattern.startsWith("!");
  if (isException) pattern = pattern.slice(1);
  if (pattern === "") throw new InvalidArgumentError('illegal exclusion pattern: "!"');
  return { isException, parts: pattern.split("/"), test: compilePattern(pattern) };
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
    // A set may hold the slash at which parts were cut.
    if (part.includes("**") || part.includes("[")) return true;
    if (!compilePattern(part)(name)) return false;
  }
  return true;
}

/** Go's filepath.Clean: no `.`, no `//`, no `..` but in front, no slash at the end. */
function cleanPattern(path: string): string {
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
