/**
 * A Dockerfile's text as instructions: comments and blank lines gone, continuations joined, heredocs taken in.
 *
 * @see BuildKit frontend/dockerfile/parser/parser.go
 */

import { BuildError } from "../../errors.ts";
import type { Heredoc } from "./ast.ts";
import { trim, trimStart } from "./characters.ts";
import { checkEscape, DirectiveReader } from "./directives.ts";
import { findHeredocs, type HeredocWord, removeLeadingTabs } from "./heredoc.ts";
import { cutLine, type Node, takesHeredocs } from "./node.ts";

/** Bytes of a Dockerfile. */
const MAX_FILE_BYTES = 16 << 20;
/** Bytes of one line, before continuations are joined. */
const MAX_LINE_BYTES = 65535;

export interface Lines {
  nodes: Node[];
  escape: string;
  /** Without their ends. */
  lines: string[];
  /** Last lines of instructions with empty ones among their continuations. */
  emptyContinuations: number[];
}

/** Of the bytes as they are in the file. @throws {BuildError} where it is too large */
export function decode(source: Uint8Array | string): string {
  if (source.length > MAX_FILE_BYTES) {
    throw new BuildError(`Dockerfile exceeds maximum allowed size of ${MAX_FILE_BYTES} bytes`);
  }
  return typeof source === "string" ? source.replace(/^\ufeff/, "") : new TextDecoder().decode(source);
}

/** The last one is empty where the file ends with a newline; excerpts show it. */
function splitLines(text: string): string[] {
  return text.split("\n").map((line) => line.replace(/\r$/, ""));
}

/** @throws {BuildError} with its place in `source` */
export function readNodes(text: string, fileName: string): Lines {
  return new LineReader(text, fileName).read();
}

class LineReader {
  readonly #raw: string[];
  readonly #lines: string[];
  readonly #directives = new DirectiveReader();
  readonly #nodes: Node[] = [];
  readonly #emptyContinuations: number[] = [];
  #escape = "\\";
  /** Lines taken so far: the number, from 1, of the last. */
  #at = 0;
  #comments: string[] = [];

  constructor(text: string, readonly fileName: string) {
    this.#lines = splitLines(text);
    // With their ends, which heredocs keep.
    this.#raw = text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
  }

  read(): Lines {
    while (this.#at < this.#raw.length) {
      const start = this.#at + 1;
      try {
        this.#readInstruction(start);
      } catch (error) {
        throw this.#located(error, start);
      }
    }
    if (this.#nodes.length === 0) {
      throw this.#located(new BuildError("file with no instructions"), Math.max(1, this.#at));
    }
    return {
      nodes: this.#nodes,
      escape: this.#escape,
      lines: this.#lines,
      emptyContinuations: this.#emptyContinuations,
    };
  }

  #readInstruction(start: number): void {
    const first = trimStart(this.#takeLine());
    const directive = this.#directives.read(first);
    if (directive?.name === "escape") this.#escape = checkEscape(directive.value);
    if (first === "") this.#comments = [];
    if (first.startsWith("#") && !directive) this.#noteComment(first);
    if (first === "" || first.startsWith("#")) return;
    const text = this.#joinContinuations(first);
    const cut = cutLine(text, this.#escape);
    const heredocs = text.includes("<<") && takesHeredocs(cut)
      ? findHeredocs(text).map((word) => this.#takeHeredoc(word))
      : [];
    const location = { startLine: start, endLine: this.#at };
    this.#nodes.push({ ...cut, original: trim(text), location, heredocs, comments: this.#comments });
    this.#comments = [];
  }

  /** An empty comment separates those above it from what follows. */
  #noteComment(line: string): void {
    const comment = trim(line.slice(1));
    if (comment === "") this.#comments = [];
    else this.#comments.push(comment);
  }

  #joinContinuations(first: string): string {
    const parts: string[] = [];
    let hasEmpty = false;
    let [text, continues] = this.#cutContinuation(first);
    parts.push(text);
    while (continues && this.#at < this.#raw.length) {
      const line = this.#takeLine();
      this.#directives.read(line);
      const trimmed = trimStart(line);
      if (trimmed.startsWith("#")) continue;
      if (trimmed === "") {
        hasEmpty = true;
        continue;
      }
      [text, continues] = this.#cutContinuation(line);
      parts.push(text);
    }
    if (hasEmpty) this.#emptyContinuations.push(this.#at);
    return parts.join("");
  }

  /** An escape at the end, blanks behind it or not, joins the next line; two of them are none. */
  #cutContinuation(line: string): [text: string, continues: boolean] {
    let end = line.length;
    while (end > 0 && (line[end - 1] === " " || line[end - 1] === "\t")) end--;
    const continues = line[end - 1] === this.#escape && line[end - 2] !== this.#escape;
    return continues ? [line.slice(0, end - 1), true] : [line, false];
  }

  #takeHeredoc(word: HeredocWord): Heredoc {
    const startLine = this.#at + 1;
    const content: string[] = [];
    while (this.#at < this.#raw.length) {
      const line = this.#takeLine();
      if ((word.chomp ? line.replace(/^\t+/, "") : line) === word.name) {
        const text = content.join("");
        return {
          name: word.name,
          content: word.chomp ? removeLeadingTabs(text) : text,
          expand: word.expand,
          location: { startLine, endLine: this.#at },
        };
      }
      content.push(this.#raw[this.#at - 1]!);
    }
    throw new BuildError("unterminated heredoc");
  }

  /** The next line without its end. */
  #takeLine(): string {
    const raw = this.#raw[this.#at++]!;
    let end = raw.length;
    while (end > 0 && (raw[end - 1] === "\n" || raw[end - 1] === "\r")) end--;
    const line = raw.slice(0, end);
    if (byteLength(line) > MAX_LINE_BYTES) {
      throw new BuildError(`dockerfile line greater than max allowed size of ${MAX_LINE_BYTES}`);
    }
    return line;
  }

  #located(error: unknown, startLine: number): unknown {
    if (!(error instanceof BuildError)) return error;
    const location = { startLine, endLine: Math.max(startLine, this.#at) };
    const source = { fileName: this.fileName, lines: this.#lines, location };
    return new BuildError(error.message, { cause: error, source });
  }
}

function byteLength(line: string): number {
  if (line.length * 3 <= MAX_LINE_BYTES || line.length > MAX_LINE_BYTES) return line.length;
  return new TextEncoder().encode(line).length;
}
