/**
 * Splits the text of a Go template into tokens, with the rules and the words of Go's own scanner.
 *
 * @see https://pkg.go.dev/text/template#hdr-Text_and_spaces
 */

export type TokenKind =
  | "error"
  | "eof"
  | "text"
  | "leftDelim"
  | "rightDelim"
  | "space"
  | "assign"
  | "declare"
  | "pipe"
  | "leftParen"
  | "rightParen"
  | "string"
  | "rawString"
  | "charConstant"
  | "number"
  | "bool"
  | "nil"
  | "dot"
  | "field"
  | "variable"
  | "identifier"
  | "char"
  | Keyword;

export type Keyword =
  | "block"
  | "break"
  | "continue"
  | "define"
  | "else"
  | "end"
  | "if"
  | "range"
  | "template"
  | "with";

export interface Token {
  kind: TokenKind;
  /** Offset in the text. */
  pos: number;
  /** As written; for `error` the message. */
  value: string;
  /** Counted from 1. */
  line: number;
}

export const KEYWORDS: ReadonlySet<string> = new Set<Keyword>([
  "block",
  "break",
  "continue",
  "define",
  "else",
  "end",
  "if",
  "range",
  "template",
  "with",
]);

const SPACE = /[ \t\r\n]/;
const WORD = /[\p{L}\p{Nd}_]/u;

/** `U+007B '{'`, as Go's %#U prints a character. */
export function describeCharacter(char: string): string {
  const code = (char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
  return `U+${code} '${char}'`;
}

/** All tokens of `text`; the last one is `eof` or `error`. */
export function tokenize(text: string): Token[] {
  return new Lexer(text).run();
}

class Lexer {
  readonly tokens: Token[] = [];
  #pos = 0;
  #line = 1;
  #parenDepth = 0;

  constructor(readonly text: string) {}

  run(): Token[] {
    while (this.#pos < this.text.length) {
      if (!this.#lexText() || !this.#lexAction()) return this.tokens;
    }
    this.#push("eof", "");
    return this.tokens;
  }

  /** Plain text up to the next action; false at the end. */
  #lexText(): boolean {
    const open = this.text.indexOf("{{", this.#pos);
    const end = open < 0 ? this.text.length : open;
    const raw = this.text.slice(this.#pos, end);
    const trims = open >= 0 && this.#hasLeftTrim(open + 2);
    this.#emit("text", raw, trims ? raw.replace(/[ \t\r\n]+$/, "") : raw);
    if (open >= 0) return true;
    this.#push("eof", "");
    return false;
  }

  /** One `{{ … }}`; false after an error. */
  #lexAction(): boolean {
    const afterDelim = this.#pos + 2;
    const trim = this.#hasLeftTrim(afterDelim);
    const bodyStart = afterDelim + (trim ? 2 : 0);
    if (this.text.startsWith("/*", bodyStart)) return this.#lexComment(bodyStart);
    this.#push("leftDelim", "{{");
    this.#advanceTo(bodyStart);
    this.#parenDepth = 0;
    for (;;) {
      const close = this.#rightDelimLength();
      if (close > 0) {
        if (this.#parenDepth > 0) return this.#fail("unclosed left paren");
        return this.#closeAction(close);
      }
      if (!this.#lexInside()) return false;
    }
  }

  #lexComment(start: number): boolean {
    const end = this.text.indexOf("*/", start);
    if (end < 0) return this.#fail("unclosed comment");
    this.#advanceTo(end + 2);
    const close = this.#rightDelimLength();
    if (close === 0) return this.#fail("comment ends before closing delimiter");
    this.#advanceTo(this.#pos + close);
    if (close > 2) this.#skipSpace();
    return true;
  }

  #closeAction(length: number): boolean {
    this.#push("rightDelim", "}}");
    this.#advanceTo(this.#pos + length);
    if (length > 2) this.#skipSpace();
    return true;
  }

  /** One token inside an action; false after an error. */
  #lexInside(): boolean {
    const char = this.#char();
    if (char === "") return this.#fail("unclosed action");
    if (SPACE.test(char)) return this.#lexSpace();
    switch (char) {
      case "=":
        return this.#emit("assign", "=");
      case ":":
        return this.text[this.#pos + 1] === "=" ? this.#emit("declare", ":=") : this.#fail("expected :=");
      case "|":
        return this.#emit("pipe", "|");
      case '"':
        return this.#lexQuoted('"', "string", "unterminated quoted string");
      case "'":
        return this.#lexQuoted("'", "charConstant", "unterminated character constant");
      case "`":
        return this.#lexRaw();
      case "$":
        return this.#lexName("variable");
      case "(":
        this.#parenDepth++;
        return this.#emit("leftParen", "(");
      case ")":
        this.#emit("rightParen", ")");
        if (--this.#parenDepth >= 0) return true;
        return this.#fail(`unexpected right paren ${describeCharacter(")")}`);
    }
    if (char === "." && !/[0-9]/.test(this.text[this.#pos + 1] ?? "")) return this.#lexName("field");
    if (/[-+.0-9]/.test(char)) return this.#lexNumber();
    if (WORD.test(char)) return this.#lexName("identifier");
    if (/[ -~]/.test(char)) return this.#emit("char", char);
    return this.#fail(`unrecognized character in action: ${describeCharacter(char)}`);
  }

  #lexSpace(): boolean {
    let end = this.#pos;
    while (SPACE.test(this.text[end] ?? "")) end++;
    // The last space of ` -}}` belongs to the delimiter.
    if (this.text.startsWith("-}}", end)) end--;
    return this.#emit("space", this.text.slice(this.#pos, end));
  }

  #lexQuoted(quote: string, kind: TokenKind, unterminated: string): boolean {
    for (let end = this.#pos + 1; end < this.text.length; end++) {
      const char = this.text[end];
      if (char === "\n") break;
      if (char === "\\") {
        end++;
        if (this.text[end] === "\n") break;
      } else if (char === quote) return this.#emit(kind, this.text.slice(this.#pos, end + 1));
    }
    return this.#fail(unterminated);
  }

  #lexRaw(): boolean {
    const end = this.text.indexOf("`", this.#pos + 1);
    if (end < 0) return this.#fail("unterminated raw quoted string");
    return this.#emit("rawString", this.text.slice(this.#pos, end + 1));
  }

  /** A field `.Name`, a variable `$name`, a dot, or a word. */
  #lexName(kind: "field" | "variable" | "identifier"): boolean {
    let end = this.#pos + (kind === "identifier" ? 0 : 1);
    for (let char = this.#char(end); char !== "" && WORD.test(char); char = this.#char(end)) {
      end += char.length;
    }
    if (!this.#atTerminator(end)) return this.#fail(`bad character ${describeCharacter(this.#char(end))}`);
    if (kind === "field" && end === this.#pos + 1) return this.#emit("dot", ".");
    const word = this.text.slice(this.#pos, end);
    if (kind !== "identifier") return this.#emit(kind, word);
    if (KEYWORDS.has(word)) return this.#emit(word as Keyword, word);
    if (word === "nil") return this.#emit("nil", word);
    if (word === "true" || word === "false") return this.#emit("bool", word);
    return this.#emit("identifier", word);
  }

  #lexNumber(): boolean {
    const rest = this.text.slice(this.#pos);
    const number =
      /^[-+]?(0[xX][0-9a-fA-F_]*|0[bB][01_]*|0[oO][0-7_]*|[0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9_]*)?)/.exec(
        rest,
      )?.[0] ?? "";
    const next = this.#char(this.#pos + number.length);
    if (next !== "" && WORD.test(next)) return this.#fail(`bad number syntax: "${number}${next}"`);
    return this.#emit("number", number);
  }

  #atTerminator(pos: number): boolean {
    const char = this.text[pos];
    if (char === undefined || SPACE.test(char) || ".,|:)(".includes(char)) return true;
    return this.text.startsWith("}}", pos);
  }

  /** 2 for `}}`, 4 for ` -}}`, 0 where no action ends here. */
  #rightDelimLength(): number {
    if (SPACE.test(this.text[this.#pos] ?? "") && this.text.startsWith("-}}", this.#pos + 1)) return 4;
    return this.text.startsWith("}}", this.#pos) ? 2 : 0;
  }

  #hasLeftTrim(pos: number): boolean {
    return this.text[pos] === "-" && SPACE.test(this.text[pos + 1] ?? "");
  }

  #skipSpace(): void {
    let end = this.#pos;
    while (SPACE.test(this.text[end] ?? "")) end++;
    this.#advanceTo(end);
  }

  #char(pos = this.#pos): string {
    const code = this.text.codePointAt(pos);
    return code === undefined ? "" : String.fromCodePoint(code);
  }

  #advanceTo(pos: number): void {
    for (
      let at = this.text.indexOf("\n", this.#pos);
      at >= 0 && at < pos;
      at = this.text.indexOf("\n", at + 1)
    ) {
      this.#line++;
    }
    this.#pos = pos;
  }

  #push(kind: TokenKind, value: string): void {
    this.tokens.push({ kind, pos: this.#pos, value, line: this.#line });
  }

  /** Pushes `value` (nothing for empty text) and moves over `raw`. */
  #emit(kind: TokenKind, raw: string, value = raw): true {
    if (kind !== "text" || value !== "") this.#push(kind, value);
    this.#advanceTo(this.#pos + raw.length);
    return true;
  }

  #fail(message: string): false {
    this.#push("error", message);
    return false;
  }
}
