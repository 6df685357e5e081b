/**
 * Wildcards of COPY and ADD: `*` and `?` stop at a slash, `[a-z]`, `[^a]`, and `\` before what is meant as it is.
 *
 * @see Go path/filepath, Match; Dockerfile reference, COPY, "Pattern matching"
 */

import { bytesOf } from "../../archive/byte_string.ts";
import { compilePattern } from "../ignore_pattern.ts";

/** Whether there is a wildcard in it that no backslash takes the meaning from. */
export function hasWildcards(pattern: string): boolean {
  return /^(?:[^\\*?[]|\\[^])*[*?[]/.test(pattern);
}

/** The folders before the first part with a wildcard, and the parts from there on. */
export function splitWildcards(pattern: string): { folder: string; parts: string[] } {
  const parts = pattern.split("/").filter((part) => part !== "" && part !== ".");
  const first = parts.findIndex(hasWildcards);
  if (first === -1) return { folder: `/${parts.join("/")}`, parts: [] };
  return { folder: `/${parts.slice(0, first).join("/")}`, parts: parts.slice(first) };
}

/**
 * A test for one name between slashes.
 *
 * @throws {InvalidArgumentError} where Go says "syntax error in pattern"
 */
export function compilePart(pattern: string): (name: string) => boolean {
  // Within one name two stars are one, not any number of folders.
  return compilePattern(pattern.replace(/\\[^]|\*+/g, (found) => found.startsWith("*") ? "*" : found));
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** A name as text for patterns, which are text; what is no UTF-8 stays a byte string. */
export function patternText(name: string): string {
  // deno-lint-ignore no-control-regex -- plain ASCII is what most names are
  if (/^[\x00-\x7f]*$/.test(name)) return name;
  try {
    return utf8.decode(bytesOf(name));
  } catch {
    return name;
  }
}
