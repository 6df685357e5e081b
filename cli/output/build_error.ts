/** The lines of a build file round the one that something is wrong with. */

import type { BuildSource } from "../../runtime/errors.ts";
import { sourceExcerpt as excerpt } from "../../runtime/spec/source_excerpt.ts";
import { escapeControl } from "./escape.ts";

/** As a terminal may have it: whatever the file holds moves no cursor. */
export function sourceExcerpt({ fileName, lines, location }: BuildSource): string {
  const shown = lines.map((line) => escapeControl(line.replaceAll("\t", "    ")));
  return excerpt({ fileName: escapeControl(fileName), lines: shown, location });
}
