/** Text that strangers wrote, made safe to show: bounded, on one line, terminal escapes visible (a registry or an image must not move the cursor). */

// deno-lint-ignore no-control-regex -- these are the characters that must not reach a terminal
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/** Control and direction characters become `\x1b` or `\u202e`; what is longer than `limit` is cut. */
export function printable(text: string, limit = 300): string {
  const cut = text.length > limit ? text.slice(0, limit) + "…" : text;
  return cut.replace(UNPRINTABLE, (c) => {
    const code = c.charCodeAt(0);
    return code < 0x100
      ? `\\x${code.toString(16).padStart(2, "0")}`
      : `\\u${code.toString(16).padStart(4, "0")}`;
  });
}
