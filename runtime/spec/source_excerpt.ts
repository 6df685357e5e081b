/** The lines of a Dockerfile that an error or a finding is about, as docker shows them. */

import type { BuildSource } from "../errors.ts";

const RULE = "--------------------";

/**
 * ```
 * Dockerfile:3
 * --------------------
 *    1 |     FROM alpine
 *    3 | >>> RUN false
 * --------------------
 * ```
 * Lines end in "\n". Empty where the source has no such lines.
 *
 * @see BuildKit solver/errdefs/source.go
 */
export function sourceExcerpt({ fileName, lines, location }: BuildSource): string {
  const start = Math.max(1, location.startLine);
  const end = Math.min(lines.length, Math.max(start, location.endLine));
  if (start > lines.length) return "";
  // One line is shown with two before and behind, several with one.
  const around = start === end ? 2 : 1;
  const first = Math.max(1, start - around);
  const last = Math.min(lines.length, end + around);
  const rows: string[] = [];
  for (let number = first; number <= last; number++) {
    const mark = number >= start && number <= end ? ">>>" : "   ";
    rows.push(` ${String(number).padStart(3)} | ${mark} ${lines[number - 1]}`.trimEnd() + "\n");
  }
  return `${fileName}:${start}\n${RULE}\n${rows.join("")}${RULE}\n`;
}
