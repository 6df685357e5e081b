/**
 * Names of entries as text, one character a byte: what a node keeps of its name, and what folders are searched by. An
 * array for each would cost more than all else of a node.
 */

import type { Name } from "./calls.ts";

/** NAME_MAX, and the NUL. */
const scratch = new Uint8Array(256);

/** The bytes up to the NUL, or to the end. */
export function textOf(name: Uint8Array): string {
  const end = name.indexOf(0);
  const length = end === -1 ? name.length : end;
  let text = "";
  let at = 0;
  // several at once: each piece is a string of its own on the way
  for (; at + 4 <= length; at += 4) {
    text += String.fromCharCode(name[at]!, name[at + 1]!, name[at + 2]!, name[at + 3]!);
  }
  for (; at < length; at++) text += String.fromCharCode(name[at]!);
  return text;
}

/** The bytes with the NUL that ends them, in memory that the next call uses again. */
export function nameOf(text: string): Name {
  const length = text.length;
  for (let at = 0; at < length; at++) scratch[at] = text.charCodeAt(at);
  scratch[length] = 0;
  return scratch;
}

/** The bytes alone. */
export function bytesOf(text: string): Name {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}
