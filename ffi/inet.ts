/**
 * Internet sockets and memory by pointer, for the network stack: what it calls for each packet and connection. Most
 * give a negated errno instead of throwing, since EAGAIN and refused connections are everyday answers there.
 *
 * @see ip(7), ipv6(7), socket(7), tcp(7)
 */

import { check, EINTR, errno, SyscallError } from "./errno.ts";
import { compileFamily, failure, libc } from "./libc.ts";
import { discardPages } from "./memory.ts";
import { AF_INET, AF_INET6, SOL_SOCKET } from "./constants/socket.ts";
import { SO_ERROR, SO_LINGER } from "./constants/inet.ts";
import { CLOCK_MONOTONIC } from "./constants/poll.ts";

/** Memory whose address is taken once. The array must live as long as a pointer into it is used. */
export class Memory {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView;
  readonly pointer: Deno.PointerValue;
  #address = 0;
  constructor(length: number) {
    this.bytes = new Uint8Array(length);
    this.view = new DataView(this.bytes.buffer);
    this.pointer = Deno.UnsafePointer.of(this.bytes);
  }

  /** The pointer as a number, which has room for it: no address of a program is above 2^47. */
  get address(): number {
    return this.#address ||= Number(Deno.UnsafePointer.value(this.pointer));
  }

  /** Gives the kernel the pages back that lie wholly inside: what is in them is lost. */
  discard(): void {
    discardPages(BigInt(this.address), BigInt(this.address + this.bytes.length));
  }
}

/** Pieces of memory that one call fills in their order: a struct msghdr and its iovec. @see readv(2) */
export class Pieces {
  readonly #header = new Memory(56);
  readonly #vector: Memory;

  constructor(max: number) {
    this.#vector = new Memory(16 * max);
    writeAddress(this.#header.view, 16, this.#vector.address);
  }

  /** Throws RangeError where they are not all inside. */
  set(index: number, memory: Memory, offset: number, length: number): void {
    if (!(offset >= 0 && length >= 0 && offset + length <= memory.bytes.length)) {
      throw new RangeError(`${length} bytes at ${offset} are outside of ${memory.bytes.length}`);
    }
    writeAddress(this.#vector.view, 16 * index, memory.address + offset);
    this.#vector.view.setUint32(16 * index + 8, length, true);
  }

  /** Fills the first `count` of them; the bytes in all, or a negated errno. @see recvmsg(2) */
  receive(fd: number, count: number, flags: number): number {
    this.#header.view.setUint32(24, count, true);
    const { pointer } = this.#header;
    if (fast === undefined) return result(slow().receivePieces(fd, pointer, flags));
    const value = fast.receivePieces(fd, pointer, flags);
    return value === -1 ? -failure.word[0]! : value;
  }
}

/** 64 bits, low half first, as on both machines. */
function writeAddress(view: DataView, at: number, address: number): void {
  view.setUint32(at, address % 2 ** 32, true);
  view.setUint32(at + 4, Math.floor(address / 2 ** 32), true);
}

/** struct sockaddr_in or sockaddr_in6, to be used again and again. Addresses are bytes in network order. */
export class SocketAddress {
  readonly memory = new Memory(28);
  readonly #length = new Memory(4);

  /** Bytes of the structure that is in it. */
  get length(): number {
    return this.memory.view.getUint16(0, true) === AF_INET6 ? 28 : 16;
  }

  /** @param scope index of an interface, for link-local addresses */
  set(address: ArrayLike<number>, port: number, scope = 0): this {
    const { bytes, view } = this.memory;
    bytes.fill(0);
    view.setUint16(0, address.length === 4 ? AF_INET : AF_INET6, true);
    view.setUint16(2, port);
    bytes.set(address, address.length === 4 ? 4 : 8);
    if (address.length === 16) view.setUint32(24, scope, true);
    return this;
  }

  /** The same of four words, where IPv4 is behind `::ffff:`, without making anything. */
  setWords(a: number, b: number, c: number, d: number, port: number): this {
    const { view } = this.memory;
    const isIpv4 = a === 0 && b === 0 && c === 0xffff;
    view.setUint16(0, isIpv4 ? AF_INET : AF_INET6, true);
    view.setUint16(2, port);
    view.setInt32(4, isIpv4 ? d : 0);
    view.setInt32(8, isIpv4 ? 0 : a);
    view.setInt32(12, isIpv4 ? 0 : b);
    view.setInt32(16, c);
    view.setInt32(20, d);
    view.setInt32(24, 0);
    return this;
  }

  /** The address as four words, IPv4 behind `::ffff:`. */
  get words(): [number, number, number, number] {
    const { view } = this.memory;
    return this.length === 16
      ? [0, 0, 0xffff, view.getInt32(4)]
      : [view.getInt32(8), view.getInt32(12), view.getInt32(16), view.getInt32(20)];
  }

  get port(): number {
    return this.memory.view.getUint16(2);
  }

  /** The index of the interface that a link-local address is on; 0 for others. */
  get scope(): number {
    return this.length === 28 ? this.memory.view.getUint32(24, true) : 0;
  }

  /** A copy: 4 bytes, or 16. */
  get address(): Uint8Array<ArrayBuffer> {
    return this.length === 28 ? this.memory.bytes.slice(8, 24) : this.memory.bytes.slice(4, 8);
  }

  /** A socklen_t that says how much room there is, for calls that fill in the address. */
  room(): Uint8Array<ArrayBuffer> {
    this.#length.view.setUint32(0, 28, true);
    return this.#length.bytes;
  }

  /** As `room`, for calls that take a pointer. */
  roomPointer(): Deno.PointerValue {
    this.room();
    return this.#length.pointer;
  }
}

/** Calls after which the functions are worth the two milliseconds that compiling them takes. */
const COMPILE_AFTER_CALLS = 300;

let calls = 0;
/** The compiled functions. Each is called from one place, which V8 then turns into a direct call. */
let fast: ReturnType<typeof libc<"inet">> | undefined;

function slow(): ReturnType<typeof libc<"inet">> {
  if (++calls === COMPILE_AFTER_CALLS) {
    fast = compileFamily("inet");
    clockBehindMs = performance.now() - clockMs(fast);
  }
  return libc("inet");
}

const time = new Memory(16);
/** What performance.now() is ahead of the clock that it reads. */
let clockBehindMs = 0;

/** Milliseconds as of performance.now(), for a sixth of its price once functions are compiled. @see clock_gettime(2) */
export function monotonicMs(): number {
  return fast === undefined ? performance.now() : clockMs(fast) + clockBehindMs;
}

/** struct timespec { time_t tv_sec; long tv_nsec; }: a machine is not up for 2^32 seconds. */
function clockMs(functions: NonNullable<typeof fast>): number {
  functions.clock(CLOCK_MONOTONIC, time.pointer);
  return time.view.getUint32(0, true) * 1000 + time.view.getUint32(8, true) / 1e6;
}

/**
 * A result of `libc`, or the errno of the failed call, negated. Who calls a compiled function looks at errno himself.
 * @see failure
 */
function result(value: number): number {
  return value === -1 ? -errno() : value;
}

/** What a call here gave, where a failure is none of everyday. @throws {SyscallError} */
export function must(syscall: string, result: number, path?: string): number {
  if (result < 0) throw new SyscallError(syscall, -result, path);
  return result;
}

/** @see read(2); the caller checked that `length` bytes are there */
export function readInto(fd: number, pointer: Deno.PointerValue, length: number): number {
  if (fast === undefined) return result(slow().readInto(fd, pointer, length));
  const value = fast.readInto(fd, pointer, length);
  return value === -1 ? -failure.word[0]! : value;
}

/** @see write(2) */
export function writeFrom(fd: number, pointer: Deno.PointerValue, length: number): number {
  if (fast === undefined) return result(slow().writeFrom(fd, pointer, length));
  const value = fast.writeFrom(fd, pointer, length);
  return value === -1 ? -failure.word[0]! : value;
}

/** @see recv(2) */
export function recvInto(fd: number, pointer: Deno.PointerValue, length: number, flags: number): number {
  if (fast === undefined) return result(slow().recvInto(fd, pointer, length, flags));
  const value = fast.recvInto(fd, pointer, length, flags);
  return value === -1 ? -failure.word[0]! : value;
}

/** @see send(2) */
export function sendFrom(fd: number, pointer: Deno.PointerValue, length: number, flags: number): number {
  if (fast === undefined) return result(slow().sendFrom(fd, pointer, length, flags));
  const value = fast.sendFrom(fd, pointer, length, flags);
  return value === -1 ? -failure.word[0]! : value;
}

/** Of two that have no offset, as a pipe and a socket: the bytes that were moved, or a negated errno. @see splice(2) */
export function spliceBetween(from: number, to: number, length: number, flags: number): number {
  if (fast === undefined) return result(slow().splice(from, null, to, null, length, flags));
  const value = fast.splice(from, null, to, null, length, flags);
  return value === -1 ? -failure.word[0]! : value;
}

/**
 * The events that are there, or come in that time (-1: for ever). One that waits is for forked children only.
 *
 * @see epoll_wait(2)
 */
export function awaitEvents(
  epoll: number,
  events: Deno.PointerValue,
  count: number,
  timeoutMs: number,
): number {
  let found: number;
  if (fast === undefined) {
    found = result(slow().waitEvents(epoll, events, count, timeoutMs));
  } else {
    found = fast.waitEvents(epoll, events, count, timeoutMs);
    if (found === -1) found = -failure.word[0]!;
  }
  return found === -EINTR ? 0 : found;
}

/** @see epoll_ctl(2) */
export function controlEvents(
  epoll: number,
  operation: number,
  fd: number,
  event: Deno.PointerValue,
): number {
  if (fast === undefined) return result(slow().controlEvents(epoll, operation, fd, event));
  const value = fast.controlEvents(epoll, operation, fd, event);
  return value === -1 ? -failure.word[0]! : value;
}

/** @see socket(2) */
export function openSocket(domain: number, type: number, protocol: number): number {
  if (fast === undefined) return result(slow().openSocket(domain, type, protocol));
  const value = fast.openSocket(domain, type, protocol);
  return value === -1 ? -failure.word[0]! : value;
}

/** @see connect(2) */
export function connectTo(fd: number, address: SocketAddress): number {
  if (fast === undefined) return result(slow().connectTo(fd, address.memory.pointer, address.length));
  const value = fast.connectTo(fd, address.memory.pointer, address.length);
  return value === -1 ? -failure.word[0]! : value;
}

/** @see bind(2) */
export function bindTo(fd: number, address: SocketAddress): number {
  return result(libc("socket").bind(fd, address.memory.bytes, address.length));
}

/** The connection, whose client is written to `address`. @see accept4(2) */
export function acceptFrom(fd: number, address: SocketAddress, flags: number): number {
  if (fast === undefined) {
    return result(slow().acceptFrom(fd, address.memory.pointer, address.roomPointer(), flags));
  }
  const value = fast.acceptFrom(fd, address.memory.pointer, address.roomPointer(), flags);
  return value === -1 ? -failure.word[0]! : value;
}

/** The address a socket is bound to. @see getsockname(2) */
export function getsockname(fd: number, address = new SocketAddress()): SocketAddress {
  check("getsockname", libc("inet").getsockname(fd, address.memory.bytes, address.room()));
  return address;
}

/** @see getpeername(2) */
export function getpeername(fd: number, address = new SocketAddress()): SocketAddress {
  check("getpeername", libc("inet").getpeername(fd, address.memory.bytes, address.room()));
  return address;
}

/** @see close(2) */
export function closeSocket(fd: number): void {
  fast === undefined ? slow().closeSocket(fd) : fast.closeSocket(fd);
}

/** @see shutdown(2) */
export function shutdownSocket(fd: number, how: number): void {
  fast === undefined ? slow().shutdownSocket(fd, how) : fast.shutdownSocket(fd, how);
}

let option: Memory | undefined;

/** An option that is an int. @see setsockopt(2) */
export function setOption(fd: number, level: number, name: number, value: number): number {
  option ??= new Memory(8);
  option.view.setInt32(0, value, true);
  if (fast === undefined) return result(slow().setOption(fd, level, name, option.pointer, 4));
  return fast.setOption(fd, level, name, option.pointer, 4) === -1 ? -failure.word[0]! : 0;
}

/** An option that is text, as SO_BINDTODEVICE is. @see socket(7) */
export function setTextOption(fd: number, level: number, name: number, value: string): number {
  const text = new Memory(value.length + 1);
  new TextEncoder().encodeInto(value, text.bytes);
  return result(libc("inet").setOption(fd, level, name, text.pointer, value.length + 1));
}

/** Closes with a reset instead of an end. */
export function resetSocket(fd: number): void {
  resetAtClose(fd);
  closeSocket(fd);
}

/** What closes it, and be it the death of this process, resets it: SO_LINGER of no time. @see socket(7) */
export function resetAtClose(fd: number): void {
  option ??= new Memory(8);
  option.view.setInt32(0, 1, true);
  option.view.setInt32(4, 0, true);
  libc("inet").setOption(fd, SOL_SOCKET, SO_LINGER, option.pointer, 8);
}

/** The error that waits on a socket, which this clears: 0 after a connection was made. @see SO_ERROR in socket(7) */
export function socketError(fd: number): number {
  return getOption(fd, SOL_SOCKET, SO_ERROR);
}

const value = new Uint32Array(2);

/** An option that is an int. @see getsockopt(2) */
export function getOption(fd: number, level: number, name: number): number {
  value[1] = 4;
  const [place, length] = [new Uint8Array(value.buffer, 0, 4), new Uint8Array(value.buffer, 4, 4)];
  check("getsockopt", libc("socket").getsockopt(fd, level, name, place, length));
  return value[0]! | 0;
}
