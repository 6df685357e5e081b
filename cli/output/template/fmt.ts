/**
 * Go's way of writing values: the `fmt` verbs that templates use, and string quoting.
 *
 * JavaScript values stand for Go ones: a number without fraction is an int, an array a slice, a plain
 * object or Map a map with string keys, an object with `goType` a struct, null an untyped nil.
 *
 * @see https://pkg.go.dev/fmt
 */

import { goQuote } from "../../../runtime/spec/go_quote.ts";
import { describeCharacter } from "./lexer.ts";

/** Names the Go type of an object that is a struct, whose missing fields are errors. */
export const goType = Symbol("goType");

export type Kind = "invalid" | "bool" | "int" | "float" | "string" | "slice" | "map" | "struct" | "func";

export function kindOf(value: unknown): Kind {
  switch (typeof value) {
    case "boolean":
      return "bool";
    case "bigint":
      return "int";
    case "number":
      return Number.isInteger(value) ? "int" : "float";
    case "string":
      return "string";
    case "function":
      return "func";
    case "object":
      if (value === null) return "invalid";
      if (Array.isArray(value)) return "slice";
      return goType in value ? "struct" : "map";
  }
  return "invalid";
}

/** The type's name as Go's %T prints it. */
export function typeName(value: unknown): string {
  switch (kindOf(value)) {
    case "float":
      return "float64";
    case "slice":
      return "[]interface {}";
    case "map":
      return "map[string]interface {}";
    case "struct":
      return String((value as { [goType]: unknown })[goType]);
    case "invalid":
      return "<nil>";
    default:
      return kindOf(value);
  }
}

/** Keys and values in the order Go prints and ranges them: maps sorted, structs as declared. */
export function entriesOf(value: unknown): [string, unknown][] {
  const entries: [string, unknown][] = value instanceof Map ? [...value] : Object.entries(value as object);
  if (kindOf(value) === "struct") return entries.filter(([, field]) => typeof field !== "function");
  return entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

/** `%v`: what `print` and a bare action write. */
export function formatValue(value: unknown, plus = false): string {
  switch (kindOf(value)) {
    case "invalid":
      return "<nil>";
    case "string":
      return value as string;
    case "float":
      return formatFloat(value as number);
    case "slice":
      return `[${(value as unknown[]).map((item) => formatValue(item, plus)).join(" ")}]`;
    case "map":
      return `map[${entriesOf(value).map(([key, item]) => `${key}:${formatValue(item, plus)}`).join(" ")}]`;
    case "struct": {
      const fields = entriesOf(value).map(([key, item]) => (plus ? `${key}:` : "") + formatValue(item, plus));
      return `{${fields.join(" ")}}`;
    }
    default:
      return String(value);
  }
}

/** `%v` of a float64: shortest form, an exponent below 1e-4 and from 1e21 on. */
function formatFloat(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
  const magnitude = Math.abs(value);
  if (magnitude !== 0 && (magnitude < 1e-4 || magnitude >= 1e21)) return goExponent(value.toExponential());
  return String(value);
}

/** JavaScript's `1e-7` as Go's `1e-07`. */
function goExponent(text: string): string {
  return text.replace(/e([-+])(\d)$/, "e$10$2");
}

/** `fmt.Sprint`: a space between two operands when neither is a string. */
export function sprint(values: unknown[]): string {
  return values.map((value, index) => {
    const gap = index > 0 && typeof value !== "string" && typeof values[index - 1] !== "string";
    return (gap ? " " : "") + formatValue(value);
  }).join("");
}

/** `fmt.Sprintln`: always a space, and a newline. */
export function sprintln(values: unknown[]): string {
  return values.map((value) => formatValue(value)).join(" ") + "\n";
}

interface Directive {
  flags: string;
  width?: number;
  precision?: number;
  verb: string;
}

/** `fmt.Sprintf`, with Go's `%!d(string=x)` complaints in place of exceptions. */
export function sprintf(format: string, values: unknown[]): string {
  let used = 0;
  const take = () => used < values.length ? { value: values[used++] } : undefined;
  const text = format.replace(
    /%([-+# 0]*)(\*|\d+)?(?:\.(\*|\d*))?(.|$)/gsu,
    (_all, flags, width, precision, verb) => {
      const number = (part: string | undefined) =>
        part === undefined ? undefined : part === "*" ? Number(take()?.value) : Number(part);
      const directive: Directive = { flags, width: number(width), precision: number(precision), verb };
      if (verb === "") return "%!(NOVERB)";
      if (verb === "%") return "%";
      const arg = take();
      if (!arg) return `%!${verb}(MISSING)`;
      return pad(formatVerb(directive, arg.value), directive);
    },
  );
  if (used >= values.length) return text;
  const extra = values.slice(used).map((value) =>
    value === null || value === undefined ? "<nil>" : `${typeName(value)}=${formatValue(value)}`
  );
  return `${text}%!(EXTRA ${extra.join(", ")})`;
}

function pad(text: string, { flags, width }: Directive): string {
  if (width === undefined) return text;
  const missing = width - [...text].length;
  if (missing <= 0) return text;
  if (flags.includes("-")) return text + " ".repeat(missing);
  if (!flags.includes("0")) return " ".repeat(missing) + text;
  const sign = /^[-+]/.exec(text)?.[0] ?? "";
  return sign + "0".repeat(missing) + text.slice(sign.length);
}

function formatVerb(directive: Directive, value: unknown): string {
  const { verb, flags, precision } = directive;
  if (verb === "T") return typeName(value);
  if (verb === "v") {
    if (flags.includes("#")) return goSyntax(value);
    return signed(formatValue(value, flags.includes("+")), directive, value);
  }
  const kind = kindOf(value);
  if (kind === "slice" && verb !== "x" && verb !== "X") {
    return `[${(value as unknown[]).map((item) => formatVerb(directive, item)).join(" ")}]`;
  }
  if (kind === "bool" && verb === "t") return String(value);
  if (kind === "int") {
    // JavaScript cannot tell 2.0 from 2, so an integer serves the verbs of a float as well.
    const text = formatInteger(directive, value as number) ?? formatFloating(directive, Number(value));
    return text ?? wrongVerb(verb, value);
  }
  if (kind === "float") return formatFloating(directive, value as number) ?? wrongVerb(verb, value);
  if (kind === "string") {
    const text = precision === undefined
      ? value as string
      : [...value as string].slice(0, precision).join("");
    if (verb === "s") return text;
    if (verb === "q") return flags.includes("#") && !text.includes("`") ? `\`${text}\`` : goQuote(text);
    if (verb === "x" || verb === "X") {
      const bytes = [...new TextEncoder().encode(text)].map((byte) => byte.toString(16).padStart(2, "0"));
      const hex = bytes.join(flags.includes(" ") ? " " : "");
      return verb === "x" ? hex : hex.toUpperCase();
    }
  }
  if (kind === "map" && verb === "s") return formatValue(value);
  return wrongVerb(verb, value);
}

function wrongVerb(verb: string, value: unknown): string {
  if (kindOf(value) === "invalid") return `%!${verb}(<nil>)`;
  return `%!${verb}(${typeName(value)}=${formatValue(value)})`;
}

function signed(text: string, { flags }: Directive, value: unknown): string {
  if (typeof value !== "number" || text.startsWith("-") || text.startsWith("+")) return text;
  return flags.includes("+") ? `+${text}` : flags.includes(" ") ? ` ${text}` : text;
}

const RADIX: Record<string, number> = { d: 10, b: 2, o: 8, O: 8, x: 16, X: 16 };
const PREFIX: Record<string, string> = { b: "0b", o: "0", x: "0x", X: "0X" };

function formatInteger(directive: Directive, value: number): string | undefined {
  const { verb, flags, precision } = directive;
  if (verb === "c") return String.fromCodePoint(value);
  if (verb === "q") return `'${String.fromCodePoint(value)}'`;
  if (verb === "U") return describeCharacter(String.fromCodePoint(value)).split(" ")[0];
  const radix = RADIX[verb];
  if (radix === undefined) return undefined;
  let digits = (value < 0 ? -value : value).toString(radix).padStart(precision ?? 0, "0");
  if (verb === "X") digits = digits.toUpperCase();
  if (verb === "O") digits = `0o${digits}`;
  else if (flags.includes("#")) digits = (PREFIX[verb] ?? "") + digits;
  return signed(value < 0 ? `-${digits}` : digits, directive, value);
}

function formatFloating(directive: Directive, value: number): string | undefined {
  const { verb, precision } = directive;
  switch (verb) {
    case "f":
    case "F":
      return signed(toFixed(value, precision ?? 6), directive, value);
    case "e":
    case "E": {
      const text = goExponent(value.toExponential(precision ?? 6));
      return signed(verb === "E" ? text.toUpperCase() : text, directive, value);
    }
    case "g":
    case "G":
      return signed(
        precision === undefined ? formatFloat(value) : String(Number(value.toPrecision(precision || 1))),
        directive,
        value,
      );
  }
  return undefined;
}

/** As Go rounds: a tie goes to the even digit, where JavaScript's toFixed goes up. */
function toFixed(value: number, digits: number): string {
  const rounded = value.toFixed(digits);
  const exact = value.toFixed(Math.min(100, digits + 40));
  const cut = exact.length - (Math.min(100, digits + 40) - digits);
  if (!/^50*$/.test(exact.slice(cut))) return rounded;
  const truncated = digits === 0 ? exact.slice(0, cut - 1) : exact.slice(0, cut);
  return /[02468]$/.test(truncated) ? truncated : rounded;
}

/** `%#v`. */
function goSyntax(value: unknown): string {
  switch (kindOf(value)) {
    case "string":
      return goQuote(value as string);
    case "slice":
      return `[]interface {}{${(value as unknown[]).map(goSyntax).join(", ")}}`;
    case "map":
    case "struct": {
      const isMap = kindOf(value) === "map";
      const fields = entriesOf(value).map(([key, item]) => `${isMap ? goQuote(key) : key}:${goSyntax(item)}`);
      return `${typeName(value)}{${fields.join(", ")}}`;
    }
    default:
      return formatValue(value);
  }
}

const UNESCAPES: Record<string, string> = { a: "\x07", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t", v: "\v" };

/** `strconv.Unquote` of a "quoted" or `raw` string; undefined where it is malformed. */
export function unquote(text: string): string | undefined {
  if (text.startsWith("`")) return text.slice(1, -1).replaceAll("\r", "");
  let valid = true;
  const pattern = /\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|[\s\S]|$)/g;
  const body = text.slice(1, -1).replace(pattern, (_all, code: string) => {
    if (code.length > 1) {
      const number = /^[xuU]/.test(code) ? parseInt(code.slice(1), 16) : parseInt(code, 8);
      if (number <= 0x10ffff) return String.fromCodePoint(number);
      valid = false;
      return "";
    }
    const plain = UNESCAPES[code] ?? (`\\"'`.includes(code) && code !== "" ? code : undefined);
    valid &&= plain !== undefined;
    return plain ?? "";
  });
  return valid ? body : undefined;
}

/** The code point of a Go character constant: `'a'`, `'\n'`. */
export function unquoteChar(text: string): number | undefined {
  const body = unquote(`"${text.slice(1, -1).replaceAll('"', '\\"')}"`);
  return body !== undefined && [...body].length === 1 ? body.codePointAt(0) : undefined;
}
