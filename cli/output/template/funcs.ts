/**
 * The functions a template can call: Go's own, then those that docker and podman add.
 *
 * @see https://pkg.go.dev/text/template#hdr-Functions
 * @see https://docs.docker.com/engine/cli/formatting/
 */

import { entriesOf, kindOf, sprint, sprintf, sprintln, typeName } from "./fmt.ts";

export interface TemplateFunction {
  /** Types of the parameters; the last one repeats where `variadic`. */
  params: ("any" | "string" | "int" | "bool")[];
  variadic?: boolean;
  // deno-lint-ignore no-explicit-any
  call: (...values: any[]) => unknown;
}

/** The kind that a comparison goes by; int and float are one, as JSON does not tell them apart. */
function comparable(value: unknown): string {
  const kind = kindOf(value);
  if (kind === "float") return "int";
  if (kind === "slice" || kind === "map" || kind === "func") throw new Error("non-comparable type");
  return kind;
}

function isEqual(a: unknown, b: unknown): boolean {
  const [left, right] = [comparable(a), comparable(b)];
  if (left === right) return left === "invalid" || a === b;
  if (left === "invalid" || right === "invalid") return false;
  throw new Error("incompatible types for comparison");
}

function isLess(a: unknown, b: unknown): boolean {
  const [left, right] = [comparable(a), comparable(b)];
  if (left === "bool" || left === "struct" || left === "invalid") {
    throw new Error("invalid type for comparison");
  }
  if (left !== right) throw new Error("incompatible types for comparison");
  return (a as number) < (b as number);
}

function itemAt(item: unknown, key: unknown): unknown {
  switch (kindOf(item)) {
    case "slice":
    case "string": {
      if (kindOf(key) !== "int") {
        const type = key === null || key === undefined ? "nil" : `type ${typeName(key)}`;
        throw new Error(`cannot index slice/array with ${type}`);
      }
      const index = Number(key);
      const bytes = typeof item === "string" ? new TextEncoder().encode(item) : item as unknown[];
      if (index < 0 || index >= bytes.length) throw new Error(`index out of range: ${index}`);
      return bytes[index];
    }
    case "map": {
      if (typeof key !== "string") throw new Error(`value has type ${typeName(key)}; should be string`);
      const entries = entriesOf(item);
      const found = entries.find(([name]) => name === key);
      if (found) return found[1];
      // The zero value of the element type: labels and the like are map[string]string.
      return entries.every(([, value]) => typeof value === "string") ? "" : undefined;
    }
    case "invalid":
      throw new Error("index of untyped nil");
  }
  throw new Error(`can't index item of type ${typeName(item)}`);
}

function slice(item: unknown, ...indexes: unknown[]): unknown {
  const kind = kindOf(item);
  if (kind === "invalid") throw new Error("slice of untyped nil");
  if (indexes.length > 3) throw new Error(`too many slice indexes: ${indexes.length}`);
  if (kind !== "string" && kind !== "slice") throw new Error(`can't slice item of type ${typeName(item)}`);
  if (kind === "string" && indexes.length === 3) throw new Error("cannot 3-index slice a string");
  const whole = kind === "string" ? new TextEncoder().encode(item as string) : item as unknown[];
  const bounds = indexes.map((index) => {
    if (kindOf(index) !== "int") throw new Error(`cannot index slice/array with type ${typeName(index)}`);
    const at = Number(index);
    if (at < 0 || at > whole.length) throw new Error(`index out of range: ${at}`);
    return at;
  });
  const [from = 0, to = whole.length] = bounds;
  if (from > to) throw new Error(`invalid slice index: ${from} > ${to}`);
  const part = whole.slice(from, to);
  return part instanceof Uint8Array ? new TextDecoder().decode(part) : part;
}

function length(item: unknown): number {
  switch (kindOf(item)) {
    case "string":
      return new TextEncoder().encode(item as string).length;
    case "slice":
      return (item as unknown[]).length;
    case "map":
      return entriesOf(item).length;
    case "invalid":
      throw new Error("len of nil pointer");
  }
  throw new Error(`len of type ${typeName(item)}`);
}

const HTML: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&#34;", "'": "&#39;" };
const JS: Record<string, string> = {
  "\\": "\\\\",
  "'": "\\'",
  '"': '\\"',
  "<": "\\u003C",
  ">": "\\u003E",
  "&": "\\u0026",
  "=": "\\u003D",
};

function jsEscape(char: string): string {
  return JS[char] ?? `\\u${char.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}`;
}

/** Go's encoding/json with HTML escaping off: invisible line separators are escaped. */
export function toJson(value: unknown, indent?: string): string {
  const text = JSON.stringify(value ?? null, (_key, item) => {
    if (typeof item === "bigint") return Number(item);
    return item instanceof Map ? Object.fromEntries(item) : item;
  }, indent);
  return text.replace(/[\u2028\u2029]/g, (char) => `\\u${char.charCodeAt(0).toString(16)}`);
}

const GO: Record<string, TemplateFunction> = {
  // `and` and `or` are evaluated lazily by the interpreter; here only their names count.
  and: { params: ["any"], variadic: true, call: (...values) => values.at(-1) },
  or: { params: ["any"], variadic: true, call: (...values) => values.at(-1) },
  not: { params: ["any"], call: (value) => isEmpty(value) },
  eq: {
    params: ["any", "any"],
    variadic: true,
    call: (first, ...others) => {
      if (others.length === 0) throw new Error("missing argument for comparison");
      return others.some((other) => isEqual(first, other));
    },
  },
  ne: { params: ["any", "any"], call: (a, b) => !isEqual(a, b) },
  lt: { params: ["any", "any"], call: isLess },
  le: { params: ["any", "any"], call: (a, b) => isLess(a, b) || isEqual(a, b) },
  gt: { params: ["any", "any"], call: (a, b) => !isLess(a, b) && !isEqual(a, b) },
  ge: { params: ["any", "any"], call: (a, b) => !isLess(a, b) },
  len: { params: ["any"], call: length },
  index: {
    params: ["any", "any"],
    variadic: true,
    call: (item, ...keys) => keys.reduce(itemAt, item),
  },
  slice: { params: ["any", "any"], variadic: true, call: slice },
  print: { params: ["any"], variadic: true, call: (...values) => sprint(values) },
  println: { params: ["any"], variadic: true, call: (...values) => sprintln(values) },
  printf: {
    params: ["string", "any"],
    variadic: true,
    call: (format, ...values) => sprintf(format, values),
  },
  html: {
    params: ["any"],
    variadic: true,
    call: (...values) => sprint(values).replace(/[&<>"']/g, (char) => HTML[char]!),
  },
  js: {
    params: ["any"],
    variadic: true,
    call: (...values) => sprint(values).replace(/[\\'"<>&=]|\p{C}/gu, jsEscape),
  },
  urlquery: {
    params: ["any"],
    variadic: true,
    call: (...values) =>
      new URLSearchParams({ q: sprint(values) }).toString().slice(2).replaceAll("*", "%2A").replaceAll(
        "%7E",
        "~",
      ),
  },
  call: {
    params: ["any", "any"],
    variadic: true,
    call: (fn, ...values) => {
      if (fn === null || fn === undefined) throw new Error("call of nil");
      if (typeof fn !== "function") throw new Error(`non-function of type ${typeName(fn)}`);
      return fn(...values);
    },
  },
};

const DOCKER: Record<string, TemplateFunction> = {
  json: { params: ["any"], call: (value) => toJson(value) },
  lower: { params: ["string"], call: (text: string) => text.toLowerCase() },
  upper: { params: ["string"], call: (text: string) => text.toUpperCase() },
  title: {
    params: ["string"],
    call: (text: string) =>
      text.replace(/(^|[^\p{L}\p{N}_'])(\p{L})/gu, (_all, gap, first) => gap + first.toUpperCase()),
  },
  split: { params: ["string", "string"], call: (text: string, separator: string) => text.split(separator) },
  join: {
    params: ["any", "string"],
    call: (items: unknown, separator: string) => {
      if (kindOf(items) !== "slice") {
        throw new Error(`wrong type for value; expected []string; got ${typeName(items)}`);
      }
      return (items as unknown[]).map((item) => sprint([item])).join(separator);
    },
  },
  pad: {
    params: ["string", "int", "int"],
    call: (text: string, before: number, after: number) =>
      text === "" ? text : " ".repeat(Math.max(0, before)) + text + " ".repeat(Math.max(0, after)),
  },
  truncate: {
    params: ["string", "int"],
    call: (text: string, limit: number) => [...text].slice(0, Math.max(0, limit)).join(""),
  },
};

function isEmpty(value: unknown): boolean {
  const kind = kindOf(value);
  if (kind === "slice" || kind === "map") return length(value) === 0;
  return kind === "invalid" || (kind !== "struct" && kind !== "func" && !value);
}

export const FUNCTIONS: Record<string, TemplateFunction> = { ...GO, ...DOCKER };
