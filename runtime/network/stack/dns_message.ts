/**
 * DNS messages as far as a forwarder reads them: header, question, the size that EDNS allows. Both sides are
 * hostile; what has no single well-formed question is no query.
 *
 * @see RFC 1035, 4; RFC 6891 (EDNS); RFC 2181; RFC 5452 (which answers are believed)
 */

import { type AddressBytes, formatAddress } from "./addresses.ts";

export type Message = Uint8Array<ArrayBuffer>;

export const HEADER_BYTES = 12;
/** What every resolver takes over UDP. */
const PLAIN_UDP_BYTES = 512;
/** What a packet of either IP version has room for, in the memory that it is built in. */
const UDP_LIMIT_BYTES = 65_494;
export const MESSAGE_LIMIT_BYTES = 65535;

export const TYPE = { A: 1, PTR: 12, AAAA: 28, OPT: 41, ANY: 255 } as const;
const CLASS_IN = 1;
export const RCODE = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const;

const FLAG_RESPONSE = 0x80, FLAG_TRUNCATED = 0x02;
/** Of the third header byte: opcode and RD are the query's in every answer. */
const OPCODE_AND_RD = 0x79;

/** A query that can be passed on: one question. */
export interface Query {
  message: Message;
  /** Lower case, labels joined by dots, bytes that are no host name's as `\ddd`; "" is the root. */
  name: string;
  type: number;
  isInternet: boolean;
  /** Where the question ends. */
  end: number;
  /** The most that the asker takes over UDP. */
  udpLimitBytes: number;
}

/** Undefined for what gets no answer at all: too short, or itself an answer. */
export type QueryOrError = Query | { rcode: number } | undefined;

export function readQuery(message: Message): QueryOrError {
  if (message.length < HEADER_BYTES || message.length > MESSAGE_LIMIT_BYTES) return undefined;
  if (message[2]! & FLAG_RESPONSE) return undefined;
  if ((message[2]! >> 3 & 15) !== 0) return { rcode: RCODE.NOTIMP };
  if (uint16(message, 4) !== 1 || uint16(message, 6) !== 0 || uint16(message, 8) !== 0) {
    return { rcode: RCODE.FORMERR };
  }
  const question = readQuestion(message);
  if (question === undefined) return { rcode: RCODE.FORMERR };
  const udpLimitBytes = udpLimit(message, question.end, uint16(message, 10));
  if (udpLimitBytes === undefined) return { rcode: RCODE.FORMERR };
  return { message, ...question, udpLimitBytes };
}

function readQuestion(message: Message): Omit<Query, "message" | "udpLimitBytes"> | undefined {
  const labels: string[] = [];
  let at = HEADER_BYTES;
  for (;;) {
    const length = message[at];
    // a pointer has nothing to point to in a first name
    if (length === undefined || length > 63) return undefined;
    at++;
    if (length === 0) break;
    if (at + length > message.length || at + length - HEADER_BYTES > 255) return undefined;
    labels.push(label(message, at, length));
    at += length;
  }
  if (at + 4 > message.length) return undefined;
  return {
    name: labels.join("."),
    type: uint16(message, at),
    isInternet: uint16(message, at + 2) === CLASS_IN,
    end: at + 4,
  };
}

function label(message: Message, at: number, length: number): string {
  let text = "";
  for (let index = at; index < at + length; index++) {
    const byte = message[index]!;
    text += byte >= 0x41 && byte <= 0x5a
      ? String.fromCharCode(byte + 32)
      : byte === 0x2d || byte === 0x5f || byte >= 0x30 && byte <= 0x39 || byte >= 0x61 && byte <= 0x7a
      ? String.fromCharCode(byte)
      : `\\${String(byte).padStart(3, "0")}`;
  }
  return text;
}

/** From the OPT record, if it is the first of the additional ones as every resolver writes it. */
function udpLimit(message: Message, at: number, additional: number): number | undefined {
  if (additional === 0) return PLAIN_UDP_BYTES;
  if (at + 11 > message.length) return undefined;
  if (message[at] !== 0 || uint16(message, at + 1) !== TYPE.OPT) return PLAIN_UDP_BYTES;
  return Math.min(UDP_LIMIT_BYTES, Math.max(PLAIN_UDP_BYTES, uint16(message, at + 3)));
}

/** The query under another id. */
export function withId(message: Message, id: number): Message {
  const copy = message.slice();
  copy[0] = id >> 8;
  copy[1] = id & 255;
  return copy;
}

/**
 * Whether this is an answer to `query`, which was sent with `id`: the same id, opcode and question to the
 * byte; an error of a server that could not read the query may come without the question.
 */
export function isAnswer(answer: Message, query: Query, id: number): boolean {
  if (answer.length < HEADER_BYTES || uint16(answer, 0) !== id) return false;
  if (!(answer[2]! & FLAG_RESPONSE) || ((answer[2]! ^ query.message[2]!) & 0x78) !== 0) return false;
  if (uint16(answer, 4) === 0) return rcode(answer) !== RCODE.NOERROR && answer.length === HEADER_BYTES;
  if (uint16(answer, 4) !== 1 || answer.length < query.end) return false;
  for (let at = HEADER_BYTES; at < query.end; at++) if (answer[at] !== query.message[at]) return false;
  return true;
}

export function isTruncated(answer: Message): boolean {
  return (answer[2]! & FLAG_TRUNCATED) !== 0;
}

export function rcode(answer: Message): number {
  return answer[3]! & 15;
}

/** The header and question of an answer that is longer than the asker takes: it asks again by TCP. */
export function cutAnswer(answer: Message, query: Query): Message {
  const cut = answer.slice(0, query.end);
  cut[2] = cut[2]! | FLAG_TRUNCATED;
  cut.fill(0, 6, HEADER_BYTES);
  return cut;
}

/** An answer without records. To what has no readable question it says only the header. */
export function errorAnswer(message: Message, code: number, query?: Query): Message {
  return answerHeader(message, code, query, 0);
}

/** What is known here: addresses for A and AAAA, names for PTR; other types have no records. */
export interface LocalRecords {
  addresses?: readonly AddressBytes[];
  names?: readonly string[];
}

/** Names that move with their containers are remembered by nobody for long. */
const LOCAL_TTL_SECONDS = 0;

/** The answer from records of one's own; a name that has no wire form is left out. */
export function localAnswer(query: Query, records: LocalRecords, limitBytes: number): Message {
  const wanted = query.type === TYPE.A ? 4 : query.type === TYPE.AAAA ? 16 : 0;
  const data = query.type === TYPE.PTR
    ? (records.names ?? []).map(encodeName).filter((name) => name !== undefined)
    : (records.addresses ?? []).filter(({ length }) => length === wanted);
  const parts: Uint8Array[] = [];
  let length = query.end;
  let isCut = false;
  for (const one of data) {
    // name (a pointer to the question's), type, class, ttl, length
    const record = new Uint8Array(12 + one.length);
    record.set([
      0xc0,
      HEADER_BYTES,
      query.type >> 8,
      query.type & 255,
      0,
      CLASS_IN,
      0,
      0,
      0,
      LOCAL_TTL_SECONDS,
    ]);
    record.set([one.length >> 8, one.length & 255], 10);
    record.set(one, 12);
    if (length + record.length > limitBytes) {
      isCut = true;
      break;
    }
    parts.push(record);
    length += record.length;
  }
  const header = answerHeader(query.message, RCODE.NOERROR, query, parts.length);
  if (isCut) header[2] = header[2]! | FLAG_TRUNCATED;
  const answer = new Uint8Array(length);
  answer.set(header);
  let at = header.length;
  for (const part of parts) {
    answer.set(part, at);
    at += part.length;
  }
  return answer;
}

function answerHeader(message: Message, code: number, query: Query | undefined, answers: number): Message {
  const answer = new Uint8Array(query?.end ?? HEADER_BYTES);
  answer.set(message.subarray(0, answer.length));
  answer[2] = FLAG_RESPONSE | message[2]! & OPCODE_AND_RD;
  answer[3] = 0x80 | code; // recursion is available
  answer.set([0, query ? 1 : 0, answers >> 8, answers & 255, 0, 0, 0, 0], 4);
  return answer;
}

/** The wire form of a name; undefined where a label is empty or too long. */
export function encodeName(name: string): Message | undefined {
  const labels = name.replace(/\.$/, "").split(".").map((text) => new TextEncoder().encode(text));
  const length = labels.reduce((sum, bytes) => sum + bytes.length + 1, 1);
  if (length > 255 || labels.some((bytes) => bytes.length === 0 || bytes.length > 63)) return undefined;
  const wire = new Uint8Array(length);
  let at = 0;
  for (const bytes of labels) {
    wire[at++] = bytes.length;
    wire.set(bytes, at);
    at += bytes.length;
  }
  return wire;
}

/** The address that `4.3.2.1.in-addr.arpa` or `….ip6.arpa` asks for. @see RFC 1035, 3.5; RFC 3596, 2.5 */
export function reverseAddress(name: string): string | undefined {
  const labels = name.split(".");
  const zone = labels.splice(-2).join(".");
  labels.reverse();
  if (zone === "in-addr.arpa") {
    const isWhole = labels.length === 4 &&
      labels.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256);
    return isWhole ? labels.map(Number).join(".") : undefined;
  }
  if (zone !== "ip6.arpa" || labels.length !== 32 || !labels.every((part) => /^[0-9a-f]$/.test(part))) {
    return undefined;
  }
  const bytes = new Uint8Array(16);
  for (let index = 0; index < 16; index++) {
    bytes[index] = parseInt(labels[2 * index]! + labels[2 * index + 1]!, 16);
  }
  return formatAddress(bytes);
}

function uint16(bytes: Uint8Array, at: number): number {
  return bytes[at]! << 8 | bytes[at + 1]!;
}
