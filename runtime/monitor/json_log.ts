/**
 * The log format `json-file`, as Docker writes it: one object a line.
 *
 * ```
 *  {"log":"a whole line\n","stream":"stdout","time":"2016-10-06T00:17:09.669794202Z"}
 * ```
 *
 * A line is written when its newline is there, or in pieces of 16 KiB, which have no newline at their end.
 * Bytes that are not UTF-8 cannot be said in JSON and become U+FFFD, as with Docker.
 *
 * @see moby daemon/logger/jsonfilelog/jsonlog/jsonlogbytes.go, daemon/logger/copier.go
 */

import { momentText, now } from "./log_clock.ts";
import { LogFile } from "./log_file.ts";
import type { LogWriter, OutputStream } from "./log_writer.ts";
import { wholeCharacters } from "./whole_characters.ts";

const NEWLINE = 10;
const PIECE_BYTES = 16 * 1024;
const BATCH_CHARS = 64 * 1024;

export class JsonLogWriter implements LogWriter {
  readonly #file: LogFile;
  /** The beginning of a line whose newline has not come yet. */
  readonly #held: Record<OutputStream, Held> = {
    stdout: { bytes: new Uint8Array(PIECE_BYTES), length: 0 },
    stderr: { bytes: new Uint8Array(PIECE_BYTES), length: 0 },
  };
  #batch = "";
  #attributes = "";

  constructor(path: string, maxSize: number, attributes?: Record<string, string>) {
    this.#file = new LogFile(path, maxSize);
    if (attributes) this.#attributes = `,"attrs":${JSON.stringify(attributes)}`;
  }

  write(stream: OutputStream, bytes: Uint8Array<ArrayBuffer>): void {
    const tail = this.#tail(stream);
    const held = this.#held[stream];
    let at = 0;
    while (at < bytes.length) {
      const newline = bytes.indexOf(NEWLINE, at);
      const lineEnd = newline === -1 ? bytes.length : newline + 1;
      const count = Math.min(lineEnd - at, PIECE_BYTES - held.length);
      const isLine = newline !== -1 && at + count === lineEnd;
      if (isLine && held.length === 0) {
        this.#add(bytes.subarray(at, lineEnd), tail);
      } else {
        held.bytes.set(bytes.subarray(at, at + count), held.length);
        held.length += count;
        if (isLine) this.#release(held, held.length, tail);
        else if (held.length === PIECE_BYTES) this.#release(held, wholeCharacters(held.bytes), tail);
      }
      at += count;
    }
    this.#flush();
  }

  close(): void {
    for (const stream of ["stdout", "stderr"] as const) {
      const held = this.#held[stream];
      const tail = this.#tail(stream);
      if (held.length > 0) this.#release(held, held.length, tail);
    }
    this.#flush();
    this.#file.close();
  }

  #tail(stream: OutputStream): string {
    return `,"stream":"${stream}"${this.#attributes},"time":"${momentText(now())}Z"}\n`;
  }

  #release(held: Held, count: number, tail: string): void {
    this.#add(held.bytes.subarray(0, count), tail);
    held.bytes.copyWithin(0, count, held.length);
    held.length -= count;
  }

  #add(line: Uint8Array, tail: string): void {
    this.#batch += `{"log":${quote(decoder.decode(line))}${tail}`;
    if (this.#batch.length > BATCH_CHARS || this.#file.maxSize > 0) this.#flush();
  }

  #flush(): void {
    if (this.#batch === "") return;
    const bytes = encoder.encode(this.#batch);
    this.#batch = "";
    if (this.#file.room < bytes.length && !this.#file.isEmpty) this.#file.rotate();
    this.#file.append(bytes, bytes.length);
  }
}

interface Held {
  bytes: Uint8Array<ArrayBuffer>;
  length: number;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

// deno-lint-ignore no-control-regex
const ESCAPED = /[\x00-\x1f"\\<>&\u2028\u2029\ufffd]/;
const EVERY_ESCAPED = new RegExp(ESCAPED.source, "g");
const SHORT_ESCAPES: Record<string, string> = { '"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r" };

/** A JSON string with Docker's escapes: of the control characters only \n and \r have a short form. */
function quote(text: string): string {
  const body = text.endsWith("\n") ? text.slice(0, -1) : text;
  const escaped = ESCAPED.test(body) ? body.replace(EVERY_ESCAPED, escape) : body;
  return body === text ? `"${escaped}"` : `"${escaped}\\n"`;
}

function escape(character: string): string {
  return SHORT_ESCAPES[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
