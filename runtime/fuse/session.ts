/**
 * The conversation with the kernel about one mount: INIT, then request by request to the handler.
 *
 * ```
 *  kernel ── INIT ──▶ session             versions, flags, sizes
 *         ── request ──▶ session ──▶ handler ── 0, errno ──▶ answer
 *                                            └─ DEFERRED … Session.answer(unique)
 * ```
 * `serveBlocking` is for forked children. An async process calls `serveAsync`, which waits on a thread of its own.
 */

import { EAGAIN, EINTR, EIO, ENODEV, ENOENT, ENOSYS, SyscallError } from "../../ffi/errno.ts";
import { setNonblocking } from "../../ffi/file.ts";
import { compileFunction, failure, libc } from "../../ffi/libc.ts";
import {
  EXPIRE_ONLY_MINOR_VERSION,
  FUSE_EXPIRE_ONLY,
  FUSE_INIT_EXT,
  KERNEL_MINOR_VERSION,
  KERNEL_VERSION,
  NOTIFICATIONS,
  OLDEST_MINOR_VERSION,
  OPCODES,
} from "./constants.ts";
import { DEFERRED, type Handler, type Operation } from "./handler.ts";
import { Reply } from "./reply.ts";
import { IN, MalformedRequest, Request } from "./request.ts";

export interface SessionOptions {
  /** FUSE_* flags of INIT that are asked for; the kernel's own word decides which of them are in force. */
  wanted: number;
  /** Bytes of the largest READ and WRITE, a multiple of the page. */
  maxTransfer?: number;
  /** Of files at other depths than that of a passthrough: 0 says that nothing is passed through. */
  maxStackDepth?: number;
  /** Requests that the kernel has under way without anybody waiting: readahead. */
  maxBackground?: number;
}

const PAGE_BYTES = 4096;
const DEFAULT_TRANSFER_BYTES = 1 << 20;

/** What a method's name is from an opcode's. */
const NAMES = new Map(
  Object.entries(OPCODES).map(([name, opcode]) => [opcode as number, name.toLowerCase()]),
);

export class Session {
  readonly request: Request;
  readonly reply: Reply;
  /** FUSE_* that are in force, after INIT. */
  flags = 0;
  /** The minor version that both sides speak; 0 before INIT. */
  minor = 0;
  readonly #fd: number;
  readonly #handler: Handler;
  readonly #options: Required<SessionOptions>;
  readonly #operations: (Operation | undefined)[] = [];
  /** For answers that come while another request is in the main buffers. */
  #late: Reply | undefined;
  readonly #write: (fd: number, buffer: Uint8Array<ArrayBuffer>, length: number) => number;

  /** `fd` is the open /dev/fuse of the mount; it stays the caller's. */
  constructor(fd: number, handler: Handler, options: SessionOptions) {
    this.#fd = fd;
    this.#handler = handler;
    this.#options = { maxTransfer: DEFAULT_TRANSFER_BYTES, maxStackDepth: 0, maxBackground: 16, ...options };
    this.request = new Request(this.#options.maxTransfer + PAGE_BYTES);
    this.reply = new Reply(this.#options.maxTransfer + PAGE_BYTES);
    this.#write = compileFunction("file", "write");
    for (const [opcode, name] of NAMES) {
      const operation = handler[name as keyof Handler] as Operation | undefined;
      if (operation) this.#operations[opcode] = operation.bind(handler);
    }
  }

  /** Handles the request of `received` bytes in `request.buffer`. */
  handle(received: number): void {
    const { request, reply } = this;
    reply.length = 0;
    let result: number;
    try {
      request.begin(received);
      switch (request.opcode) {
        case OPCODES.FORGET:
          return this.#handler.forget?.(request.nodeid, request.u64(IN.forget.nlookup));
        case OPCODES.BATCH_FORGET:
          return this.#forgetMany();
        case OPCODES.INTERRUPT:
          return this.#handler.interrupt?.(request.exactU64(IN.interrupt.unique));
        case OPCODES.INIT:
          result = this.#init();
          break;
        case OPCODES.DESTROY:
          result = 0;
          break;
        default: {
          const operation = this.#operations[request.opcode];
          result = operation === undefined ? ENOSYS : operation(request, reply);
        }
      }
    } catch (error) {
      result = errnoOf(error);
      // without a header there is nobody to answer
      if (request.length === 0) return;
    }
    if (result !== DEFERRED) this.#send(reply, request.unique, result);
  }

  /** Answers a deferred request: with an errno, or with the body that `fill` appends. False where it was given up. */
  answer(unique: bigint, errno: number, fill?: (reply: Reply) => void): boolean {
    return this.answerBy(unique, (reply) => {
      fill?.(reply);
      return errno;
    });
  }

  /** The same, with the errno that `fill` gives. */
  answerBy(unique: bigint, fill: (reply: Reply) => number): boolean {
    const reply = this.#late ??= new Reply(this.#options.maxTransfer + PAGE_BYTES);
    reply.length = 0;
    return this.#send(reply, unique, fill(reply));
  }

  /**
   * Drops what the kernel has cached of a node: attributes and, from `offset` on, content; below 0 attributes alone,
   * for which it waits for nobody. False where it knows no such node: it has forgotten it, or has not taken up yet the
   * answer that tells of it.
   */
  invalidateNode(nodeid: number, offset = 0, length = 0): boolean {
    const message = this.nodeNotice(nodeid, offset, length);
    return this.#write(this.#fd, message, message.length) === message.length;
  }

  /** The message of `invalidateNode`. */
  nodeNotice(nodeid: number, offset = 0, length = 0): Uint8Array<ArrayBuffer> {
    const message = new DataView(new ArrayBuffer(40));
    message.setUint32(0, 40, true);
    message.setInt32(4, NOTIFICATIONS.INVAL_INODE, true);
    message.setBigUint64(16, BigInt(nodeid), true);
    message.setBigInt64(24, BigInt(offset), true);
    message.setBigInt64(32, BigInt(length), true);
    return new Uint8Array(message.buffer);
  }

  /**
   * Puts a piece of a node's content into the kernel's cache; false where it takes none. It waits for pages that
   * somebody reads by way of the cache, whom this session would have to answer: there must be none.
   */
  storeContent(nodeid: number, offset: number, content: Uint8Array): boolean {
    const bytes = new Uint8Array(STORE_HEAD_BYTES + content.length);
    fillStoreHead(bytes, nodeid, offset, content.length);
    bytes.set(content, STORE_HEAD_BYTES);
    return this.#write(this.#fd, bytes, bytes.length) === bytes.length;
  }

  /**
   * The message that has the kernel ask again for what has this name. It waits for the lock of the folder, which somebody
   * may have who waits for this session: who writes it must not be the one that answers.
   */
  entryNotice(parent: number, name: Uint8Array): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(16 + 16 + name.length + 1);
    const message = new DataView(bytes.buffer);
    message.setUint32(0, bytes.length, true);
    message.setInt32(4, NOTIFICATIONS.INVAL_ENTRY, true);
    message.setBigUint64(16, BigInt(parent), true);
    message.setUint32(24, name.length, true);
    message.setUint32(28, this.minor >= EXPIRE_ONLY_MINOR_VERSION ? FUSE_EXPIRE_ONLY : 0, true);
    bytes.set(name, 32);
    return bytes;
  }

  /** False where the kernel no longer knows the request. */
  #send(reply: Reply, unique: bigint, code: number): boolean {
    const length = reply.finish(unique, code);
    if (this.#write(this.#fd, reply.buffer, length) === length) return true;
    const failed = failure.word[0]!;
    if (failed === ENOENT || failed === ENODEV) return false;
    // what the kernel finds wrong about an answer would leave its asker waiting for ever
    if (code === 0) return this.#send(reply, unique, EIO);
    throw new SyscallError("write", failed, "/dev/fuse");
  }

  #forgetMany(): void {
    const { request } = this;
    const count = request.u32(IN.batchForget.count);
    for (
      let index = 0, at = IN.batchForget.end as number;
      index < count;
      index++, at += IN.batchForget.each
    ) {
      if (at + IN.batchForget.each > request.bodyLength) {
        throw new MalformedRequest(
          "forgets less than it says",
        );
      }
      this.#handler.forget?.(request.u64(at), request.u64(at + 8));
    }
  }

  /** @see linux/fuse.h, struct fuse_init_out */
  #init(): number {
    const { request, reply } = this;
    const major = request.u32(IN.init.major);
    // a newer kernel asks again, with the version it is told
    if (major < KERNEL_VERSION) return EIO;
    const minor = Math.min(request.u32(IN.init.minor), KERNEL_MINOR_VERSION);
    if (major === KERNEL_VERSION && minor < OLDEST_MINOR_VERSION) return EIO;
    const offered = request.u32(IN.init.flags);
    const isExtended = (offered & FUSE_INIT_EXT) !== 0 && request.bodyLength >= IN.init.extendedEnd;
    const more = isExtended ? request.u32(IN.init.flags2) : 0;
    const { wanted, maxTransfer, maxStackDepth, maxBackground } = this.#options;
    const low = ((wanted % 2 ** 32) & offered | (isExtended ? FUSE_INIT_EXT : 0)) >>> 0;
    const high = (Math.floor(wanted / 2 ** 32) & more) >>> 0;
    this.minor = minor;
    this.flags = low + high * 2 ** 32;
    reply.u32(KERNEL_VERSION);
    reply.u32(minor);
    reply.u32(Math.max(request.u32(IN.init.maxReadahead), maxTransfer));
    reply.u32(low);
    reply.u32(maxBackground | Math.floor(maxBackground * 3 / 4) << 16);
    reply.u32(maxTransfer);
    reply.u32(1); // times are exact to the nanosecond
    reply.u32(maxTransfer / PAGE_BYTES);
    reply.u32(high);
    reply.u32(maxStackDepth);
    for (let unused = 0; unused < 6; unused++) reply.u32(0);
    return 0;
  }
}

/** What is before the content in a message that puts it into the kernel's cache. */
export const STORE_HEAD_BYTES = 40;

export function fillStoreHead(
  message: Uint8Array<ArrayBuffer>,
  nodeid: number,
  offset: number,
  length: number,
): void {
  const head = new DataView(message.buffer, message.byteOffset, STORE_HEAD_BYTES);
  head.setUint32(0, STORE_HEAD_BYTES + length, true);
  head.setInt32(4, NOTIFICATIONS.STORE, true);
  head.setBigUint64(8, 0n, true);
  head.setBigUint64(16, BigInt(nodeid), true);
  head.setBigUint64(24, BigInt(offset), true);
  head.setUint32(32, length, true);
  head.setUint32(36, 0, true);
}

function errnoOf(error: unknown): number {
  return error instanceof SyscallError ? error.errno : EIO;
}

/**
 * Serves until the mount is gone. For forked children. Who has more to do than to answer gives `wait`, which is called
 * where no request is there, and after every few of them: it returns once there is one, or the mount is gone.
 */
export function serveBlocking(session: Session, fd: number, wait?: () => void): void {
  const read = compileFunction("file", "read");
  const { buffer } = session.request;
  if (wait !== undefined) setNonblocking(fd, true);
  for (let untilWait = 0;; untilWait--) {
    if (wait !== undefined && untilWait === 0) {
      wait();
      untilWait = AT_ONCE;
    }
    const received = read(fd, buffer, buffer.length);
    if (received > 0) {
      session.handle(received);
      continue;
    }
    if (!goesOn(received === 0 ? ENODEV : failure.word[0]!)) return;
    untilWait = 1;
  }
}

/** Of many askers each has a request there already: waiting for it would be a call more for each. */
const AT_ONCE = 16;

/**
 * Serves until the mount is gone, waiting for each request on a thread of its own: for a process that does more than
 * this. It ends when the mount is undone or its connection aborted, which is how a caller stops it.
 */
export async function serveAsync(session: Session, fd: number): Promise<void> {
  const { buffer } = session.request;
  for (;;) {
    const received = await libc("file").readAsync(fd, buffer, buffer.length);
    if (received > 0) {
      session.handle(received);
      continue;
    }
    // errno is that of the other thread: the question is asked again here, where nothing waits
    if (!goesOn(received === 0 ? ENODEV : probe(fd))) return;
  }
}

/** Why a read fails. Only a descriptor that is gone answers at once without a request. */
function probe(fd: number): number {
  const entry = new Uint8Array(8);
  const view = new DataView(entry.buffer);
  view.setInt32(0, fd, true);
  libc("poll").ppoll(entry, 1, new Uint8Array(16), null);
  const POLLERR = 8, POLLNVAL = 32;
  return (view.getUint16(6, true) & (POLLERR | POLLNVAL)) !== 0 ? ENODEV : EAGAIN;
}

/** EINTR, EAGAIN: again. ENOENT: the asker went before the request was read. ENODEV: the mount is gone. */
function goesOn(code: number): boolean {
  if (code === ENODEV) return false;
  if (code === EINTR || code === EAGAIN || code === ENOENT) return true;
  throw new SyscallError("read", code, "/dev/fuse");
}
