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
}

const NEWLINE = 10;
const SPACE = 32;
const TAG_FULL = 70;
const TAG_PARTIAL = 80;
const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** Reads a line of a log file, given without its newline; undefined where it is none, as when it was torn. */
export type LineParser = (line: Uint8Array) => LogRecord | undefined;

/** `TIME STREAM P|F TEXT`; the record's bytes are a view into `line` where they can be. */
export function parseK8sLine(line: Uint8Array): LogRecord | undefined {
  const first = line.indexOf(SPACE);
  const second = line.indexOf(SPACE, first + 1);
  if (first < 1 || second === -1 || line[second + 2] !== SPACE) return undefined;
  const tag = line[second + 1];
  const stream = decoder.decode(line.subarray(first + 1, second));
  if ((tag !== TAG_FULL && tag !== TAG_PARTIAL) || (stream !== "stdout" && stream !== "stderr")) {
    return undefined;
  }
  const time = decoder.decode(line.subarray(0, first));
  const text = line.subarray(second + 3);
  if (tag === TAG_PARTIAL) return { stream, time, bytes: text, endsLine: false };
  const bytes = new Uint8Array(text.length + 1);
  bytes.set(text);
  bytes[text.length] = NEWLINE;
  return { stream, time, bytes, endsLine: true };
}

/** `{"log":TEXT,"stream":STREAM,"time":TIME}` */
export function parseJsonLine(line: Uint8Array): LogRecord | undefined {
  try {
    const { log, stream, time } = JSON.parse(decoder.decode(line));
    if (typeof log !== "string" || typeof time !== "string") return undefined;
    if (stream !== "stdout" && stream !== "stderr") return undefined;
    return { stream, time, bytes: encoder.encode(log), endsLine: log.endsWith("\n") };
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
