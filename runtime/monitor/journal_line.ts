/**
 * A line of output as an entry of the journal, in one buffer for all of a stream's lines.
 *
 * ```
 *  CONTAINER_PARTIAL_MESSAGE=true\n   of a piece of a line only
 *  PRIORITY=6\nCONTAINER_ID_FULL=…\n…  the same in each
 *  MESSAGE\n<length>text\n             with the line's own newline in the text, as podman's conmon has it
 * ```
 */

import { encodeFields, type JournalField, lengthOf } from "../spec/journal.ts";
import type { OutputStream } from "./log_writer.ts";

/** What a line without end is cut into. */
export const PIECE_BYTES = 16 * 1024;

const NEWLINE = 10;
const PRIORITIES: Record<OutputStream, string> = { stdout: "6", stderr: "3" };
const PARTIAL = encodeFields([["CONTAINER_PARTIAL_MESSAGE", "true"]]);

export class JournalLine {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #lengthAt: number;
  readonly #textAt: number;
  readonly #view: DataView;
  /** Of the text that is held. */
  #length = 0;

  constructor(stream: OutputStream, fields: readonly JournalField[]) {
    const head = encodeFields([["PRIORITY", PRIORITIES[stream]], ...fields]);
    const name = new TextEncoder().encode("MESSAGE\n");
    this.#lengthAt = PARTIAL.length + head.length + name.length;
    this.#textAt = this.#lengthAt + lengthOf(0).length;
    this.#bytes = new Uint8Array(this.#textAt + PIECE_BYTES + 1);
    this.#view = new DataView(this.#bytes.buffer);
    this.#bytes.set(PARTIAL);
    this.#bytes.set(head, PARTIAL.length);
    this.#bytes.set(name, PARTIAL.length + head.length);
  }

  /** What has not been given yet. */
  get text(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(this.#textAt, this.#textAt + this.#length);
  }

  get room(): number {
    return PIECE_BYTES - this.#length;
  }

  /** `bytes` must fit. */
  add(bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.#textAt + this.#length);
    this.#length += bytes.length;
  }

  /** Takes back what was added last. */
  remove(count: number): void {
    this.#length -= count;
  }

  /**
   * Lets `send` have the first `count` bytes of the text as an entry, which is its own until it returns. Where it says
   * false, the text stays.
   */
  give(count: number, isPartial: boolean, send: (entry: Uint8Array<ArrayBuffer>) => boolean): boolean {
    const end = this.#textAt + count;
    const rest = count < this.#length ? this.text.slice(count) : undefined;
    this.#view.setUint32(this.#lengthAt, count, true);
    this.#bytes[end] = NEWLINE;
    const isTaken = send(this.#bytes.subarray(isPartial ? 0 : PARTIAL.length, end + 1));
    if (rest) this.#bytes.set(rest, isTaken ? this.#textAt : end);
    if (isTaken) this.#length = rest?.length ?? 0;
    return isTaken;
  }
}
