/**
 * Puts content that is here into the kernel's cache before it asks, where a file is read in its order: a question costs
 * more than what it brings.
 *
 * ```
 *  0                  1 MiB                          2 MiB
 *  │ asked │ pushed ▸ │ asked, asked ahead │ pushed ▸  │ asked …
 * ```
 * At each step the kernel is left to ask again, which tells how far the reader is. What it asks for ahead of that is on
 * its way already: a push of the same pages would wait for them, one by one.
 */

import type { LazyContent } from "./handler.ts";
import type { LazyNode } from "./tree.ts";

const STEP_BYTES = 1 << 20;
/** The kernel's own reading ahead, twice: what it has asked for, and what it asks for meanwhile. */
const ASKED_BYTES = 256 << 10;
/** Less is not worth it. */
const MIN_BYTES = 256 << 10;
const PAGE_BYTES = 4096;
/** So many files are read in their order at the same time. */
const MAX_READERS = 64;

/** Where a message to the kernel is made: `content` is a part of it. */
export interface StoreMessage {
  readonly content: Uint8Array<ArrayBuffer>;
  /** Sends the first `length` bytes of the content. It must not be waited for by who answers the kernel. */
  send(nodeid: number, offset: number, length: number): Promise<unknown>;
}

export class PagePush {
  /** By node: up to where its content was read or pushed. */
  readonly #ends = new Map<number, number>();
  #message: StoreMessage | undefined;
  #isSending = false;

  constructor(
    private readonly content: LazyContent,
    private readonly newMessage: (contentBytes: number) => StoreMessage,
    private readonly onError: (error: unknown) => void,
  ) {}

  /** The kernel was given a file's content from `offset` up to `end`. Never throws: who has read has what was asked for. */
  wasRead(node: LazyNode, offset: number, end: number): void {
    try {
      this.#pushBehind(node, offset, end);
    } catch (error) {
      this.onError(error);
    }
  }

  #pushBehind(node: LazyNode, offset: number, end: number): void {
    const before = this.#ends.get(node.id);
    // what the kernel had asked for before it was pushed
    if (before !== undefined && offset < before && offset >= before - STEP_BYTES) return;
    this.#remember(node.id, end);
    if (before !== offset || this.#isSending || end % PAGE_BYTES !== 0) return;
    const start = end + ASKED_BYTES;
    const length = Math.min(node.attributes.size, Math.ceil(start / STEP_BYTES) * STEP_BYTES) - start;
    if (length < MIN_BYTES) return;
    const message = this.#message ??= this.newMessage(STEP_BYTES);
    if (!this.content.copyHere(node, start, message.content.subarray(0, length))) return;
    this.#remember(node.id, start + length);
    this.#isSending = true;
    message.send(node.id, start, length).catch(this.onError).finally(() => this.#isSending = false);
  }

  #remember(id: number, end: number): void {
    // the latest last
    this.#ends.delete(id);
    this.#ends.set(id, end);
    if (this.#ends.size > MAX_READERS) this.#ends.delete(this.#ends.keys().next().value!);
  }
}
