/**
 * `skiff __complete WORD…`, which the shells' functions call: the last word is the one that the cursor is in.
 *
 * ```
 * web<TAB>docker.io/library/nginx:latest, Up 2 hours
 * db<TAB>…
 * :none                   or :files, :folders; with ,nospace where no blank is to follow
 * ```
 */

import type { Engine } from "../../runtime/engine/engine.ts";
import { escapeControl } from "../output/escape.ts";
import { candidatesAt, type Completion } from "./candidates.ts";
import { findPoint } from "./point.ts";

const DESCRIPTION_CHARACTERS = 70;

/** The answer; whatever goes wrong, the shell gets one, for an error has no place in a half-typed line. */
export async function complete(words: readonly string[], engine: () => Engine): Promise<string> {
  try {
    const point = await findPoint(words);
    return point ? answer(await candidatesAt(point, engine)) : ":none\n";
  } catch {
    return ":none\n";
  }
}

function answer({ candidates, paths, noSpace }: Completion): string {
  const lines = candidates.map(({ text, description }) =>
    description ? `${text}\t${shortened(description)}\n` : `${text}\n`
  );
  return `${lines.join("")}:${paths}${noSpace ? ",nospace" : ""}\n`;
}

function shortened(text: string): string {
  const shown = [...escapeControl(text)];
  return shown.length <= DESCRIPTION_CHARACTERS
    ? shown.join("")
    : `${shown.slice(0, DESCRIPTION_CHARACTERS - 1).join("")}…`;
}
