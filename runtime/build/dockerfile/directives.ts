/**
 * `# escape=…`, `# syntax=…` and `# check=…` above everything else.
 *
 * @see Dockerfile reference, parser directives; BuildKit frontend/dockerfile/parser/directives.go and linter/linter.go
 */

import { BuildError } from "../../errors.ts";
import { goQuote } from "../../spec/go_quote.ts";
import type { Directives } from "./ast.ts";
import { trim, trimStart } from "./characters.ts";

const KNOWN = new Set(["syntax", "escape", "check"]);
const DIRECTIVE = /^([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(\S.*)$/;

export interface Directive {
  name: string;
  value: string;
}

/** Takes lines one after the other; the first that is no directive is the end of them. */
export class DirectiveReader {
  #isDone = false;
  #seen = new Set<string>();

  /** `line` is without its end. Throws BuildError where a directive comes twice. */
  read(line: string): Directive | undefined {
    if (this.#isDone) return undefined;
    const match = line.startsWith("#") ? DIRECTIVE.exec(trimStart(line.slice(1))) : null;
    const name = match?.[1]?.toLowerCase();
    if (!match || name === undefined || !KNOWN.has(name)) {
      this.#isDone = true;
      return undefined;
    }
    if (this.#seen.has(name)) throw new BuildError(`only one ${name} parser directive can be used`);
    this.#seen.add(name);
    return { name, value: trim(match[2]!) };
  }
}

/** Of `# escape=`. */
export function checkEscape(value: string): string {
  if (value === "\\" || value === "`") return value;
  throw new BuildError(`invalid escape token '${value}' does not match \` or \\`);
}

/** What the whole file is read by. Unlike `escape`, these may stand below a `#!` line. */
export function findDirective(lines: readonly string[], name: "syntax" | "check"): Found | undefined {
  const first = lines[0]?.startsWith("#!") ? 1 : 0;
  const reader = new DirectiveReader();
  for (let index = first; index < lines.length; index++) {
    const directive = reader.read(lines[index]!);
    if (!directive) return undefined;
    // What follows a blank is the frontend's own command line.
    if (directive.name === name) return { value: directive.value.split(" ", 1)[0]!, line: index + 1 };
  }
}

export interface Found {
  value: string;
  /** Counted from 1. */
  line: number;
}

/** `skip=A,B;error=true;experimental=all`, of the directive or the build argument BUILDKIT_DOCKERFILE_CHECK. */
export function parseCheckOptions(text: string): Directives["check"] {
  const options: Directives["check"] = { skip: [], skipAll: false, error: false, experimental: [] };
  if (trim(text) === "") return options;
  for (const part of trim(text).split(";")) {
    const at = part.indexOf("=");
    if (at < 0) throw new BuildError(`invalid check option ${goQuote(part)}`);
    const key = trim(part.slice(0, at));
    const value = trim(part.slice(at + 1));
    if (key === "skip" && value === "all") options.skipAll = true;
    else if (key === "skip") options.skip = value.split(",").map(trim);
    else if (key === "experimental") options.experimental = value.split(",").map(trim);
    else if (key === "error") {
      const isError = parseBool(value);
      if (isError === undefined) throw new BuildError(`failed to parse check option ${goQuote(part)}`);
      options.error = isError;
    } else throw new BuildError(`invalid check option ${goQuote(key)}`);
  }
  return options;
}

/** @see Go's strconv.ParseBool */
export function parseBool(text: string): boolean | undefined {
  if (/^(1|t|T|TRUE|true|True)$/.test(text)) return true;
  if (/^(0|f|F|FALSE|false|False)$/.test(text)) return false;
}
