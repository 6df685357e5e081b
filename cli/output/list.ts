/**
 * What `ps`, `images` and their like print: a table of standard columns, `--format json`, a Go template for
 * each row, or `table TEMPLATE` with headings.
 */

import { InvalidArgumentError } from "../../runtime/errors.ts";
import { escapeControl, jsonText } from "./escape.ts";
import { renderTable } from "./table.ts";

/** One field of a row, by the name that templates use. */
export interface Field<T> {
  heading: string;
  value: (item: T) => unknown;
}

export interface ListView<T> {
  /** `ps`: named in template errors. */
  name: string;
  /** What Go would call the type of a row. */
  rowType: string;
  fields: Record<string, Field<T>>;
  /** What `--format json` prints for an item. */
  document: (item: T) => unknown;
}

export interface ListOptions {
  format?: string;
  /** Names of the standard columns. */
  columns: readonly string[];
  noHeading?: boolean;
  jsonIndent?: number;
}

/** `{{range .}}` and `{{range $row := .}}`, but not a range over a field of each row. */
const WHOLE_LIST = /^\{\{-?\s*range\s+(?:\$\w+\s*(?:,\s*\$\w+\s*)?:=\s*)?\.\s*-?\}\}/;

/** The text to print. */
export async function renderList<T>(items: T[], view: ListView<T>, options: ListOptions): Promise<string> {
  const { format } = options;
  if (format === undefined || format === "" || format === "table") return renderColumns(items, view, options);
  if (format === "json") {
    return jsonText(items.map(view.document), options.jsonIndent ?? 4) + "\n";
  }
  return await renderFormat(items, view, format, options.noHeading ?? false);
}

function renderColumns<T>(items: T[], { fields }: ListView<T>, { columns, noHeading }: ListOptions): string {
  const chosen = columns.map((name) => fields[name]!);
  const lines = items.map((item) => chosen.map(({ value }) => escapeControl(String(value(item)))));
  if (!noHeading) lines.unshift(chosen.map(({ heading }) => heading));
  return renderTable(lines);
}

async function renderFormat<T>(
  items: T[],
  view: ListView<T>,
  format: string,
  noHeading: boolean,
): Promise<string> {
  const { compileFormat, row } = await import("./format.ts");
  const isTable = format.startsWith("table ");
  const wholeList = WHOLE_LIST.test(format);
  const template = compileFormat(view.name, format);
  const rows = items.map((item) => row(view.rowType, mapFields(view, ({ value }) => value(item))));
  if (wholeList) return template.execute(rows);
  const texts = rows.map((data) => template.execute(data));
  if (!isTable) return texts.join("");
  if (!noHeading) texts.unshift(template.execute(mapFields(view, ({ heading }) => heading)));
  return renderTable(texts.flatMap(splitLines));
}

function mapFields<T>({ fields }: ListView<T>, map: (field: Field<T>) => unknown): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, map(field)]));
}

function splitLines(text: string): string[][] {
  return text.replace(/\n$/, "").split("\n").map((line) => line.split("\t").map(escapeControl));
}

/** `--filter key=value` (or `key!=value`); refuses keys that the verb does not know. */
export function parseFilters(
  filters: readonly string[],
  known: readonly string[],
): { key: string; negated: boolean; value: string }[] {
  return filters.map((text) => {
    const parts = /^([^=!]+)(!?)=([\s\S]*)$/.exec(text);
    if (!parts) throw new InvalidArgumentError(`invalid filter "${text}"`);
    const [, key, bang, value] = parts as unknown as [string, string, string, string];
    if (!known.includes(key + bang)) throw new InvalidArgumentError(`${key + bang} is an invalid filter`);
    return { key, negated: bang === "!", value };
  });
}
