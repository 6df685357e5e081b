/**
 * TOML as most configuration files are: comments, tables, and keys with a text, a word or a list of texts on a line. A
 * parser of all of TOML takes ten times as long for the list of short names that distributions bring.
 */

import { parse } from "smol-toml";

export type TomlTable = Record<string, unknown>;

const TEXT = String.raw`"[^"\\\x00-\x1f\x7f]*"`;
const KEY = String.raw`([A-Za-z0-9_-]+|${TEXT})`;
const END = String.raw`[ \t]*(?:#[^\x00-\x08\x0b-\x1f\x7f]*)?$`;
const EMPTY = new RegExp(`^${END}`);
const TABLE = new RegExp(String.raw`^[ \t]*(\[{1,2})([A-Za-z0-9_-]+)(\]{1,2})${END}`);
const VALUE = new RegExp(
  String
    .raw`^[ \t]*${KEY}[ \t]*=[ \t]*(${TEXT}|true|false|\[[ \t]*(?:${TEXT}[ \t]*(?:,[ \t]*${TEXT}[ \t]*)*)?\])${END}`,
);

/** A document. @throws {Error} where it is none, with the place and some lines of it */
export function parseToml(text: string): TomlTable {
  return parsePlainToml(text) ?? parse(text);
}

/** The document, where it is no more than that; undefined leaves it, and the mistakes in it, to a parser of all of TOML. */
export function parsePlainToml(text: string): TomlTable | undefined {
  const root: TomlTable = {};
  let table = root;
  for (const line of text.split("\n")) {
    if (EMPTY.test(line)) continue;
    const value = VALUE.exec(line);
    if (value !== null) {
      const key = value[1]!.startsWith('"') ? value[1]!.slice(1, -1) : value[1]!;
      if (isTaken(table, key)) return undefined;
      table[key] = readValue(value[2]!);
      continue;
    }
    const header = TABLE.exec(line);
    if (header === null || header[1]!.length !== header[3]!.length) return undefined;
    const name = header[2]!;
    const isList = header[1] === "[[";
    const known = root[name];
    if (isList && Array.isArray(known) && known.every((item) => typeof item === "object")) {
      if (known.length === 0) return undefined; // a list of texts
      known.push(table = {});
      continue;
    }
    if (isTaken(root, name)) return undefined;
    table = {};
    root[name] = isList ? [table] : table;
  }
  return root;
}

function isTaken(table: TomlTable, key: string): boolean {
  return key in table; // what all objects have, too
}

function readValue(text: string): unknown {
  if (text === "true" || text === "false") return text === "true";
  if (text.startsWith('"')) return text.slice(1, -1);
  return Array.from(text.matchAll(/"([^"]*)"/g), (match) => match[1]!);
}
