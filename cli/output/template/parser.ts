/**
 * Builds the tree of a Go template; refuses what Go refuses, in Go's words.
 *
 * @see https://pkg.go.dev/text/template#hdr-Actions
 */

import { KEYWORDS, type Token, tokenize, type TokenKind } from "./lexer.ts";
import { goQuote as quote } from "../../../runtime/spec/go_quote.ts";
import { unquote, unquoteChar } from "./fmt.ts";
import { type Command, describe, type Expression, type Node, type Pipeline, type Tree } from "./nodes.ts";

/** What Go's `template.Parse` would say. */
export class TemplateSyntaxError extends Error {
  override name = "TemplateSyntaxError";
}

/** @throws TemplateSyntaxError, worded `template: name:line: cause` */
export function parseTemplate(name: string, text: string, functions: ReadonlySet<string>): Tree {
  return new Parser(name, text, functions).run();
}

/** An end of a list of nodes: `{{end}}`, `{{else}}`, or the end of the text. */
type ListEnd = "end" | "else" | "eof";

class Parser {
  #tokens: Token[];
  #at = 0;
  #variables = ["$"];
  #rangeDepth = 0;
  readonly #defined = new Map<string, Node[]>();

  constructor(readonly name: string, readonly text: string, readonly functions: ReadonlySet<string>) {
    this.#tokens = tokenize(text);
  }

  run(): Tree {
    const root: Node[] = [];
    while (this.#peek().kind !== "eof") {
      if (this.#startsDefine()) {
        this.#define();
        continue;
      }
      const node = this.#textOrAction();
      if (node === "end" || node === "else") this.#fail(`unexpected {{${node}}}`);
      root.push(node);
    }
    return { name: this.name, text: this.text, root, defined: this.#defined };
  }

  #startsDefine(): boolean {
    if (this.#peek().kind !== "leftDelim") return false;
    const after = this.#tokens[this.#at + 1];
    const next = after?.kind === "space" ? this.#tokens[this.#at + 2] : after;
    return next?.kind === "define";
  }

  #define(): void {
    this.#next();
    this.#nextNonSpace();
    const name = this.#nextNonSpace();
    if (name.kind !== "string" && name.kind !== "rawString") this.#unexpected(name, "define clause");
    this.#expect("rightDelim", "define clause");
    const { list, end } = this.#scoped(() => this.#list());
    if (end !== "end") this.#fail(`unexpected {{${end}}} in define clause`);
    this.#defined.set(unquote(name.value) ?? "", list);
  }

  #list(): { list: Node[]; end: ListEnd } {
    const list: Node[] = [];
    while (this.#peekNonSpace().kind !== "eof") {
      const node = this.#textOrAction();
      if (node === "end" || node === "else") return { list, end: node };
      list.push(node);
    }
    return this.#fail("unexpected EOF");
  }

  #textOrAction(): Node | "end" | "else" {
    const token = this.#nextNonSpace();
    if (token.kind === "text") return { type: "text", pos: token.pos, text: token.value };
    if (token.kind === "leftDelim") return this.#action();
    return this.#unexpected(token, "input");
  }

  #action(): Node | "end" | "else" {
    const token = this.#nextNonSpace();
    switch (token.kind) {
      case "if":
      case "range":
      case "with":
        return this.#control(token.kind, token.pos);
      case "else":
        return this.#elseControl();
      case "end":
        this.#expect("rightDelim", "end");
        return "end";
      case "break":
      case "continue":
        if (this.#rangeDepth === 0) this.#fail(`{{${token.kind}}} outside {{range}}`);
        this.#expect("rightDelim", `{{${token.kind}}}`);
        return { type: token.kind, pos: token.pos };
      case "template":
        return this.#templateClause();
      case "block":
        return this.#block();
    }
    this.#at--;
    return { type: "action", pos: token.pos, pipe: this.#pipeline("command", "rightDelim") };
  }

  #control(type: "if" | "range" | "with", pos: number): Node {
    return this.#scoped(() => {
      const pipe = this.#pipeline(type, "rightDelim");
      if (type === "range") this.#rangeDepth++;
      const { list, end } = this.#list();
      if (type === "range") this.#rangeDepth--;
      if (end === "end") return { type, pos, pipe, list };
      // `{{else if}}` and `{{else with}}` nest, and share one `{{end}}`.
      const next = this.#peek();
      if (type !== "range" && next.kind === type) {
        this.#next();
        return { type, pos, pipe, list, elseList: [this.#control(type, next.pos)] };
      }
      const otherwise = this.#list();
      if (otherwise.end !== "end") this.#fail(`expected end; found {{${otherwise.end}}}`);
      return { type, pos, pipe, list, elseList: otherwise.list };
    });
  }

  #elseControl(): "else" {
    const next = this.#peekNonSpace();
    if (next.kind !== "if" && next.kind !== "with") this.#expect("rightDelim", "else");
    return "else";
  }

  #templateClause(): Node {
    const { pos, name } = this.#templateName("template clause");
    if (this.#peekNonSpace().kind === "rightDelim") {
      this.#nextNonSpace();
      return { type: "template", pos, name };
    }
    return { type: "template", pos, name, pipe: this.#pipeline("template clause", "rightDelim") };
  }

  #block(): Node {
    const { pos, name } = this.#templateName("block clause");
    const pipe = this.#pipeline("block clause", "rightDelim");
    const { list, end } = this.#scoped(() => this.#list());
    if (end !== "end") this.#fail(`unexpected {{${end}}} in block clause`);
    this.#defined.set(name, list);
    return { type: "template", pos, name, pipe };
  }

  #templateName(context: string): { pos: number; name: string } {
    const token = this.#nextNonSpace();
    if (token.kind !== "string" && token.kind !== "rawString") this.#unexpected(token, context);
    return { pos: token.pos, name: this.#unquoted(token) };
  }

  #pipeline(context: string, end: TokenKind): Pipeline {
    const pipe: Pipeline = {
      type: "pipe",
      pos: this.#peekNonSpace().pos,
      isAssign: false,
      variables: [],
      commands: [],
    };
    this.#declarations(pipe, context);
    for (;;) {
      const token = this.#nextNonSpace();
      if (token.kind === end) break;
      if (!STARTS_OPERAND.has(token.kind)) this.#unexpected(token, context);
      this.#at--;
      pipe.commands.push(this.#command());
    }
    if (pipe.commands.length === 0) this.#fail(`missing value for ${context}`);
    pipe.commands.slice(1).forEach((command, index) => {
      if (["bool", "dot", "nil", "number", "string"].includes(command.args[0]?.type ?? "")) {
        this.#fail(`non executable command in pipeline stage ${index + 2}`);
      }
    });
    return pipe;
  }

  /** `$x :=`, `$x =`, `$i, $x :=`; leaves a plain `$x` alone. */
  #declarations(pipe: Pipeline, context: string): void {
    const start = this.#at;
    const variable = this.#peekNonSpace();
    if (variable.kind !== "variable") return;
    this.#nextNonSpace();
    const after = this.#peekNonSpace();
    if (after.kind === "assign" || after.kind === "declare") {
      this.#nextNonSpace();
      pipe.isAssign = after.kind === "assign";
    } else if (after.kind === "char" && after.value === ",") {
      this.#nextNonSpace();
      if (context !== "range" || pipe.variables.length >= 1) {
        this.#fail(`too many declarations in ${context}`);
      }
      if (this.#peekNonSpace().kind !== "variable") this.#fail("range can only initialize variables");
    } else {
      this.#at = start;
      return;
    }
    pipe.variables.push(variable.value);
    this.#variables.push(variable.value);
    if (after.kind === "char") this.#declarations(pipe, context);
  }

  #command(): Command {
    const command: Command = { pos: this.#peekNonSpace().pos, args: [] };
    for (;;) {
      this.#peekNonSpace();
      const operand = this.#operand();
      if (operand) command.args.push(operand);
      const token = this.#next();
      if (token.kind === "space") continue;
      if (token.kind === "rightDelim" || token.kind === "rightParen") this.#at--;
      else if (token.kind !== "pipe") this.#unexpected(token, "operand");
      break;
    }
    if (command.args.length === 0) this.#fail("empty command");
    return command;
  }

  #operand(): Expression | undefined {
    const node = this.#term();
    if (!node || this.#peek().kind !== "field") return node;
    // Go places a chain at its second part; its error columns count from there.
    const pos = this.#peek().pos;
    const names: string[] = [];
    while (this.#peek().kind === "field") names.push(this.#next().value.slice(1));
    switch (node.type) {
      case "field":
      case "variable":
        return { type: node.type, pos, names: [...node.names, ...names] };
      case "bool":
      case "string":
      case "number":
      case "nil":
      case "dot":
        return this.#fail(`unexpected . after term ${quote(describe(node))}`);
      default:
        return { type: "chain", pos, node, names };
    }
  }

  #term(): Expression | undefined {
    const token = this.#nextNonSpace();
    const pos = token.pos;
    switch (token.kind) {
      case "identifier":
        if (!this.functions.has(token.value)) this.#fail(`function ${quote(token.value)} not defined`);
        return { type: "identifier", pos, name: token.value };
      case "dot":
        return { type: "dot", pos };
      case "nil":
        return { type: "nil", pos };
      case "bool":
        return { type: "bool", pos, value: token.value === "true" };
      case "field":
        return { type: "field", pos, names: [token.value.slice(1)] };
      case "variable":
        if (!this.#variables.includes(token.value)) this.#fail(`undefined variable ${quote(token.value)}`);
        return { type: "variable", pos, names: [token.value] };
      case "number":
      case "charConstant":
        return { type: "number", pos, text: token.value, value: this.#number(token) };
      case "string":
      case "rawString":
        return { type: "string", pos, quoted: token.value, value: this.#unquoted(token) };
      case "leftParen":
        return this.#pipeline("parenthesized pipeline", "rightParen");
    }
    this.#at--;
    return undefined;
  }

  #number(token: Token): number {
    if (token.kind === "charConstant") {
      return unquoteChar(token.value) ?? this.#fail(`malformed character constant: ${token.value}`);
    }
    const digits = token.value.replaceAll("_", "");
    const negative = digits.startsWith("-");
    let bare = digits.replace(/^[-+]/, "");
    if (/^0[0-7]+$/.test(bare)) bare = `0o${bare.slice(1)}`;
    const value = bare === "" || bare === "." ? NaN : Number(bare);
    if (Number.isNaN(value)) this.#fail(`bad number syntax: ${quote(token.value)}`);
    if (Number.isInteger(value) && value >= 2 ** 64 && !/[.eE]/.test(bare)) {
      this.#fail(`integer overflow: ${quote(token.value)}`);
    }
    return negative ? -value : value;
  }

  #unquoted(token: Token): string {
    return unquote(token.value) ?? this.#fail("invalid syntax");
  }

  /** Variables declared inside end with it. */
  #scoped<T>(body: () => T): T {
    const depth = this.#variables.length;
    const result = body();
    this.#variables.length = depth;
    return result;
  }

  #peek(): Token {
    return this.#tokens[Math.min(this.#at, this.#tokens.length - 1)]!;
  }

  #next(): Token {
    const token = this.#peek();
    this.#at++;
    return token;
  }

  #peekNonSpace(): Token {
    while (this.#peek().kind === "space") this.#at++;
    return this.#peek();
  }

  #nextNonSpace(): Token {
    this.#peekNonSpace();
    return this.#next();
  }

  #expect(kind: TokenKind, context: string): void {
    const token = this.#nextNonSpace();
    if (token.kind !== kind) this.#unexpected(token, context);
  }

  #unexpected(token: Token, context: string): never {
    if (token.kind === "error") return this.#fail(token.value);
    return this.#fail(`unexpected ${describeToken(token)} in ${context}`);
  }

  #fail(message: string): never {
    const line = this.#tokens[Math.max(0, Math.min(this.#at, this.#tokens.length) - 1)]?.line ?? 1;
    throw new TemplateSyntaxError(`template: ${this.name}:${line}: ${message}`);
  }
}

const STARTS_OPERAND: ReadonlySet<TokenKind> = new Set<TokenKind>([
  "bool",
  "charConstant",
  "dot",
  "field",
  "identifier",
  "number",
  "nil",
  "rawString",
  "string",
  "variable",
  "leftParen",
]);

function describeToken(token: Token): string {
  if (token.kind === "eof") return "EOF";
  if (KEYWORDS.has(token.kind) || token.kind === "nil" || token.kind === "dot") return `<${token.value}>`;
  return token.value.length > 10 ? `${quote(token.value.slice(0, 10))}...` : quote(token.value);
}
