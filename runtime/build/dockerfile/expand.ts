/**
 * Words of a Dockerfile as they mean: variables replaced, quotes and escapes taken away, split at blanks where the
 * instruction takes several.
 *
 * @see BuildKit frontend/dockerfile/shell/lex.go; Dockerfile reference, environment replacement
 */

import { BuildError } from "../../errors.ts";
import { goQuote } from "../../spec/go_quote.ts";
import { isSpace } from "./characters.ts";
import { MAX_EXPANSION, replace, tooLong, trimPrefix, trimSuffix } from "./pattern.ts";

/** The value of a variable; undefined where it is unset. */
export type Lookup = (name: string) => string | undefined;

export interface Expanded {
  text: string;
  /** Variables that were asked for and set. */
  used: Set<string>;
  /** Those that were not. */
  unset: Set<string>;
}

export interface ExpandedWords extends Omit<Expanded, "text"> {
  words: string[];
}

export interface LexOptions {
  /** `\` or a backtick. */
  escape: string;
  /** Quotes stay. */
  rawQuotes?: boolean;
  /** Escape characters stay. */
  rawEscapes?: boolean;
  /** Quotes are characters like others. */
  plainQuotes?: boolean;
  /** `$x` stays where x is unset. */
  keepUnset?: boolean;
  /** The words are wanted as well. */
  split?: boolean;
}

/** `${a:-${b:-…}}` */
const MAX_DEPTH = 100;

/** @throws {BuildError} `failed to process "…": …` */
export function expandWord(raw: string, lookup: Lookup, escape = "\\"): Expanded {
  const { text, used, unset } = lex(raw, lookup, { escape });
  return { text, used, unset };
}

/** As EXPOSE has it: what variables hold is split as well, but not what stands in quotes. */
export function expandWords(raw: string, lookup: Lookup, escape = "\\"): ExpandedWords {
  const { words, used, unset } = lex(raw, lookup, { escape, split: true });
  return { words, used, unset };
}

/** The content of a heredoc: quotes stay, and the escape character is always a backslash. */
export function expandHeredoc(content: string, lookup: Lookup): Expanded {
  const { text, used, unset } = lex(content, lookup, { escape: "\\", plainQuotes: true });
  return { text, used, unset };
}

/** A command as progress shows it: known variables replaced, all else as written; as it is where it cannot be read. */
export function expandForDisplay(text: string, lookup: Lookup, escape = "\\"): string {
  try {
    return lex(text, lookup, { escape, rawQuotes: true, rawEscapes: true, keepUnset: true }).text;
  } catch {
    return text;
  }
}

export function lex(raw: string, lookup: Lookup, options: LexOptions): Expanded & { words: string[] } {
  const lexer = new Lexer(raw, lookup, options);
  try {
    const { text, words } = lexer.read(undefined, options.rawEscapes ?? false);
    return { text, words, used: lexer.used, unset: lexer.unset };
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    throw new BuildError(`failed to process ${goQuote(raw)}: ${error.message}`, { cause: error });
  }
}

/** Text and, where it is asked for, the words that it splits into. */
class Output {
  text = "";
  #word = "";
  #words: string[] = [];

  constructor(readonly isSplit: boolean) {}

  /** Text whose blanks separate words. */
  add(text: string): void {
    this.text += text;
    if (!this.isSplit) return;
    for (const char of text) {
      if (!isSpace(char)) this.#word += char;
      else this.#endWord();
    }
  }

  /** Of quotes and escapes: blanks belong to the word. */
  addWhole(text: string): void {
    this.text += text;
    if (this.isSplit) this.#word += text;
  }

  finish(): { text: string; words: string[] } {
    this.#endWord();
    return { text: this.text, words: this.#words };
  }

  #endWord(): void {
    if (this.#word !== "") this.#words.push(this.#word);
    this.#word = "";
  }
}

const NAME = /\p{Nd}+|[@*#?\-$!]|[\p{L}_][\p{L}\p{Nd}_]*/uy;
/** Characters that never mean anything but themselves; where quotes are none either. */
const PLAIN = /[^'"$<\\`}/]+/y;
const PLAIN_WITH_QUOTES = /[^$\\`}/]+/y;

class Lexer {
  readonly used = new Set<string>();
  readonly unset = new Set<string>();
  readonly #source: string;
  /** In UTF-16 units: all that means something is one unit long. */
  #at = 0;
  #depth = 0;
  #rawEscapes = false;
  #length = 0;

  constructor(source: string, readonly lookup: Lookup, readonly options: LexOptions) {
    this.#source = source;
  }

  /** Up to `stop`, which is taken, or the end. */
  read(stop: string | undefined, rawEscapes: boolean): { text: string; words: string[] } {
    if (++this.#depth > MAX_DEPTH) throw new BuildError("substitutions are nested too deeply");
    const rawBefore = this.#rawEscapes;
    this.#rawEscapes = rawEscapes;
    const out = new Output(stop === undefined && this.options.split === true);
    for (let char = this.#peek(); char !== undefined; char = this.#peek()) {
      if (char === stop) {
        this.#at++;
        this.#rawEscapes = rawBefore;
        this.#depth--;
        return out.finish();
      }
      this.#readOne(char, out);
    }
    if (stop !== undefined) {
      throw new BuildError(`unexpected end of statement while looking for matching ${stop}`);
    }
    this.#rawEscapes = rawBefore;
    this.#depth--;
    return out.finish();
  }

  #readOne(char: string, out: Output): void {
    const hasQuotes = !this.options.plainQuotes;
    if (char === "$") out.add(this.#counted(this.#readDollar()));
    else if (hasQuotes && char === "'") out.addWhole(this.#readSingleQuotes());
    else if (hasQuotes && char === '"') out.addWhole(this.#readDoubleQuotes());
    else if (hasQuotes && char === "<") out.addWhole(this.#readPossibleHeredoc());
    else if (char === this.options.escape) {
      this.#at++;
      if (this.#rawEscapes) out.addWhole(char);
      const escaped = this.#next();
      // At the very end it escapes nothing and is gone.
      if (escaped !== undefined) out.addWhole(escaped);
    } else out.add(this.#readPlain(hasQuotes ? PLAIN : PLAIN_WITH_QUOTES));
  }

  #peek(): string | undefined {
    return this.#source[this.#at];
  }

  /** A whole character. */
  #next(): string | undefined {
    const code = this.#source.codePointAt(this.#at);
    if (code === undefined) return undefined;
    const char = String.fromCodePoint(code);
    this.#at += char.length;
    return char;
  }

  /** As many as match, or the one that means something only elsewhere. */
  #readPlain(expression: RegExp): string {
    return this.#match(expression) || this.#next()!;
  }

  #match(expression: RegExp): string {
    expression.lastIndex = this.#at;
    const text = expression.exec(this.#source)?.[0] ?? "";
    this.#at += text.length;
    return text;
  }

  /** Nothing within is special, not even the escape character. */
  #readSingleQuotes(): string {
    const quote = this.options.rawQuotes ? this.#next()! : (this.#at++, "");
    const end = this.#source.indexOf("'", this.#at);
    if (end < 0) {
      this.#at = this.#source.length;
      throw new BuildError("unexpected end of statement while looking for matching single-quote");
    }
    const text = this.#source.slice(this.#at, end);
    this.#at = end + 1;
    return quote + text + quote;
  }

  /** Variables are replaced; the escape character escapes `"`, `$` and itself, and else stays. */
  #readDoubleQuotes(): string {
    const quote = this.options.rawQuotes ? this.#next()! : (this.#at++, "");
    let text = quote;
    for (;;) {
      const char = this.#peek();
      if (char === undefined) {
        throw new BuildError("unexpected end of statement while looking for matching double-quote");
      }
      if (char === "$") {
        text += this.#counted(this.#readDollar());
        continue;
      }
      if (char === '"') {
        this.#at++;
        return text + quote;
      }
      if (char !== this.options.escape) {
        text += this.#readPlain(PLAIN);
        continue;
      }
      this.#at++;
      if (this.#rawEscapes) text += char;
      const next = this.#peek();
      if (next === undefined) continue;
      const isEscaped = next === '"' || next === "$" || next === this.options.escape;
      text += isEscaped ? this.#next()! : char;
    }
  }

  /** `<<  EOF` is one word: the blanks behind `<<` belong to it. */
  #readPossibleHeredoc(): string {
    this.#at++;
    if (this.#peek() !== "<") return "<";
    let text = "<<";
    this.#at++;
    for (let char = this.#peek(); char !== undefined && isSpace(char); char = this.#peek()) {
      text += char;
      this.#at++;
    }
    return text;
  }

  #readDollar(): string {
    this.#at++;
    if (this.#peek() !== "{") {
      const name = this.#readName();
      if (name === "") return "$";
      return this.#value(name) ?? (this.options.keepUnset ? `$${name}` : "");
    }
    this.#at++;
    const first = this.#peek();
    if (first === undefined) throw new BuildError("syntax error: missing '}'");
    if (first === "{" || first === "}" || first === ":") {
      throw new BuildError("syntax error: bad substitution");
    }
    return this.#readSubstitution(this.#readName());
  }

  #readSubstitution(name: string): string {
    let modifier = this.#next() ?? "\ufffd";
    if (modifier === "}") return this.#value(name) ?? (this.options.keepUnset ? `\${${name}}` : "");
    if (modifier === "/") return this.#readReplacement(name);
    let shown = modifier;
    const isEmptyUnset = modifier === ":";
    if (isEmptyUnset) {
      modifier = this.#next() ?? "\ufffd";
      shown += modifier;
    }
    const isTrim = modifier === "#" || modifier === "%";
    if (!(isTrim && !isEmptyUnset) && !"+-?".includes(modifier)) {
      throw new BuildError(`unsupported modifier (${shown}) in substitution`);
    }
    const word = this.#readUpTo("}", isTrim, "syntax error: missing '}'");
    const value = this.#value(name);
    if (value === undefined && this.options.keepUnset) return `\${${name}${shown}${word}}`;
    const isSet = value !== undefined && !(isEmptyUnset && value === "");
    switch (modifier) {
      case "-":
        return isSet ? value : word;
      case "+":
        return isSet ? word : "";
      case "?":
        if (isSet) return value;
        throw new BuildError(
          `${name}: ${word || `is not allowed to be ${value === undefined ? "unset" : "empty"}`}`,
        );
      default: {
        const isLongest = word.startsWith(modifier);
        const pattern = isLongest ? word.slice(1) : word;
        return (modifier === "#" ? trimPrefix : trimSuffix)(pattern, value ?? "", isLongest);
      }
    }
  }

  #readReplacement(name: string): string {
    const all = this.#peek() === "/";
    if (all) this.#at++;
    const pattern = this.#readUpTo("/", true, "syntax error: missing '/' in ${}");
    const replacement = this.#readUpTo("}", true, "syntax error: missing '}'");
    const value = this.#value(name);
    if (value === undefined && this.options.keepUnset) return `\${${name}/${pattern}/${replacement}}`;
    return replace(pattern, value ?? "", replacement, all);
  }

  /** `atEnd` is what is said where nothing of the text is left. */
  #readUpTo(stop: string, rawEscapes: boolean, atEnd: string): string {
    try {
      return this.#counted(this.read(stop, rawEscapes).text);
    } catch (error) {
      if (error instanceof BuildError && this.#peek() === undefined) throw new BuildError(atEnd);
      throw error;
    }
  }

  /** Letters, digits and `_`; or only digits; or one special parameter of a shell, none of which is ever set. */
  #readName(): string {
    return this.#match(NAME);
  }

  #value(name: string): string | undefined {
    const value = this.lookup(name);
    (value === undefined ? this.unset : this.used).add(name);
    return value;
  }

  #counted(text: string): string {
    this.#length += text.length;
    if (this.#length > MAX_EXPANSION) throw tooLong();
    return text;
  }
}
