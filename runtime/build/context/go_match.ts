/**
 * Wildcards of COPY and ADD: `*` and `?` stop at a slash, `[a-z]`, `[^a]`, and `\` before what is meant as it is.
 *
 * @see Go path/filepath, Match; Dockerfile reference, COPY, "Pattern matching"
 */

import { bytesOf } from "../../archive/byte_string.ts";
import { InvalidArgumentError } from "../../errors.ts";

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
  let source = "";
  const chars = [...pattern];
  const bad = () => new InvalidArgumentError(`match "${pattern}": syntax error in pattern`);
  const literal = (char: string) => char.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
  for (let at = 0; at < chars.length; at++) {
    const char = chars[at]!;
    if (char === "*") source += "[^/]*";
    else if (char === "?") source += "[^/]";
    else if (char === "\\") {
      if (++at === chars.length) throw bad();
      source += literal(chars[at]!);
    } else if (char === "[") {
      const isNegated = chars[at + 1] === "^";
      if (isNegated) at++;
      let ranges = "";
      const bound = () => {
        let one = chars[++at];
        if (one === undefined || one === "-" || one === "]") throw bad();
        if (one === "\\" && (one = chars[++at]) === undefined) throw bad();
        return one;
      };
      do {
        const low = bound();
        let high = low;
        if (chars[at + 1] === "-") {
          at++;
          high = bound();
        }
        // a range the wrong way round holds nothing
        if (low <= high) ranges += `${literal(low)}-${literal(high)}`;
        if (at + 1 >= chars.length) throw bad();
      } while (chars[at + 1] !== "]");
      at++;
      source += ranges === "" ? (isNegated ? "[^]" : "[]") : `[${isNegated ? "^" : ""}${ranges}]`;
    } else source += literal(char);
  }
  const expression = new RegExp(`^${source}$`, "su");
  return (name) => expression.test(name);
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
