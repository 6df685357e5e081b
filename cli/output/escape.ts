/**
 * Makes foreign text safe for a terminal: names, labels, registry errors and tar paths may carry escape
 * sequences that move the cursor, retitle the window or answer as the keyboard.
 */

// C0, DEL, C1 (which some terminals obey even in UTF-8), and the bidirectional overrides that reorder text.
// deno-lint-ignore no-control-regex
const CONTROL = /[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;
// deno-lint-ignore no-control-regex
const CONTROL_IN_LINES = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;
// What a JSON text has of them is in its strings, but for the line breaks between its members.
const CONTROL_IN_JSON = /[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

const NAMED: Record<string, string> = { "\t": "\\t", "\n": "\\n", "\r": "\\r" };

/** One line: every control character is shown as `\x1b`, `\n`, `\u202e`. */
export function escapeControl(text: string): string {
  return text.replace(CONTROL, show);
}

/** As escapeControl, but line breaks and tabs stay. */
export function escapeLines(text: string): string {
  return text.replace(CONTROL_IN_LINES, show);
}

/**
 * `value` as JSON that moves no cursor: JSON.stringify leaves C1 controls and the direction overrides as they are.
 * What a reader parses is the same.
 */
export function jsonText(value: unknown, indent?: number): string {
  return JSON.stringify(value, undefined, indent).replace(
    CONTROL_IN_JSON,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function show(char: string): string {
  const code = char.charCodeAt(0);
  return NAMED[char] ??
    (code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`);
}
