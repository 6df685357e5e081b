/**
 * Runs a parsed Go template over JavaScript values.
 *
 * A missing key of a map prints `<no value>`, a missing field of a struct is an error, as in Go; what Go
 * would call a method is a function-valued field (`.Label "name"`).
 *
 * @see https://pkg.go.dev/text/template
 */

import { goQuote as quote } from "../../../runtime/spec/go_quote.ts";
import { entriesOf, formatValue, kindOf, typeName } from "./fmt.ts";
import {
  type Command,
  describe,
  describeCommand,
  type Expression,
  type Node,
  type Pipeline,
  type Tree,
} from "./nodes.ts";
import { parseTemplate } from "./parser.ts";
import { FUNCTIONS, type TemplateFunction } from "./funcs.ts";

/** What Go's `template.Execute` would say. */
export class TemplateError extends Error {
  override name = "TemplateError";
}

export interface Template {
  /** @throws TemplateError, worded `template: name:line:column: executing "name" at <…>: cause` */
  execute(data: unknown): string;
}

/** Parses `text`; `name` appears in error messages. Throws TemplateSyntaxError. */
export function compileTemplate(name: string, text: string, functions = FUNCTIONS): Template {
  const tree = parseTemplate(name, text, new Set(Object.keys(functions)));
  return { execute: (data) => new Execution(tree, functions, data).run() };
}

/** Go's isTrue: the zero value of a type is false; a struct is always true. */
export function isTrue(value: unknown): boolean {
  switch (kindOf(value)) {
    case "invalid":
      return false;
    case "slice":
      return (value as unknown[]).length > 0;
    case "map":
      return entriesOf(value).length > 0;
    case "struct":
    case "func":
      return true;
    default:
      return Boolean(value);
  }
}

/** Marks that no value comes in from the left of a `|`. */
const NONE = Symbol("no piped value");

class Break extends Error {}
class Continue extends Error {}

const MAX_DEPTH = 1000;

class Execution {
  #out: string[] = [];
  #variables: { name: string; value: unknown }[];
  #depth = 0;
  #current: string;

  constructor(
    readonly tree: Tree,
    readonly functions: Record<string, TemplateFunction>,
    readonly data: unknown,
  ) {
    this.#variables = [{ name: "$", value: data }];
    this.#current = tree.name;
  }

  run(): string {
    this.#walkList(this.data, this.tree.root);
    return this.#out.join("");
  }

  #walkList(dot: unknown, list: Node[]): void {
    for (const node of list) this.#walk(dot, node);
  }

  #walk(dot: unknown, node: Node): void {
    switch (node.type) {
      case "text":
        this.#out.push(node.text);
        return;
      case "action": {
        const value = this.#pipeline(dot, node.pipe);
        if (node.pipe.variables.length === 0) this.#print(value);
        return;
      }
      case "if":
      case "with": {
        const depth = this.#variables.length;
        const value = this.#pipeline(dot, node.pipe);
        if (isTrue(value)) this.#walkList(node.type === "with" ? value : dot, node.list);
        else if (node.elseList) this.#walkList(dot, node.elseList);
        this.#variables.length = depth;
        return;
      }
      case "range":
        return this.#range(dot, node.pipe, node.list, node.elseList);
      case "template":
        return this.#template(dot, node.pos, node.name, node.pipe);
      case "break":
        throw new Break();
      case "continue":
        throw new Continue();
    }
  }

  #print(value: unknown): void {
    this.#out.push(value === null || value === undefined ? "<no value>" : formatValue(value));
  }

  #range(dot: unknown, pipe: Pipeline, list: Node[], elseList?: Node[]): void {
    const depth = this.#variables.length;
    const value = this.#pipeline(dot, pipe);
    const entries = this.#rangeEntries(pipe, value);
    const inner = this.#variables.length;
    try {
      for (const [key, item] of entries) {
        // One variable is the element, two are index (or key) and element.
        const values = pipe.variables.length === 2 ? [key, item] : [item];
        pipe.variables.forEach((_, index) => {
          this.#variables[inner - pipe.variables.length + index]!.value = values[index];
        });
        try {
          this.#walkList(item, list);
        } catch (error) {
          if (!(error instanceof Continue)) throw error;
        }
        this.#variables.length = inner;
      }
    } catch (error) {
      if (!(error instanceof Break)) throw error;
    }
    if (entries.length === 0 && elseList) this.#walkList(dot, elseList);
    this.#variables.length = depth;
  }

  #rangeEntries(pipe: Pipeline, value: unknown): [unknown, unknown][] {
    switch (kindOf(value)) {
      case "slice":
        return (value as unknown[]).map((item, index) => [index, item]);
      case "map":
        return entriesOf(value);
      case "int":
        return Array.from({ length: Number(value) }, (_, index) => [index, index]);
      case "invalid":
        return [];
    }
    return this.#fail(pipe, `range can't iterate over ${formatValue(value)}`);
  }

  #template(dot: unknown, pos: number, name: string, pipe?: Pipeline): void {
    const list = this.tree.defined.get(name);
    const context = `{{template ${quote(name)}${pipe ? ` ${describe(pipe)}` : ""}}}`;
    if (!list) return this.#failAt(pos, context, `template ${quote(name)} not defined`);
    if (++this.#depth > MAX_DEPTH) {
      this.#failAt(pos, context, `exceeded maximum template depth (${MAX_DEPTH})`);
    }
    const value = pipe ? this.#pipeline(dot, pipe) : undefined;
    const [variables, current] = [this.#variables, this.#current];
    this.#variables = [{ name: "$", value }];
    this.#current = name;
    this.#walkList(value, list);
    this.#variables = variables;
    this.#current = current;
    this.#depth--;
  }

  #pipeline(dot: unknown, pipe: Pipeline): unknown {
    let value: unknown = NONE;
    for (const command of pipe.commands) value = this.#command(dot, command, value);
    for (const name of pipe.variables) {
      if (pipe.isAssign) {
        const variable = this.#variable(name);
        if (!variable) return this.#fail(pipe.commands.at(-1)!.args[0]!, `undefined variable: ${name}`);
        variable.value = value;
      } else this.#variables.push({ name, value });
    }
    return value;
  }

  #variable(name: string): { value: unknown } | undefined {
    return this.#variables.findLast((variable) => variable.name === name);
  }

  #command(dot: unknown, command: Command, final: unknown): unknown {
    const first = command.args[0]!;
    switch (first.type) {
      case "field":
      case "chain":
      case "variable":
        return this.#chain(dot, first, command.args, final);
      case "identifier":
        return this.#function(dot, first.name, first, command.args, final);
    }
    if (command.args.length > 1 || final !== NONE) {
      this.#fail(first, `can't give argument to non-function ${describe(first)}`);
    }
    if (first.type === "nil") this.#fail(first, "nil is not a command");
    return this.#value(dot, first);
  }

  /** `.A.B`, `$x.A`, `(pipeline).A`: all but the last name take no arguments. */
  #chain(dot: unknown, node: Expression, args: Expression[], final: unknown): unknown {
    let receiver = dot;
    let names: string[] = [];
    if (node.type === "field") names = node.names;
    else if (node.type === "variable") {
      receiver = this.#variable(node.names[0]!)?.value;
      names = node.names.slice(1);
      if (names.length === 0) {
        if (args.length > 1 || final !== NONE) {
          this.#fail(node, `can't give argument to non-function ${describe(node)}`);
        }
        return receiver;
      }
    } else if (node.type === "chain") {
      if (node.node.type === "nil") this.#fail(node, `indirection through explicit nil in ${describe(node)}`);
      receiver = this.#value(dot, node.node);
      names = node.names;
    }
    names.forEach((name, index) => {
      const isLast = index === names.length - 1;
      receiver = this.#field(dot, receiver, name, node, isLast ? args : [], isLast ? final : NONE);
    });
    return receiver;
  }

  #field(
    dot: unknown,
    receiver: unknown,
    name: string,
    node: Expression,
    args: Expression[],
    final: unknown,
  ): unknown {
    const kind = kindOf(receiver);
    if (receiver === undefined) return undefined;
    if (receiver === null) return this.#fail(node, `nil pointer evaluating interface {}.${name}`);
    if (kind !== "map" && kind !== "struct") {
      return this.#fail(node, `can't evaluate field ${name} in type ${typeName(receiver)}`);
    }
    const own = receiver instanceof Map
      ? receiver.get(name)
      : Object.hasOwn(receiver as object, name)
      ? (receiver as Record<string, unknown>)[name]
      : undefined;
    if (typeof own === "function") {
      const values = args.slice(1).map((arg) => this.#value(dot, arg));
      if (final !== NONE) values.push(final);
      if (values.length !== own.length) {
        this.#fail(node, `wrong number of args for ${name}: want ${own.length} got ${values.length}`);
      }
      return own(...values);
    }
    if (args.length > 1 || final !== NONE) {
      const cause = kind === "map"
        ? `${name} is not a method but has arguments`
        : `${name} has arguments but cannot be invoked as function`;
      this.#fail(node, cause);
    }
    if (own === undefined && kind === "struct") {
      return this.#fail(node, `can't evaluate field ${name} in type ${typeName(receiver)}`);
    }
    return own;
  }

  #function(dot: unknown, name: string, node: Expression, args: Expression[], final: unknown): unknown {
    const given = args.length - 1 + (final === NONE ? 0 : 1);
    if (name === "and" || name === "or") {
      if (given === 0) this.#fail(node, `wrong number of args for ${name}: want at least 1 got 0`);
      return this.#shortCircuit(dot, name, args.slice(1), final);
    }
    const called = this.functions[name]!;
    const { params } = called;
    if (called.variadic) {
      const least = params.length - 1;
      if (given < least) {
        this.#fail(node, `wrong number of args for ${name}: want at least ${least} got ${given}`);
      }
    } else if (given !== params.length) {
      this.#fail(node, `wrong number of args for ${name}: want ${params.length} got ${given}`);
    }
    const param = (index: number) => params[Math.min(index, params.length - 1)]!;
    const values = args.slice(1).map((arg, index) => this.#argument(dot, arg, param(index)));
    if (final !== NONE) values.push(this.#checkType(node, final, param(values.length)));
    try {
      return called.call(...values);
    } catch (error) {
      if (error instanceof TemplateError) throw error;
      const cause = error instanceof Error ? error.message : String(error);
      return this.#failAt(
        node.pos,
        describeCommand({ pos: node.pos, args }),
        `error calling ${name}: ${cause}`,
      );
    }
  }

  #shortCircuit(dot: unknown, name: "and" | "or", args: Expression[], final: unknown): unknown {
    let value: unknown;
    for (const arg of args) {
      value = this.#value(dot, arg);
      if (isTrue(value) === (name === "or")) return value;
    }
    return final === NONE ? value : final;
  }

  #argument(dot: unknown, node: Expression, type: TemplateFunction["params"][number]): unknown {
    if (type !== "any") {
      const constant = { string: "string", int: "number", bool: "bool" }[type];
      const isConstant = ["string", "number", "bool", "nil"].includes(node.type);
      if (isConstant && node.type !== constant) {
        this.#fail(
          node,
          node.type === "nil"
            ? `cannot assign nil to ${type}`
            : `expected ${type === "int" ? "integer" : type}; found ${describe(node)}`,
        );
      }
    }
    return this.#checkType(node, this.#value(dot, node), type);
  }

  #checkType(node: Expression, value: unknown, type: TemplateFunction["params"][number]): unknown {
    if (type === "any" || kindOf(value) === type) return value;
    if (value === undefined || value === null) return this.#fail(node, `invalid value; expected ${type}`);
    return this.#fail(node, `wrong type for value; expected ${type}; got ${typeName(value)}`);
  }

  #value(dot: unknown, node: Expression): unknown {
    switch (node.type) {
      case "dot":
        return dot;
      case "nil":
        return null;
      case "bool":
      case "number":
      case "string":
        return node.value;
      case "pipe":
        return this.#pipeline(dot, node);
      case "identifier":
        return this.#function(dot, node.name, node, [node], NONE);
      default:
        return this.#chain(dot, node, [node], NONE);
    }
  }

  #fail(node: Expression, message: string): never {
    const context = node.type === "pipe" ? node.commands.map(describeCommand).join(" | ") : describe(node);
    return this.#failAt(node.pos, context, message);
  }

  #failAt(pos: number, context: string, message: string): never {
    const before = this.tree.text.slice(0, pos);
    const line = before.split("\n").length;
    const column = new TextEncoder().encode(before.slice(before.lastIndexOf("\n") + 1)).length;
    const where = `${this.tree.name}:${line}:${column}`;
    throw new TemplateError(
      `template: ${where}: executing ${quote(this.#current)} at <${context}>: ${message}`,
    );
  }
}
