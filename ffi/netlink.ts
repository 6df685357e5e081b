/**
 * Netlink: requests as values, and the socket that makes them. What rtnetlink is asked for is in rtnetlink.ts.
 *
 * ```
 *  nlmsghdr (16 bytes)  struct of the family (ifinfomsg, rtmsg, …)  attributes: length, type, value, padding to 4
 * ```
 *
 * @see netlink(7), netlink(3), linux/netlink.h
 */

import { concat } from "./concat.ts";
import { check, EAGAIN, ENODEV, errnoText, isErrno, SyscallError } from "./errno.ts";
import { close, ioctl } from "./file.ts";
import { libc } from "./libc.ts";
import { IFNAMSIZ, SIOCGIFINDEX, SIOCGIFNAME } from "./constants/if_tun.ts";
import {
  NETLINK_CAP_ACK,
  NETLINK_EXT_ACK,
  NETLINK_ROUTE,
  NLA_F_NESTED,
  NLM_F_ACK,
  NLM_F_ACK_TLVS,
  NLM_F_CAPPED,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSGERR_ATTR_MSG,
  SOL_NETLINK,
} from "./constants/netlink.ts";
import {
  AF_NETLINK,
  MSG_DONTWAIT,
  SO_SNDBUFFORCE,
  SOCK_CLOEXEC,
  SOCK_RAW,
  SOL_SOCKET,
} from "./constants/socket.ts";
import { recv, send, socket } from "./socket.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** A number is a u32, text gets its NUL, a list is nested; `undefined` is left out. */
export type AttributeValue = number | string | Uint8Array | Attribute[] | undefined;
export type Attribute = [type: number, value: AttributeValue];

/** One message to the kernel, but for its sequence number. */
export interface NetlinkRequest {
  /** What it does, for the error: `add address 10.0.2.100 to eth0`. */
  what: string;
  type: number;
  /** Beside NLM_F_REQUEST; without NLM_F_ACK no answer is waited for. */
  flags: number;
  /** The family's struct and its attributes. */
  body: Uint8Array;
}

/** One message of the kernel. */
export interface NetlinkMessage {
  type: number;
  flags: number;
  sequence: number;
  body: Bytes;
}

/** A request that the kernel refused, with its own words (NETLINK_EXT_ACK) where it gave some. */
export class NetlinkError extends SyscallError {
  override name = "NetlinkError";
  constructor(what: string, errno: number, readonly reason = "") {
    super("netlink", errno);
    this.message = `${what}: ${errnoText(errno)}${reason && ` (${reason})`}`;
  }
}

/** The request that `header`, a family's struct, and attributes make. */
export function request(
  what: string,
  type: number,
  header: Uint8Array,
  attributes: readonly Attribute[] = [],
  flags = NLM_F_ACK,
): NetlinkRequest {
  return { what, type, flags, body: concat([header, encodeAttributes(attributes)]) };
}

/** @see rtnetlink(3): each attribute begins at a multiple of 4 */
export function encodeAttributes(attributes: readonly Attribute[]): Bytes {
  const parts: Uint8Array[] = [];
  for (const [type, value] of attributes) {
    if (value === undefined) continue;
    const bytes = valueBytes(value);
    const header = new Uint8Array(4);
    new Uint16Array(header.buffer).set([4 + bytes.length, Array.isArray(value) ? type | NLA_F_NESTED : type]);
    parts.push(header, bytes, new Uint8Array(-bytes.length & 3));
  }
  return concat(parts);
}

function valueBytes(value: NonNullable<AttributeValue>): Uint8Array {
  if (typeof value === "number") return u32(value);
  if (typeof value === "string") return new TextEncoder().encode(`${value}\0`);
  return Array.isArray(value) ? encodeAttributes(value) : value;
}

/** In the machine's order, as nearly all of netlink is. */
export function u16(value: number): Bytes {
  return new Uint8Array(Uint16Array.of(value).buffer);
}
export function u32(value: number): Bytes {
  return new Uint8Array(Uint32Array.of(value).buffer);
}
/** In network order: ports, protocols of Ethernet, nf_tables. */
export function be16(value: number): Bytes {
  return Uint8Array.of(value >> 8, value);
}
export function be32(value: number): Bytes {
  return Uint8Array.of(value >>> 24, value >> 16, value >> 8, value);
}

/** The attributes in `bytes` from `offset` on, by their type; the last of a type wins, and what is cut off is left out. */
export function parseAttributes(bytes: Bytes, offset = 0): Map<number, Bytes> {
  const found = new Map<number, Bytes>();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = offset; at + 4 <= bytes.length;) {
    const length = view.getUint16(at, true);
    if (length < 4 || at + length > bytes.length) break;
    found.set(view.getUint16(at + 2, true) & 0x3fff, bytes.subarray(at + 4, at + length));
    at += length + 3 & ~3;
  }
  return found;
}

/** Text up to its NUL. */
export function textOf(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end === -1 ? bytes : bytes.subarray(0, end));
}

/** One buffer of all requests, numbered from `firstSequence` on. */
export function encodeRequests(requests: readonly NetlinkRequest[], firstSequence: number): Bytes {
  return concat(requests.flatMap(({ type, flags, body }, index) => {
    const header = new Uint8Array(16);
    const view = new DataView(header.buffer);
    view.setUint32(0, 16 + body.length, true);
    view.setUint16(4, type, true);
    view.setUint16(6, flags | NLM_F_REQUEST, true);
    view.setUint32(8, firstSequence + index, true);
    return [header, body, new Uint8Array(-body.length & 3)];
  }));
}

/** The messages of one datagram of the kernel. */
export function parseMessages(bytes: Bytes): NetlinkMessage[] {
  const messages: NetlinkMessage[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at + 16 <= bytes.length;) {
    const length = view.getUint32(at, true);
    if (length < 16 || at + length > bytes.length) break;
    messages.push({
      type: view.getUint16(at + 4, true),
      flags: view.getUint16(at + 6, true),
      sequence: view.getUint32(at + 8, true),
      body: bytes.slice(at + 16, at + length),
    });
    at += length + 3 & ~3;
  }
  return messages;
}

/** What an NLMSG_ERROR says; errno 0 is an acknowledgement. */
export function parseError({ flags, body }: NetlinkMessage): { errno: number; reason: string } {
  if (body.length < 20) return { errno: 0, reason: "" };
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  const errno = -view.getInt32(0, true);
  if (!(flags & NLM_F_ACK_TLVS)) return { errno, reason: "" };
  // the request follows its header again, unless it was left out
  const length = flags & NLM_F_CAPPED ? 16 : view.getUint32(4, true);
  const reason = parseAttributes(body, 4 + ((length + 3 & ~3) >>> 0)).get(NLMSGERR_ATTR_MSG);
  return { errno, reason: reason === undefined ? "" : textOf(reason) };
}

const ANSWER_BYTES = 32768;
/** A socket takes more than this whatever net.core.wmem_default is, as a rule. */
const USUAL_SNDBUF = 64 * 1024;

/**
 * A netlink socket. It stays in the network namespace that it was made in, whoever holds it.
 *
 * The kernel answers before send(2) returns, so that nothing here waits.
 */
export class NetlinkSocket {
  readonly fd: number;
  #sequence = 1;
  #answer: Bytes | undefined;

  /** `fd`: one made elsewhere, with `openNetlink`; owned from now on. */
  constructor(fd: number = openNetlink()) {
    this.fd = fd;
  }

  /** Makes all requests in one send. Throws NetlinkError for the first that was refused; the others were made. */
  perform(requests: readonly NetlinkRequest[]): void {
    if (requests.length === 0) return;
    const first = this.#send(requests);
    const waiting = new Set<number>();
    requests.forEach(({ flags }, index) => flags & NLM_F_ACK && waiting.add(first + index));
    let refused: NetlinkError | undefined;
    while (waiting.size > 0) {
      // of a batch that it does not take at all, the kernel refuses the beginning and answers nothing else
      for (const message of this.#receive(refused)) {
        const asked = requests[message.sequence - first];
        if (message.type !== NLMSG_ERROR || asked === undefined) continue;
        waiting.delete(message.sequence);
        const { errno, reason } = parseError(message);
        if (errno !== 0) refused ??= new NetlinkError(asked.what, errno, reason);
      }
    }
    if (refused) throw refused;
  }

  /** The kernel's answer to a question about one thing. Throws NetlinkError where it refuses. */
  ask(asked: NetlinkRequest): NetlinkMessage {
    const first = this.#send([{ ...asked, flags: 0 }]);
    for (;;) {
      const answer = this.#receive().find(({ sequence }) => sequence === first);
      if (answer === undefined) continue;
      if (answer.type === NLMSG_ERROR) {
        const { errno, reason } = parseError(answer);
        throw new NetlinkError(asked.what, errno, reason);
      }
      return answer;
    }
  }

  /** All that the kernel lists; asked again where the list changed meanwhile. */
  dump(asked: NetlinkRequest): NetlinkMessage[] {
    for (let attempt = 0;; attempt++) {
      const first = this.#send([{ ...asked, flags: NLM_F_DUMP }]);
      const found: NetlinkMessage[] = [];
      let isTorn = false;
      for (let ended = false; !ended;) {
        for (const message of this.#receive()) {
          if (message.sequence !== first) continue;
          isTorn ||= (message.flags & NLM_F_DUMP_INTR) !== 0;
          if (message.type === NLMSG_DONE) ended = true;
          else if (message.type === NLMSG_ERROR) {
            const { errno, reason } = parseError(message);
            if (errno !== 0) throw new NetlinkError(asked.what, errno, reason);
          } else found.push(message);
        }
      }
      if (!isTorn || attempt === 5) return found;
    }
  }

  /** The index of an interface in the socket's namespace; undefined where there is none. @see netdevice(7) */
  indexOf(name: string): number | undefined {
    // struct ifreq { char ifr_name[16]; int ifr_ifindex; … } of 40 bytes
    const found = new Uint8Array(40);
    found.set(new TextEncoder().encode(name).subarray(0, IFNAMSIZ - 1));
    try {
      ioctl(this.fd, SIOCGIFINDEX, found);
    } catch (error) {
      if (isErrno(error, ENODEV)) return undefined;
      throw error;
    }
    return new DataView(found.buffer).getInt32(IFNAMSIZ, true);
  }

  /** The name of an interface in the socket's namespace. Throws SyscallError ENODEV. @see netdevice(7) */
  nameOf(index: number): string {
    const found = new Uint8Array(40);
    new DataView(found.buffer).setInt32(IFNAMSIZ, index, true);
    ioctl(this.fd, SIOCGIFNAME, found);
    return textOf(found.subarray(0, IFNAMSIZ));
  }

  [Symbol.dispose](): void {
    close(this.fd);
  }

  #send(requests: readonly NetlinkRequest[]): number {
    const first = this.#sequence;
    this.#sequence += requests.length;
    const bytes = encodeRequests(requests, first);
    if (bytes.length > USUAL_SNDBUF) this.#makeRoom(bytes.length);
    send(this.fd, bytes);
    return first;
  }

  /** For a message that is longer than the socket takes (EMSGSIZE), where this process may have that. */
  #makeRoom(bytes: number): void {
    libc("socket").setsockopt(
      ...[this.fd, SOL_SOCKET, SO_SNDBUFFORCE] as const,
      new Uint8Array(Int32Array.of(2 * bytes).buffer),
      4,
    );
  }

  /** @param fault thrown where nothing comes any more */
  #receive(fault?: NetlinkError): NetlinkMessage[] {
    const buffer = this.#answer ??= new Uint8Array(ANSWER_BYTES);
    try {
      return parseMessages(buffer.subarray(0, recv(this.fd, buffer, MSG_DONTWAIT)));
    } catch (error) {
      if (isErrno(error, EAGAIN)) throw fault ?? new NetlinkError("read the kernel's answer", EAGAIN);
      throw error;
    }
  }
}

/** The descriptor of a netlink socket in the present network namespace. */
export function openNetlink(protocol: number = NETLINK_ROUTE): number {
  const fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
  const on = new Uint8Array(Int32Array.of(1).buffer);
  for (const option of [NETLINK_CAP_ACK, NETLINK_EXT_ACK]) {
    check("setsockopt", libc("socket").setsockopt(fd, SOL_NETLINK, option, on, 4));
  }
  return fd;
}
