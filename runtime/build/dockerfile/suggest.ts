/** `(did you mean COPY?)`. @see BuildKit util/suggest */

import { editDistance } from "../../spec/edit_distance.ts";

/** More edits than this are another word. */
const MAX_EDITS = 2;

/** The option that `typed` is nearest to, in the case of `typed` unless case matters; undefined where none is near. */
export function nearest(
  typed: string,
  options: readonly string[],
  isCaseSensitive = true,
): string | undefined {
  const fold = (text: string) => isCaseSensitive ? text : text.toLowerCase();
  let found: string | undefined;
  let best = MAX_EDITS + 1;
  for (const option of options) {
    if (Math.abs(option.length - typed.length) > MAX_EDITS) continue;
    const distance = editDistance(fold(typed), fold(option));
    // It is known, so that it is not what is wrong.
    if (distance === 0) return undefined;
    if (distance < best) [found, best] = [option, distance];
  }
  if (found === undefined || isCaseSensitive) return found;
  if (typed === typed.toLowerCase()) return found.toLowerCase();
  return typed === typed.toUpperCase() ? found.toUpperCase() : found.toLowerCase();
}

/** ` (did you mean COPY?)`, or nothing. */
export function didYouMean(typed: string, options: readonly string[], isCaseSensitive = true): string {
  const found = nearest(typed, options, isCaseSensitive);
  return found === undefined ? "" : ` (did you mean ${found}?)`;
}
