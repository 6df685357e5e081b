/**
 * An entry of the journal, as it is sent to journald.
 *
 * ```
 *  NAME=text\n                              where the text has no newline
 *  NAME\n<length, 64 bits, little endian>bytes\n   any bytes
 * ```
 *
 * @see https://systemd.io/JOURNAL_NATIVE_PROTOCOL/; https://systemd.io/JOURNAL_EXPORT_FORMATS/, which reads alike
 */

export type JournalField = [name: string, value: string];

const NEWLINE = 10;
const EQUALS = 61;
const LENGTH_BYTES = 8;
/** No container writes one that is longer; what a hostile sender does to the journal is not for memory to bear. */
const LARGEST_VALUE_BYTES = 64 * 1024 * 1024;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Whether journald takes a field of that name from a program: it drops others without a word. */
export function isFieldName(name: string): boolean {
  return /^[A-Z][A-Z0-9_]{0,63}$/.test(name);
}

export function encodeFields(fields: readonly JournalField[]): Uint8Array<ArrayBuffer> {
  const parts = fields.flatMap(([name, value]) => {
    if (!value.includes("\n")) return [encoder.encode(`${name}=${value}\n`)];
    const bytes = encoder.encode(value);
    return [encoder.encode(`${name}\n`), lengthOf(bytes.length), bytes, Uint8Array.of(NEWLINE)];
  });
  return concat(parts);
}

export function lengthOf(bytes: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new BigUint64Array([BigInt(bytes)]).buffer);
}

/** The fields of one entry; of a name that comes more than once the first. */
export type JournalEntry = Map<string, Uint8Array>;

/** Takes entries out of `journalctl -o export`, which is read in any pieces. */
export class ExportParser {
  #held = new Uint8Array(0);
  #entry: JournalEntry = new Map();

  /** @throws {RangeError} where it is no export */
  feed(bytes: Uint8Array): JournalEntry[] {
    const all = this.#held.length === 0 ? bytes : concat([this.#held, bytes]);
    const entries: JournalEntry[] = [];
    let at = 0;
    for (;;) {
      const end = all.indexOf(NEWLINE, at);
      if (end === -1) break;
      if (end === at) {
        if (this.#entry.size > 0) entries.push(this.#entry);
        this.#entry = new Map();
        at++;
        continue;
      }
      const line = all.subarray(at, end);
      const equals = line.indexOf(EQUALS);
      if (equals !== -1) {
        this.#add(line.subarray(0, equals), line.slice(equals + 1));
        at = end + 1;
        continue;
      }
      const length = valueLength(all, end + 1);
      const from = end + 1 + LENGTH_BYTES;
      if (length === undefined || from + length + 1 > all.length) break;
      if (all[from + length] !== NEWLINE) throw new RangeError("the journal's export is damaged");
      this.#add(line, all.slice(from, from + length));
      at = from + length + 1;
    }
    this.#held = all.slice(at);
    return entries;
  }

  #add(name: Uint8Array, value: Uint8Array): void {
    const text = decoder.decode(name);
    if (!this.#entry.has(text)) this.#entry.set(text, value);
  }
}

/** undefined where it has not come yet. */
function valueLength(bytes: Uint8Array, at: number): number | undefined {
  if (at + LENGTH_BYTES > bytes.length) return undefined;
  const length = new DataView(bytes.buffer, bytes.byteOffset + at).getBigUint64(0, true);
  if (length > LARGEST_VALUE_BYTES) throw new RangeError("the journal's export is damaged");
  return Number(length);
}

function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
