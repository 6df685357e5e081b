/**
 * Lines up columns as Go's text/tabwriter does with podman's settings: a column is at least 12 wide, two
 * blanks lie between columns, and the last cell of a line is not padded.
 *
 * @see https://pkg.go.dev/text/tabwriter
 */

import stringWidth from "fast-string-width";

const MIN_WIDTH = 12;
const PADDING = 2;

/** Text of lines, each ended by a newline; the cells of a line may differ in number. */
export function renderTable(lines: string[][]): string {
  const widths = lines.map(() => [] as number[]);
  const columns = Math.max(0, ...lines.map((cells) => cells.length - 1));
  for (let column = 0; column < columns; column++) {
    // A column is a run of lines that have it; another run below may be another width.
    for (let start = 0; start < lines.length;) {
      let end = start;
      let width = MIN_WIDTH;
      for (; end < lines.length && lines[end]!.length - 1 > column; end++) {
        width = Math.max(width, displayWidth(lines[end]![column]!) + PADDING);
      }
      for (let at = start; at < end; at++) widths[at]![column] = width;
      start = Math.max(end, start + 1);
    }
  }
  return lines.map((cells, line) => {
    const padded = cells.map((cell, column) => {
      const width = widths[line]![column];
      return width === undefined ? cell : cell + " ".repeat(width - displayWidth(cell));
    });
    return padded.join("") + "\n";
  }).join("");
}

/** Columns that `text` takes on a terminal: a CJK character two, a combining mark none. */
export function displayWidth(text: string): number {
  return /^[ -~]*$/.test(text) ? text.length : stringWidth(text);
}
