/** The lines of a build file round the one that something is wrong with. */

import type { BuildSource } from "../../runtime/errors.ts";
import { escapeControl } from "./escape.ts";

/** Lines before and after. */
const CONTEXT = 2;

/**
 * ```
 * Dockerfile:3
 * --------------------
 *    1 |     FROM debian
 *    2 |
 *    3 | >>> RUN false
 * --------------------
 * ```
 *
 * @see BuildKit solver/errdefs/source.go: Source.Print
 */
export function sourceExcerpt({ fileName, lines, location }: BuildSource): string {
  const { startLine, endLine } = location;
  const first = Math.max(1, startLine - CONTEXT);
  const last = Math.min(lines.length, endLine + CONTEXT);
  const shown: string[] = [];
  for (let number = first; number <= last; number++) {
    const mark = number >= startLine && number <= endLine ? ">>>" : "   ";
    const text = escapeControl(lines[number - 1]!.replaceAll("\t", "    "));
    shown.push(` ${String(number).padStart(3)} | ${mark} ${text}`.trimEnd());
  }
  const rule = "-".repeat(20);
  return [`${escapeControl(fileName)}:${startLine}`, rule, ...shown, rule].join("\n") + "\n";
}
