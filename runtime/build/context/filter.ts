/**
 * What of a source tree is wanted: .dockerignore, `--exclude`, and what `--parents` names, each asked with an entry's
 * path. The digest of a source and its copy ask the same, so that the cache's key is of what is copied.
 *
 * @see BuildKit, fsutil filter.go and copy.go: MatchesUsingParentResults
 */

import { byteStringOf } from "../../archive/byte_string.ts";
import { compilePatterns, type PatternMatcher } from "../ignore.ts";
import { hasWildcards, patternText } from "./go_match.ts";

/** `look`: a folder that is not wanted itself, but perhaps something in it is; it then comes along. */
export type Decision = "take" | "look" | "leave";

/** By the path below the source, a byte string without a slash in front. */
export type EntryFilter = (path: string, isFolder: boolean) => Decision;

export const TAKE_ALL: EntryFilter = () => "take";

/** Leaves out what the patterns match; what `!` takes back may lie in a folder that is left out. */
export function excluding(patterns: readonly string[]): EntryFilter {
  if (patterns.length === 0) return TAKE_ALL;
  const matcher = compilePatterns(patterns);
  return (path, isFolder) => {
    const text = patternText(path);
    if (!matcher.matches(text)) return "take";
    return isFolder && matcher.mayHoldExceptions(text) ? "look" : "leave";
  };
}

/** Takes what a pattern matches and all below it; folders on the way to it come along. */
export function including(pattern: string): EntryFilter {
  const parts = pattern.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.length === 0) return TAKE_ALL;
  const matcher: PatternMatcher = compilePatterns([parts.join("/")]);
  const fixed = parts.findIndex(hasWildcards);
  const known = (fixed === -1 ? parts : parts.slice(0, fixed)).map(byteStringOf);
  const isDeep = parts.includes("**") || parts.some((part) => part.includes("**"));
  return (path, isFolder) => {
    if (matcher.matches(patternText(path))) return "take";
    if (!isFolder) return "leave";
    const names = path.split("/");
    if (names.length >= parts.length && !isDeep) return "leave";
    return known.every((name, at) => names[at] === undefined || names[at] === name) ? "look" : "leave";
  };
}

/** Only what all of them want. */
export function both(first: EntryFilter, second: EntryFilter): EntryFilter {
  if (first === TAKE_ALL) return second;
  if (second === TAKE_ALL) return first;
  return (path, isFolder) => {
    const one = first(path, isFolder);
    if (one === "leave") return one;
    const other = second(path, isFolder);
    return other === "take" ? one : other;
  };
}

/** All but one folder. */
export function without(folder: string | undefined, filter: EntryFilter): EntryFilter {
  if (folder === undefined) return filter;
  const own = byteStringOf(folder);
  return (path, isFolder) => path === own || path.startsWith(`${own}/`) ? "leave" : filter(path, isFolder);
}

/** The same filter, asked from a folder below. */
export function below(filter: EntryFilter, folder: string): EntryFilter {
  if (filter === TAKE_ALL || folder === "") return filter;
  return (path, isFolder) => filter(`${folder}/${path}`, isFolder);
}
