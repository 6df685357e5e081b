/**
 * Datagrams with their addresses, errors and control messages. These calls fail as a matter of course (nobody
 * listens, nothing is there to read), so they give -errno and throw nothing.
 *
 * @see sendto(2), recvmsg(2), cmsg(3), ip(7), ipv6(7)
 */

import { errno } from "./errno.ts";
import { libc } from "./libc.ts";
import { AF_INET, AF_INET6, MSG_NOSIGNAL, SOL_SOCKET } from "./constants/socket.ts";
import { IPPROTO_IP, IPPROTO_IPV6, SO_ERROR } from "./constants/inet.ts";
import { IP_PKTINFO, IP_RECVERR, IPV6_PKTINFO, IPV6_RECVERR, MSG_ERRQUEUE } from "./constants/datagram.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** An address of 4 or 16 bytes and a port. */
export interface SocketAddress {
  address: Bytes;
  port: number;
}

const SOCKADDR_IN_BYTES = 16;
const SOCKADDR_IN6_BYTES = 28;

/** struct sockaddr_in or sockaddr_in6; `scope` is an interface's index, for link-local addresses. */
export function encodeSocketAddress(address: ArrayLike<number>, port: number, scope = 0): Bytes {
  const isIpv4 = address.length === 4;
  const bytes = new Uint8Array(isIpv4 ? SOCKADDR_IN_BYTES : SOCKADDR_IN6_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, isIpv4 ? AF_INET : AF_INET6, true);
  view.setUint16(2, port);
  bytes.set(address, isIpv4 ? 4 : 8);
  if (!isIpv4) view.setUint32(24, scope, true);
  return bytes;
}

/** Undefined where it is of another family. */
export function decodeSocketAddress(bytes: Bytes): SocketAddress | undefined {
  const family = bytes[0]! | bytes[1]! << 8;
  const port = bytes[2]! << 8 | bytes[3]!;
  if (family === AF_INET) return { address: bytes.slice(4, 8), port };
  if (family === AF_INET6) return { address: bytes.slice(8, 24), port };
  return undefined;
}

/** A non-blocking send to an encoded address (none: to the connected one); -errno where it fails. */
export function sendTo(fd: number, data: Bytes, to: Bytes | null, flags = MSG_NOSIGNAL): number {
  const result = libc("inet").sendto(fd, data, data.length, flags, to, to?.length ?? 0);
  return result === -1 ? -errno() : result;
}

const addressLength = new Uint32Array(1);
const addressLengthBytes = new Uint8Array(addressLength.buffer);

/** A non-blocking receive; `from` (28 bytes) gets the encoded sender; -errno where it fails. */
export function receiveFrom(fd: number, buffer: Bytes, from: Bytes, flags = 0): number {
  addressLength[0] = from.length;
  const result = libc("inet").recvfrom(fd, buffer, buffer.length, flags, from, addressLengthBytes);
  return result === -1 ? -errno() : result;
}

/** 0 or -errno. */
export function bindTo(fd: number, address: Bytes): number {
  return libc("socket").bind(fd, address, address.length) === -1 ? -errno() : 0;
}

/** 0 or -errno, -EINPROGRESS among it. */
export function connectTo(fd: number, address: Bytes): number {
  return libc("socket").connect(fd, address, address.length) === -1 ? -errno() : 0;
}

/** An option of type int; 0 or -errno. */
export function setIntOption(fd: number, level: number, name: number, value: number): number {
  const option = new Uint8Array(new Int32Array([value]).buffer);
  return libc("socket").setsockopt(fd, level, name, option, 4) === -1 ? -errno() : 0;
}

/** An option of text, SO_BINDTODEVICE; 0 or -errno. */
export function setTextOption(fd: number, level: number, name: number, value: string): number {
  const option = new TextEncoder().encode(`${value}\0`);
  return libc("socket").setsockopt(fd, level, name, option, option.length) === -1 ? -errno() : 0;
}

/** The socket's pending error, which is cleared by it: an errno, or 0. */
export function takeSocketError(fd: number): number {
  const value = new Int32Array(1);
  const length = new Uint8Array(new Uint32Array([4]).buffer);
  libc("socket").getsockopt(fd, SOL_SOCKET, SO_ERROR, new Uint8Array(value.buffer), length);
  return value[0]!;
}

/** The address that a socket is bound to; undefined where it has none. */
export function socketName(fd: number): SocketAddress | undefined {
  const name = new Uint8Array(SOCKADDR_IN6_BYTES);
  const length = new Uint8Array(new Uint32Array([name.length]).buffer);
  if (libc("inet").getsockname(fd, name, length) === -1) return undefined;
  return decodeSocketAddress(name);
}

/** An error that came for a datagram sent before. @see IP_RECVERR in ip(7) */
export interface DatagramError {
  errno: number;
  /** SO_EE_ORIGIN_*. */
  origin: number;
  /** Of the ICMP message. */
  type: number;
  code: number;
  /** The path's MTU, with EMSGSIZE. */
  info: number;
  /** Where the datagram was sent to. */
  destination: SocketAddress;
  /** The node that reported it. */
  offender?: Bytes;
}

const CONTROL_BYTES = 256;
const CMSG_HEADER_BYTES = 16;

/** struct msghdr with its name and control buffers, to be used again and again: not by two calls at once. */
export class DatagramMessage {
  readonly #header = new Uint8Array(56);
  readonly #view = new DataView(this.#header.buffer);
  readonly #name = new Uint8Array(SOCKADDR_IN6_BYTES);
  readonly #control = new Uint8Array(CONTROL_BYTES);
  readonly #controlView = new DataView(this.#control.buffer);
  readonly #iovec = new BigUint64Array(2);

  constructor() {
    this.#view.setBigUint64(0, pointerValue(this.#name), true);
    this.#view.setBigUint64(16, pointerValue(new Uint8Array(this.#iovec.buffer)), true);
    this.#view.setBigUint64(24, 1n, true);
  }

  /** Receives with control messages; -errno where it fails. */
  receive(fd: number, buffer: Bytes, flags = 0): number {
    this.#prepare(buffer, SOCKADDR_IN6_BYTES, CONTROL_BYTES);
    const result = libc("socket").recvmsg(fd, this.#header, flags);
    return result === -1 ? -errno() : result;
  }

  /** The sender of what was received, or with MSG_ERRQUEUE the destination. */
  peer(): SocketAddress | undefined {
    return this.#view.getUint32(8, true) >= SOCKADDR_IN_BYTES ? decodeSocketAddress(this.#name) : undefined;
  }

  /** Where it was received (IP_PKTINFO, IPV6_RECVPKTINFO). */
  localAddress(): Bytes | undefined {
    return this.#find(IPPROTO_IP, IP_PKTINFO, 12)?.slice(8, 12) ??
      this.#find(IPPROTO_IPV6, IPV6_PKTINFO, 20)?.slice(0, 16);
  }

  /** Sends to an encoded address, with a source address of the host's (4 or 16 bytes); -errno where it fails. */
  send(fd: number, data: Bytes, to: Bytes, source?: Bytes): number {
    this.#name.set(to);
    this.#prepare(data, to.length, source ? this.#writePacketInfo(source) : 0);
    const result = libc("socket").sendmsg(fd, this.#header, MSG_NOSIGNAL);
    return result === -1 ? -errno() : result;
  }

  /** The next error of a socket with IP_RECVERR or IPV6_RECVERR; undefined where there is none. */
  receiveError(fd: number): DatagramError | undefined {
    if (this.receive(fd, new Uint8Array(0), MSG_ERRQUEUE) < 0) return undefined;
    const destination = this.peer();
    const found = this.#find(IPPROTO_IP, IP_RECVERR, 16) ?? this.#find(IPPROTO_IPV6, IPV6_RECVERR, 16);
    if (found === undefined || destination === undefined) return undefined;
    const view = new DataView(found.buffer, found.byteOffset, found.byteLength);
    const offender = found.length >= 16 + SOCKADDR_IN_BYTES
      ? decodeSocketAddress(found.slice(16))
      : undefined;
    return {
      errno: view.getUint32(0, true),
      origin: found[4]!,
      type: found[5]!,
      code: found[6]!,
      info: view.getUint32(8, true),
      destination,
      offender: offender?.address,
    };
  }

  #prepare(data: Bytes, nameLength: number, controlLength: number): void {
    this.#iovec[0] = data.length === 0 ? 0n : pointerValue(data);
    this.#iovec[1] = BigInt(data.length);
    this.#view.setUint32(8, nameLength, true);
    this.#view.setBigUint64(32, controlLength === 0 ? 0n : pointerValue(this.#control), true);
    this.#view.setBigUint64(40, BigInt(controlLength), true);
    this.#view.setInt32(48, 0, true);
  }

  #writePacketInfo(source: Bytes): number {
    const isIpv4 = source.length === 4;
    const length = CMSG_HEADER_BYTES + (isIpv4 ? 12 : 20);
    this.#control.fill(0, 0, 40);
    this.#controlView.setBigUint64(0, BigInt(length), true);
    this.#controlView.setInt32(8, isIpv4 ? IPPROTO_IP : IPPROTO_IPV6, true);
    this.#controlView.setInt32(12, isIpv4 ? IP_PKTINFO : IPV6_PKTINFO, true);
    // in_pktinfo: interface, source, destination; in6_pktinfo: address, interface
    this.#control.set(source, CMSG_HEADER_BYTES + (isIpv4 ? 4 : 0));
    return (length + 7) & ~7;
  }

  /** The data of a control message of at least so many bytes. */
  #find(level: number, type: number, minimum: number): Bytes | undefined {
    const end = Math.min(CONTROL_BYTES, Number(this.#view.getBigUint64(40, true)));
    for (let at = 0; at + CMSG_HEADER_BYTES <= end;) {
      const length = Number(this.#controlView.getBigUint64(at, true));
      if (length < CMSG_HEADER_BYTES || at + length > end) return undefined;
      const isIt = this.#controlView.getInt32(at + 8, true) === level &&
        this.#controlView.getInt32(at + 12, true) === type;
      if (isIt && length >= CMSG_HEADER_BYTES + minimum) {
        return this.#control.subarray(at + CMSG_HEADER_BYTES, at + length);
      }
      at += (length + 7) & ~7;
    }
    return undefined;
  }
}

function pointerValue(buffer: Bytes): bigint {
  return BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(buffer)));
}
