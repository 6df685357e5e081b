/**
 * `--from=build --link` between an instruction and its arguments.
 *
 * @see BuildKit frontend/dockerfile/parser/split_command.go and instructions/bflag.go
 */

import { BuildError } from "../../errors.ts";
import { isSpace, trimStart } from "./characters.ts";
import { didYouMean } from "./suggest.ts";

/** The flags at the beginning, unquoted, and what follows them. `--` ends them. */
export function cutFlags(text: string): [flags: string[], rest: string] {
  const flags: string[] = [];
  if (!text.includes("--")) return [flags, trimStart(text)];
  const chars = [...text];
  let at = 0;
  for (;;) {
    while (at < chars.length && isSpace(chars[at]!)) at++;
    if (at >= chars.length) return [flags, ""];
    if (chars[at] !== "-" || chars[at + 1] !== "-") return [flags, chars.slice(at).join("")];
    let flag = "";
    let quote = "";
    for (; at < chars.length && (quote || !isSpace(chars[at]!)); at++) {
      let char = chars[at]!;
      if (char === quote) quote = "";
      else if (!quote && (char === "'" || char === '"')) quote = char;
      else {
        if (char === "\\") {
          if (at + 1 === chars.length) continue;
          char = chars[++at]!;
        }
        flag += char;
      }
    }
    if (flag === "--") return [flags, chars.slice(at).join("")];
    flags.push(flag);
  }
}

/** What an instruction takes: the flag's name to how its value is written. */
export type FlagTable = Readonly<Record<string, "bool" | "string" | "strings">>;

/** What was given. */
export interface Flags {
  bool(name: string): boolean | undefined;
  string(name: string): string | undefined;
  strings(name: string): string[];
}

export function parseFlags(given: readonly string[], table: FlagTable): Flags {
  const bools = new Map<string, boolean>();
  const strings = new Map<string, string[]>();
  for (const flag of given) {
    const at = flag.indexOf("=");
    const shown = at < 0 ? flag : flag.slice(0, at);
    const value = at < 0 ? undefined : flag.slice(at + 1);
    const name = shown.slice(2);
    const kind = Object.hasOwn(table, name) ? table[name] : undefined;
    if (!kind) throw new BuildError(`unknown flag: ${shown}${didYouMean(name, Object.keys(table))}`);
    if (kind !== "strings" && (bools.has(name) || strings.has(name))) {
      throw new BuildError(`duplicate flag specified: ${shown}`);
    }
    if (kind === "bool") bools.set(name, parseBoolFlag(shown, value));
    else if (value === undefined) throw new BuildError(`missing a value on flag: ${shown}`);
    else strings.set(name, [...strings.get(name) ?? [], value]);
  }
  return {
    bool: (name) => bools.get(name),
    string: (name) => strings.get(name)?.[0],
    strings: (name) => strings.get(name) ?? [],
  };
}

function parseBoolFlag(shown: string, value: string | undefined): boolean {
  if (value === "") throw new BuildError(`missing a value on flag: ${shown}`);
  const lower = value?.toLowerCase() ?? "true";
  if (lower === "true" || lower === "false") return lower === "true";
  throw new BuildError(`expecting boolean value for flag ${shown}, not: ${value}`);
}
