/**
 * What makes an archive again of the files of its table: everything of it but their data, as lines of JSON.
 *
 * ```
 * {"type":2,"payload":"headers and padding, base64","position":0}
 * {"type":1,"name":"etc/passwd","size":5,"payload":"CRC-64 of the data, base64","position":1} …
 * ```
 *
 * @see github.com/vbatts/tar-split, tar/storage and tar/asm
 */

import { bytesOf } from "../byte_string.ts";

const FILE = 1, SEGMENT = 2;

export class TarSplitWriter {
  readonly #lines: string[] = [];
  #crc = new Crc64();

  /** Headers, or what is between data and the end of the archive. */
  segment(bytes: Uint8Array): void {
    this.#add({ type: SEGMENT, payload: bytes.toBase64() });
  }

  /** Data of the member that `file` is told of next. */
  data(bytes: Uint8Array): void {
    this.#crc.update(bytes);
  }

  /** @param name a byte string; of every member, whether it has data or not */
  file(name: string, size: number): void {
    const payload = size === 0 ? null : this.#crc.bytes().toBase64();
    this.#crc = new Crc64();
    this.#add({ type: FILE, ...namedBy(name), ...(size === 0 ? {} : { size }), payload });
  }

  json(): Uint8Array<ArrayBuffer> {
    return new TextEncoder().encode(this.#lines.join(""));
  }

  #add(fields: Record<string, unknown>): void {
    this.#lines.push(`${JSON.stringify({ ...fields, position: this.#lines.length })}\n`);
  }
}

function namedBy(name: string): { name: string } | { name_raw: string } {
  const bytes = bytesOf(name);
  try {
    return { name: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes) };
  } catch {
    return { name_raw: bytes.toBase64() };
  }
}

/** CRC-64 of ISO 3309, as Go's hash/crc64 has it. JavaScript shifts 32 bits: the upper and the lower half apart. */
export class Crc64 {
  #high = -1;
  #low = -1;

  update(bytes: Uint8Array): void {
    let high = this.#high, low = this.#low;
    for (let at = 0; at < bytes.length; at++) {
      const index = (low ^ bytes[at]!) & 0xff;
      low = ((low >>> 8) | (high << 24)) ^ LOW[index]!;
      high = (high >>> 8) ^ HIGH[index]!;
    }
    [this.#high, this.#low] = [high, low];
  }

  /** Big-endian. */
  bytes(): Uint8Array<ArrayBuffer> {
    const view = new DataView(new ArrayBuffer(8));
    view.setInt32(0, ~this.#high);
    view.setInt32(4, ~this.#low);
    return new Uint8Array(view.buffer);
  }
}

const POLYNOMIAL = 0xd8000000 | 0;
const [HIGH, LOW] = makeTables();

function makeTables(): [Int32Array, Int32Array] {
  const tables: [Int32Array, Int32Array] = [new Int32Array(256), new Int32Array(256)];
  for (let index = 0; index < 256; index++) {
    let high = 0, low = index;
    for (let bit = 0; bit < 8; bit++) {
      const isOdd = low & 1;
      low = (low >>> 1) | (high << 31);
      high = (high >>> 1) ^ (isOdd ? POLYNOMIAL : 0);
    }
    [tables[0][index], tables[1][index]] = [high, low];
  }
  return tables;
}
