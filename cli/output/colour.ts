/** Colours for the one word that tells what a line is; none where nobody sees them. @see https://no-color.org */

const CODES = { red: 31, yellow: 33 } as const;

/** `text` in a colour if stderr is a terminal that has them and NO_COLOR does not forbid it. */
export function coloured(text: string, colour: keyof typeof CODES): string {
  return hasColours() ? `\x1b[${CODES[colour]}m${text}\x1b[39m` : text;
}

function hasColours(): boolean {
  return !Deno.env.get("NO_COLOR") && Deno.env.get("TERM") !== "dumb" && Deno.stderr.isTerminal();
}
