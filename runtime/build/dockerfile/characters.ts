/** Blanks as Go sees them, for the rules of Dockerfiles are those of its library. */

/** @see Go's unicode.IsSpace: unlike `\s`, U+0085 is one and U+FEFF is none */
const SPACE = "\\t\\n\\v\\f\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const LEADING = new RegExp(`^[${SPACE}]+`);
const ONE = new RegExp(`^[${SPACE}]$`);

export function isSpace(char: string): boolean {
  const code = char.charCodeAt(0);
  return code < 0x80 ? code === 0x20 || (code >= 0x09 && code <= 0x0d) : ONE.test(char);
}

export function trimStart(text: string): string {
  return text === "" || !isSpace(text[0]!) ? text : text.replace(LEADING, "");
}

export function trim(text: string): string {
  const start = trimStart(text);
  let end = start.length;
  while (end > 0 && isSpace(start[end - 1]!)) end--;
  return start.slice(0, end);
}

/** What separates an instruction from its arguments, and these from each other where nothing is quoted. */
const BLANKS = /[\t\v\f\r ]+/;

export function splitBlanks(text: string): string[] {
  return text.split(BLANKS);
}

/** The first word and all that follows the blanks behind it; undefined where there are none. */
export function cutFirstWord(text: string): [word: string, rest: string | undefined] {
  const blanks = BLANKS.exec(text);
  if (!blanks) return [text, undefined];
  return [text.slice(0, blanks.index), text.slice(blanks.index + blanks[0].length)];
}
