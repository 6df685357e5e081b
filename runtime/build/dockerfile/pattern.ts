/**
 * The patterns of `${name#pattern}` and its relatives: `*` is any text, `?` one character, a backslash makes either
 * plain; there are no brackets. Neither wildcard crosses the end of a line. What is compared is done in one pass over the
 * text, for a regular expression of many `*` can be made to take for ever.
 *
 * @see BuildKit frontend/dockerfile/shell/lex.go; POSIX shell, 2.13 pattern matching notation
 */

import { BuildError } from "../../errors.ts";

/** How long an expansion may become: one variable made of others twice over is long in thirty lines. */
export const MAX_EXPANSION = 1 << 20;
/** Comparisons that one substitution may cost: a pattern that nearly matches everywhere takes its length at each place. */
const MAX_COMPARISONS = 2 ** 28;

/** Characters (null: any one) between the `*`s. */
type Segments = (string | null)[][];

/** `${value#pattern}`, or with `longest` `##`: what remains without the beginning that matches. */
export function trimPrefix(pattern: string, value: string, longest: boolean): string {
  checkCost(pattern, value);
  const text = [...value];
  const end = matchAt(compile(pattern, pattern), text, 0, longest);
  return end === undefined ? value : text.slice(end).join("");
}

/** `${value%pattern}`, or with `longest` `%%`. */
export function trimSuffix(pattern: string, value: string, longest: boolean): string {
  checkCost(pattern, value);
  const segments = compile(pattern, pattern).reverse().map((segment) => segment.reverse());
  const text = [...value].reverse();
  const end = matchAt(segments, text, 0, longest);
  return end === undefined ? value : text.slice(end).reverse().join("");
}

/** `${value/pattern/replacement}`, or with `all` `//`: the leftmost match, as long as can be. */
export function replace(pattern: string, value: string, replacement: string, all: boolean): string {
  checkCost(pattern, value);
  const segments = compile(pattern, pattern);
  const text = [...value];
  const out: string[] = [];
  let copied = 0;
  let lastEnd = -1;
  let length = 0;
  for (let at = 0; at <= text.length; at++) {
    const end = matchAt(segments, text, at, true);
    if (end === undefined) {
      // What a `*` did not lead to from here, it does not from later in the line.
      const isHopeless = segments.length > 1 && startsAt(segments[0]!, text, at);
      if (isHopeless) at = Math.max(at, endOfLine(text, at) - 1);
      continue;
    }
    // An empty match directly behind the one before is none.
    if (end === at && at === lastEnd) continue;
    out.push(text.slice(copied, at).join(""), replacement);
    length += replacement.length;
    if (length > MAX_EXPANSION) throw tooLong();
    copied = lastEnd = end;
    if (!all) break;
    if (end > at) at = end - 1;
  }
  return out.join("") + text.slice(copied).join("");
}

function checkCost(pattern: string, value: string): void {
  if (pattern.length * value.length <= MAX_COMPARISONS) return;
  throw new BuildError(
    `a pattern of ${pattern.length} characters is too long for a value of ${value.length} characters`,
  );
}

export function tooLong(): BuildError {
  return new BuildError(`the result is longer than ${MAX_EXPANSION} characters`);
}

function compile(pattern: string, shown: string): Segments {
  const segments: Segments = [[]];
  const chars = [...pattern];
  for (let at = 0; at < chars.length; at++) {
    const char = chars[at]!;
    if (char === "*") segments.push([]);
    else if (char === "?") segments.at(-1)!.push(null);
    else if (char === "\\") {
      const next = chars[at + 1];
      // The escape of these is for the braces round the pattern, not part of it.
      if (next === "}" || next === "/") continue;
      if (next !== "*" && next !== "?" && next !== "\\") {
        throw new BuildError(
          `invalid pattern (${shown}) in substitution: invalid escape '\\${next ?? "\ufffd"}'`,
        );
      }
      segments.at(-1)!.push(next);
      at++;
    } else segments.at(-1)!.push(char);
  }
  return segments;
}

/** Where a match that begins at `from` ends: as early or as late as can be. */
function matchAt(
  segments: Segments,
  text: readonly string[],
  from: number,
  longest: boolean,
): number | undefined {
  if (!startsAt(segments[0]!, text, from)) return undefined;
  let at = from + segments[0]!.length;
  for (const [index, segment] of segments.entries()) {
    if (index === 0) continue;
    const latest = endOfLine(text, at);
    const isLast = index === segments.length - 1;
    const found = longest && isLast
      ? findLast(segment, text, at, latest)
      : findFirst(segment, text, at, latest);
    if (found === undefined) return undefined;
    at = found + segment.length;
  }
  return at;
}

function findFirst(segment: (string | null)[], text: readonly string[], from: number, latest: number) {
  for (let at = from; at <= latest; at++) if (startsAt(segment, text, at)) return at;
}

function findLast(segment: (string | null)[], text: readonly string[], from: number, latest: number) {
  for (let at = latest; at >= from; at--) if (startsAt(segment, text, at)) return at;
}

function startsAt(segment: (string | null)[], text: readonly string[], at: number): boolean {
  if (at + segment.length > text.length) return false;
  return segment.every((wanted, index) => {
    const char = text[at + index];
    return wanted === null ? char !== "\n" : char === wanted;
  });
}

function endOfLine(text: readonly string[], from: number): number {
  const found = text.indexOf("\n", from);
  return found < 0 ? text.length : found;
}
