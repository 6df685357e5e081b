/**
 * Datagrams with their addresses, errors and control messages. These calls fail as a matter of course (nobody
 * listens, nothing is there to read), so they give -errno and throw nothing.
 *
 * @see sendto(2), recvmsg(2), cmsg(3), ip(7), ipv6(7)
 */

import { errno } from "./errno.ts";
import { libc } from "./libc.ts";
import { SocketAddress } from "./inet.ts";
import { AF_INET, AF_INET6, MSG_NOSIGNAL } from "./constants/socket.ts";
import { IPPROTO_IP, IPPROTO_IPV6 } from "./constants/inet.ts";
import { IP_PKTINFO, IP_RECVERR, IPV6_PKTINFO, IPV6_RECVERR, MSG_ERRQUEUE } from "./constants/datagram.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** A non-blocking send, to the connected address where `to` is null; -errno where it fails. */
export function sendTo(fd: number, data: Bytes, to: SocketAddress | null, flags = MSG_NOSIGNAL): number {
  const { sendto } = libc("inet");
  const result = to === null
    ? sendto(fd, data, data.length, flags, null, 0)
    : sendto(fd, data, data.length, flags, to.memory.bytes, to.length);
  return result === -1 ? -errno() : result;
}

/** A non-blocking receive, which writes the sender to `from`; -errno where it fails. */
export function receiveFrom(fd: number, buffer: Bytes, from: SocketAddress, flags = 0): number {
  const { recvfrom } = libc("inet");
  const result = recvfrom(fd, buffer, buffer.length, flags, from.memory.bytes, from.room());
  return result === -1 ? -errno() : result;
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
  /** The node that reported it. */
  offender?: Bytes;
}

const NOTHING = new Uint8Array(0);

const CONTROL_BYTES = 256;
const CMSG_HEADER_BYTES = 16;

/** struct msghdr with its name and control buffers, to be used again and again: not by two calls at once. */
export class DatagramMessage {
  readonly #header = new Uint8Array(56);
  readonly #view = new DataView(this.#header.buffer);
  /** The sender of what was received; of an error, the destination of what was sent. */
  readonly peer = new SocketAddress();
  readonly #control = new Uint8Array(CONTROL_BYTES);
  readonly #controlView = new DataView(this.#control.buffer);
  readonly #iovec = new BigUint64Array(2);

  constructor() {
    this.#view.setBigUint64(0, pointerValue(this.peer.memory.bytes), true);
    this.#view.setBigUint64(16, pointerValue(new Uint8Array(this.#iovec.buffer)), true);
    this.#view.setBigUint64(24, 1n, true);
  }

  /** Receives with control messages; -errno where it fails. */
  receive(fd: number, buffer: Bytes, flags = 0): number {
    this.#prepare(buffer, this.peer.memory.bytes.length, CONTROL_BYTES);
    const result = libc("socket").recvmsg(fd, this.#header, flags);
    return result === -1 ? -errno() : result;
  }

  /** The host's address that it came to, from which it is to be answered (IP_PKTINFO, IPV6_RECVPKTINFO). */
  localAddress(): Bytes | undefined {
    // ipi_spec_dst, not the header's destination, which may be a broadcast: nobody can answer from there
    return this.#find(IPPROTO_IP, IP_PKTINFO, 12)?.slice(4, 8) ??
      this.#find(IPPROTO_IPV6, IPV6_PKTINFO, 20)?.slice(0, 16);
  }

  /** By which interface it came (the same options); 0 where that is not known. */
  interfaceIndex(): number {
    const [ipv4, ipv6] = [this.#find(IPPROTO_IP, IP_PKTINFO, 12), this.#find(IPPROTO_IPV6, IPV6_PKTINFO, 20)];
    const index = ipv4?.subarray(0, 4) ?? ipv6?.subarray(16, 20);
    return index ? new DataView(index.buffer, index.byteOffset).getInt32(0, true) : 0;
  }

  /** Sends to `peer` from an address of the host's (4 or 16 bytes); -errno where it fails. */
  send(fd: number, data: Bytes, source?: Bytes): number {
    this.#prepare(data, this.peer.length, source ? this.#writePacketInfo(source) : 0);
    const result = libc("socket").sendmsg(fd, this.#header, MSG_NOSIGNAL);
    return result === -1 ? -errno() : result;
  }

  /**
   * The next error of a socket with IP_RECVERR or IPV6_RECVERR, for what went to `peer`; undefined where there is none.
   * `sent` gets the beginning of what was sent, as far as the error quotes it.
   */
  receiveError(fd: number, sent = NOTHING): DatagramError | undefined {
    if (this.receive(fd, sent, MSG_ERRQUEUE) < 0) return undefined;
    const found = this.#find(IPPROTO_IP, IP_RECVERR, 16) ?? this.#find(IPPROTO_IPV6, IPV6_RECVERR, 16);
    if (found === undefined) return undefined;
    const view = new DataView(found.buffer, found.byteOffset, found.byteLength);
    return {
      errno: view.getUint32(0, true),
      origin: found[4]!,
      type: found[5]!,
      code: found[6]!,
      info: view.getUint32(8, true),
      offender: offenderOf(found.subarray(16)),
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

/** The address in the struct sockaddr that follows a struct sock_extended_err. */
function offenderOf(socketAddress: Bytes): Bytes | undefined {
  const family = socketAddress[0];
  if (family === AF_INET && socketAddress.length >= 8) return socketAddress.slice(4, 8);
  if (family === AF_INET6 && socketAddress.length >= 24) return socketAddress.slice(8, 24);
  return undefined;
}

function pointerValue(buffer: Bytes): bigint {
  return BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(buffer)));
}
