/** One entry of a log file, whichever its format. */

import type { OutputStream } from "./log_writer.ts";

export interface LogRecord {
  stream: OutputStream;
  /** As the file has it; RFC 3339 with up to nine digits of fraction. */
  time: string;
  /** The output itself, with the newline where there was one. */
  bytes: Uint8Array;
  /** False for a piece that the next record of the stream continues. */
  endsLine: boolean;
  /** Of a json-file: what `--log-opt` has put beside each line. */
  attributes?: Record<string, string>;
}

const SPACE = 32;
const TAG_FULL = 70;
const TAG_PARTIAL = 80;
const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** Reads a line of a log file, given with its newline; undefined where it is none, as when it was torn. */
export type LineParser = (line: Uint8Array) => LogRecord | undefined;

/** `TIME STREAM P|F TEXT`; the record's bytes are a view into `line`. */
export function parseK8sLine(line: Uint8Array): LogRecord | undefined {
  const first = line.indexOf(SPACE);
  const second = first + 1 + STREAM_CHARACTERS;
  const tag = line[second + 1];
  if (first < 1 || line[second] !== SPACE || line[second + 2] !== SPACE) return undefined;
  const stream = STREAM_BY_LETTER[line[first + 4]!];
  if (
    (tag !== TAG_FULL && tag !== TAG_PARTIAL) || stream === undefined || !isStream(line, first + 1, stream)
  ) {
    return undefined;
  }
  const endsLine = tag === TAG_FULL;
  return new K8sRecord(stream, line.subarray(second + 3, endsLine ? undefined : -1), endsLine, line, first);
}

const STREAM_CHARACTERS = 6;
/** `stdout` and `stderr` by the letter in which they differ. */
const STREAM_BY_LETTER: Record<number, OutputStream> = { 111: "stdout", 101: "stderr" };

function isStream(line: Uint8Array, at: number, stream: OutputStream): boolean {
  for (let index = 0; index < STREAM_CHARACTERS; index++) {
    if (line[at + index] !== stream.charCodeAt(index)) return false;
  }
  return true;
}

/** Its time is text only for who asks: decoding it takes longer than all the rest. */
class K8sRecord implements LogRecord {
  readonly #line: Uint8Array;
  readonly #timeEnd: number;

  constructor(
    readonly stream: OutputStream,
    readonly bytes: Uint8Array,
    readonly endsLine: boolean,
    line: Uint8Array,
    timeEnd: number,
  ) {
    this.#line = line;
    this.#timeEnd = timeEnd;
  }

  get time(): string {
    return decoder.decode(this.#line.subarray(0, this.#timeEnd));
  }
}

/** `{"log":TEXT,"stream":STREAM,"time":TIME}` */
export function parseJsonLine(line: Uint8Array): LogRecord | undefined {
  try {
    const { log, stream, time, attrs } = JSON.parse(decoder.decode(line));
    if (typeof log !== "string" || typeof time !== "string") return undefined;
    if (stream !== "stdout" && stream !== "stderr") return undefined;
    const record = { stream, time, bytes: encoder.encode(log), endsLine: log.endsWith("\n") };
    return typeof attrs === "object" && attrs !== null ? { ...record, attributes: attrs } : record;
  } catch {
    return undefined;
  }
}

/**
 * A time as nanoseconds since 1970, for comparison; undefined where it is none.
 *
 * @see RFC 3339
 */
export function parseLogTime(text: string): bigint | undefined {
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/.exec(text);
  if (match === null) return undefined;
  const ms = Date.parse(`${match[1]}${match[3]}`);
  if (Number.isNaN(ms)) return undefined;
  return BigInt(ms) * 1_000_000n + BigInt((match[2] ?? "").padEnd(9, "0"));
}
