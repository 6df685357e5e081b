/**
 * The SSH way of writing values: big-endian numbers, and strings behind their length.
 *
 * @see RFC 4251, 5
 */

import { concat } from "../../../ffi/concat.ts";

export class SshReader {
  #at = 0;
  readonly #view: DataView;

  constructor(readonly bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get left(): number {
    return this.bytes.length - this.#at;
  }

  /** @throws {RangeError} as all here, where the bytes end before */
  uint32(): number {
    const value = this.#view.getUint32(this.#at);
    this.#at += 4;
    return value;
  }

  take(length: number): Uint8Array<ArrayBuffer> {
    if (length > this.left) throw new RangeError(`${length} bytes are told and ${this.left} are there`);
    this.#at += length;
    return new Uint8Array(this.bytes.subarray(this.#at - length, this.#at));
  }

  string(): Uint8Array<ArrayBuffer> {
    return this.take(this.uint32());
  }

  text(): string {
    return new TextDecoder().decode(this.string());
  }
}

export function uint32(value: number): Uint8Array {
  return new Uint8Array([value >>> 24, value >>> 16, value >>> 8, value]);
}

/** A string of SSH; of several parts: one after another inside. */
export function sshString(...parts: readonly (string | Uint8Array)[]): Uint8Array<ArrayBuffer> {
  const content = concat(
    parts.map((part) => typeof part === "string" ? new TextEncoder().encode(part) : part),
  );
  return concat([uint32(content.length), content]);
}

/** A number that is not negative, of its big-endian bytes. */
export function mpint(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const start = bytes.findIndex((byte) => byte !== 0);
  if (start < 0) return sshString();
  return bytes[start]! < 0x80
    ? sshString(bytes.subarray(start))
    : sshString(new Uint8Array(1), bytes.subarray(start));
}
