/**
 * Reads a command line by the rules of pflag, which docker and podman use, in pflag's words.
 *
 * This file is the seat of a command-line library. commander was measured here: loading it costs 13–17 ms
 * (it imports node:events, child_process, fs, path and process) of a start that takes 12 ms, and its rules
 * for `-t=false`, `-itd`, `--rm=false` and the end of options differ from pflag's. So the rules are below.
 *
 * @see https://pkg.go.dev/github.com/spf13/pflag#hdr-Command_line_flag_syntax
 */

import { InvalidArgumentError, UnsupportedError } from "../runtime/errors.ts";
import type { Flag, Flags } from "./command.ts";

export interface ParsedLine {
  /** By name: boolean, string, number or string[]; absent where not given. */
  values: Map<string, boolean | string | number | string[]>;
  args: string[];
  /** `--help` was given; nothing after it was read. */
  help: boolean;
}

/** An option that the table does not have. `flag` is as written: `--foo`, `-Z`. */
export class UnknownFlagError extends InvalidArgumentError {
  override name = "UnknownFlagError";
  constructor(message: string, readonly flag: string, hint: string) {
    super(message, { hint });
  }
}

/**
 * Reads `words`; `path` (`skiff run`) is named in hints. With `optionsFirst` everything from the first
 * argument on is left alone; `--` always ends the options and is dropped.
 *
 * @throws {InvalidArgumentError} as pflag words it
 */
export function parseLine(
  words: readonly string[],
  flags: Flags,
  path: string,
  optionsFirst = false,
): ParsedLine {
  return new LineParser(words, flags, path, optionsFirst).run();
}

class LineParser {
  #at = 0;
  readonly #values: ParsedLine["values"] = new Map();
  readonly #names: Map<string, string>;
  readonly #hint: string;

  constructor(
    readonly words: readonly string[],
    readonly flags: Flags,
    path: string,
    readonly optionsFirst: boolean,
  ) {
    this.#names = indexNames(flags);
    this.#hint = `See '${path} --help'`;
  }

  run(): ParsedLine {
    const args: string[] = [];
    while (this.#at < this.words.length) {
      const word = this.words[this.#at++]!;
      if (word === "--") {
        args.push(...this.words.slice(this.#at));
        break;
      }
      if (word.length < 2 || word[0] !== "-") {
        args.push(word);
        if (!this.optionsFirst) continue;
        args.push(...this.words.slice(this.#at));
        break;
      }
      const help = word.startsWith("--") ? this.#long(word) : this.#short(word.slice(1));
      if (help) return { values: this.#values, args, help: true };
    }
    return { values: this.#values, args, help: false };
  }

  /** `--name`, `--name=value`, `--name value`; true for help. */
  #long(word: string): boolean {
    const equals = word.indexOf("=");
    const spelled = word.slice(2, equals < 0 ? undefined : equals);
    if (spelled === "" || spelled.startsWith("-")) this.#fail(`bad flag syntax: ${word}`);
    const name = this.#names.get(spelled);
    if (name === undefined) {
      if (spelled === "help") {
        return equals < 0 || this.#bool("--help", word.slice(equals + 1));
      }
      throw new UnknownFlagError(`unknown flag: --${spelled}`, `--${spelled}`, this.#hint);
    }
    const flag = this.flags[name]!;
    const bare = bareValue(flag);
    if (equals >= 0) this.#set(name, flag, word.slice(equals + 1));
    else if (this.#nextIsChoice(flag)) this.#set(name, flag, this.words[this.#at++]!);
    else if (bare !== undefined) this.#set(name, flag, bare);
    else if (this.#at < this.words.length) this.#set(name, flag, this.words[this.#at++]!);
    else this.#fail(`flag needs an argument: --${spelled}`);
    return false;
  }

  /** `-a`, `-abc`, `-a value`, `-avalue`, `-a=value`; true for help. */
  #short(letters: string): boolean {
    while (letters !== "") {
      const letter = String.fromCodePoint(letters.codePointAt(0)!);
      const rest = letters.slice(letter.length);
      const name = this.#names.get(`-${letter}`);
      if (name === undefined) {
        if (letter === "h") return true;
        throw new UnknownFlagError(
          `unknown shorthand flag: '${letter}' in -${letters}`,
          `-${letter}`,
          this.#hint,
        );
      }
      const flag = this.flags[name]!;
      const bare = bareValue(flag);
      if (rest.length > 1 && rest[0] === "=") return this.#set(name, flag, rest.slice(1));
      if (bare !== undefined) {
        this.#set(name, flag, bare);
        letters = rest;
        continue;
      }
      if (rest !== "") return this.#set(name, flag, rest);
      if (this.#at < this.words.length) return this.#set(name, flag, this.words[this.#at++]!);
      this.#fail(`flag needs an argument: '${letter}' in -${letters}`);
    }
    return false;
  }

  #nextIsChoice(flag: Flag): boolean {
    return flag.choices !== undefined && flag.choices.includes(this.words[this.#at] ?? "");
  }

  #set(name: string, flag: Flag, text: string): false {
    const shown = flag.short ? `-${flag.short}, --${name}` : `--${name}`;
    switch (flag.kind) {
      case "bool":
        this.#values.set(name, this.#bool(shown, text));
        break;
      case "int":
      case "uint":
        this.#values.set(name, flag.words?.[text] ?? this.#integer(shown, text, flag.kind));
        break;
      case "list":
      case "array": {
        const before = this.#values.get(name) as string[] | undefined;
        const added = flag.kind === "array" ? [text] : this.#commaList(shown, text);
        this.#values.set(name, [...before ?? [], ...added]);
        break;
      }
      case "string":
        this.#values.set(name, text);
    }
    if (flag.choices && !flag.choices.includes(text)) {
      const list = flag.choices.join(", ");
      this.#invalid(shown, text, `"${text}" is not a valid value.  Choose from: "${list}"`);
    }
    if (flag.only && !flag.only.includes(text)) {
      const usable = flag.only.filter((value) => value !== "").map((value) => `"${value}"`).join(" or ");
      throw new UnsupportedError(`--${name}=${text} is not available yet: only ${usable} is`);
    }
    return false;
  }

  /** strconv.ParseBool. */
  #bool(shown: string, text: string): boolean {
    if (["1", "t", "T", "TRUE", "true", "True"].includes(text)) return true;
    if (["0", "f", "F", "FALSE", "false", "False"].includes(text)) return false;
    return this.#invalid(shown, text, `strconv.ParseBool: parsing ${goQuote(text)}: invalid syntax`);
  }

  /** strconv.ParseInt and ParseUint with base 0: 0x, 0o, 0b and a leading 0 are understood. */
  #integer(shown: string, text: string, kind: "int" | "uint"): number {
    const parser = kind === "int" ? "ParseInt" : "ParseUint";
    const sign = kind === "int" ? /^[-+]?/.exec(text)![0] : "";
    let digits = text.slice(sign.length);
    if (/^0[0-7_]+$/.test(digits)) digits = `0o${digits.slice(1)}`;
    if (!/^(0[xX][\da-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|\d+)$/.test(digits)) {
      return this.#invalid(shown, text, `strconv.${parser}: parsing ${goQuote(text)}: invalid syntax`);
    }
    const value = BigInt(digits.replaceAll("_", "")) * (sign === "-" ? -1n : 1n);
    const [least, most] = kind === "int" ? [-(2n ** 63n), 2n ** 63n - 1n] : [0n, 2n ** 64n - 1n];
    if (value < least || value > most) {
      return this.#invalid(shown, text, `strconv.${parser}: parsing ${goQuote(text)}: value out of range`);
    }
    return Number(value);
  }

  /** One line of CSV, as encoding/csv reads it. */
  #commaList(shown: string, text: string): string[] {
    if (text === "") return [];
    const fields: string[] = [];
    for (let at = 0; at <= text.length;) {
      const quoted = /^"((?:[^"]|"")*)"(?=,|$)/.exec(text.slice(at));
      const field = quoted?.[0] ?? /^[^,]*/.exec(text.slice(at))![0];
      if (!quoted && field.includes('"')) {
        const column = at + field.indexOf('"', field.startsWith('"') ? 1 : 0) + 1;
        const cause = field.startsWith('"')
          ? 'extraneous or missing " in quoted-field'
          : 'bare " in non-quoted-field';
        this.#invalid(shown, text, `parse error on line 1, column ${Math.max(column, 1)}: ${cause}`);
      }
      fields.push(quoted ? quoted[1]!.replaceAll('""', '"') : field);
      at += field.length + 1;
    }
    return fields;
  }

  #invalid(shown: string, text: string, cause: string): never {
    return this.#fail(`invalid argument ${goQuote(text)} for "${shown}" flag: ${cause}`);
  }

  #fail(message: string): never {
    throw new InvalidArgumentError(message, { hint: this.#hint });
  }
}

/** Every spelling, letters with their dash, to the name in the table. */
function indexNames(flags: Flags): Map<string, string> {
  const names = new Map<string, string>();
  for (const name in flags) {
    const flag = flags[name]!;
    names.set(name, name);
    if (flag.short) names.set(`-${flag.short}`, name);
    for (const alias of flag.aliases ?? []) names.set(alias, name);
  }
  return names;
}

function bareValue(flag: Flag): string | undefined {
  return flag.bare ?? (flag.kind === "bool" ? "true" : undefined);
}

/** `strconv.Quote`, for what users type. */
function goQuote(text: string): string {
  return JSON.stringify(text);
}
