/**
 * Answers to large READs without a copy in this process: the file's pages go through a pipe to the kernel.
 *
 * ```
 *  header ─ write ─▶ pipe ◀─ splice ─ file          pipe ─ splice ─▶ /dev/fuse
 * ```
 * @see splice(2)
 */

import { ENOENT } from "../../../ffi/errno.ts";
import { close, fcntl, pipe2 } from "../../../ffi/file.ts";
import { compileFunction, failure } from "../../../ffi/libc.ts";
import { F_GETPIPE_SZ, F_SETPIPE_SZ, O_CLOEXEC, O_NONBLOCK } from "../../../ffi/constants/fcntl.ts";
import { OUT_HEADER_BYTES, type Reply } from "../reply.ts";
import { DEFERRED } from "../handler.ts";

/** What a user may give one pipe (/proc/sys/fs/pipe-max-size). */
const PIPE_BYTES = 1 << 20;
const PAGE_BYTES = 4096;
/** Below it the calls cost more than the copy. */
const LEAST_BYTES = 32768;

export class SplicedReads {
  readonly #fuse: number;
  readonly #splice = compileFunction("file", "splice");
  readonly #read = compileFunction("file", "read");
  readonly #write = compileFunction("file", "write");
  readonly #offset = new BigInt64Array(1);
  readonly #offsetPointer = Deno.UnsafePointer.of(this.#offset);
  #pipe: { reader: number; writer: number } | undefined;
  #most = 0;

  constructor(fuse: number) {
    this.#fuse = fuse;
    this.#open();
  }

  /** Whether a READ of this size is answered here. */
  suits(size: number): boolean {
    return size >= LEAST_BYTES && size <= this.#most;
  }

  /** DEFERRED where it is answered, 0 where the answer is in `reply`; undefined where nothing was read. */
  answer(reply: Reply, unique: bigint, fd: number, offset: bigint, size: number): number | undefined {
    const { reader, writer } = this.#pipe!;
    reply.length = size;
    reply.finish(unique, 0);
    if (this.#write(writer, reply.buffer, OUT_HEADER_BYTES) !== OUT_HEADER_BYTES) return this.#giveUp();
    this.#offset[0] = offset;
    let done = 0;
    while (done < size) {
      const count = this.#splice(fd, this.#offsetPointer, writer, null, size - done, 0);
      if (count <= 0) break;
      done += count;
    }
    const total = OUT_HEADER_BYTES + done;
    if (done < size) {
      // the end of the file, or a file system that cannot: what there is goes the usual way
      const isTaken = this.#read(reader, reply.buffer, total) === total;
      if (!isTaken || done === 0) return this.#giveUpIf(!isTaken);
      reply.length = done;
      return 0;
    }
    if (this.#splice(reader, null, this.#fuse, null, total, 0) === total) return DEFERRED;
    const code = failure.word[0]!;
    this.#giveUp();
    this.#open();
    // nobody waits for it any more
    return code === ENOENT ? DEFERRED : undefined;
  }

  #open(): void {
    // nobody else reads it: what has no room, as when a file grows byte by byte meanwhile, must not be waited for
    const [reader, writer] = pipe2(O_CLOEXEC | O_NONBLOCK);
    this.#pipe = { reader, writer };
    try {
      fcntl(writer, F_SETPIPE_SZ, PIPE_BYTES);
    } catch {
      // the user's pipes have used up what there is: it stays as it is
    }
    // a page each, one for the header and one more where the first is not whole
    this.#most = fcntl(writer, F_GETPIPE_SZ, 0) - 2 * PAGE_BYTES;
  }

  #giveUpIf(isBroken: boolean): undefined {
    if (isBroken) this.#giveUp();
    return undefined;
  }

  /** From here on every READ goes the usual way. */
  #giveUp(): undefined {
    this.#most = 0;
    if (this.#pipe) { for (const fd of [this.#pipe.reader, this.#pipe.writer]) close(fd); }
    this.#pipe = undefined;
    return undefined;
  }
}
