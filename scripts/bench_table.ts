/** What the benchmarks have in common: the middle of samples, and the table that is printed. */

export interface Row {
  title: string;
  /** A column each; what is missing is left empty. */
  values: string[];
  /** The target, or with the word MISS how it was missed. */
  verdict: string;
}

export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Prints the rows below `names`, a column each. */
export function printTable(rows: Row[], names: string[]): void {
  const table = [
    ["", ...names, "target"],
    ...rows.map((
      { title, values, verdict },
    ) => [title, ...names.map((_, index) => values[index] ?? ""), verdict]),
  ];
  const widths = table[0]!.map((_, column) => Math.max(...table.map((line) => line[column]!.length)));
  for (const [index, line] of table.entries()) {
    console.log(`| ${line.map((cell, column) => cell.padEnd(widths[column]!)).join(" | ")} |`);
    if (index === 0) console.log(`| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`);
  }
}
