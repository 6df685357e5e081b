/** Unix sockets, descriptors over them, and who is at the other end. Every function throws SyscallError. @see unix(7) */

import { check, retry } from "./errno.ts";
import { close } from "./file.ts";
import { libc } from "./libc.ts";
import {
  AF_UNIX,
  MSG_CMSG_CLOEXEC,
  MSG_CTRUNC,
  MSG_NOSIGNAL,
  SCM_RIGHTS,
  SO_PEERCRED,
  SOCK_CLOEXEC,
  SOL_SOCKET,
} from "./constants/socket.ts";

/** sun_path holds 108 bytes with its NUL. */
export const UNIX_PATH_MAX = 107;

/** @see socket(2) */
export function socket(domain: number, type: number, protocol = 0): number {
  return check("socket", libc("socket").socket(domain, type, protocol));
}

/** Both ends. @see socketpair(2) */
export function socketpair(domain: number, type: number): [number, number] {
  const ends = new Int32Array(2);
  check("socketpair", libc("socket").socketpair(domain, type, 0, new Uint8Array(ends.buffer)));
  return [ends[0]!, ends[1]!];
}

/** Binds to a path of at most 107 bytes; longer throws RangeError. @see bind(2), unix(7) */
export function bindUnix(fd: number, path: string): void {
  const address = unixAddress(path);
  check("bind", libc("socket").bind(fd, address, address.length), path);
}

/** @see connect(2), unix(7) */
export function connectUnix(fd: number, path: string): void {
  const address = unixAddress(path);
  retry("connect", () => libc("socket").connect(fd, address, address.length), path);
}

/** @see listen(2) */
export function listen(fd: number, backlog: number): void {
  check("listen", libc("socket").listen(fd, backlog));
}

/** @see accept4(2) */
export function accept4(fd: number, flags: number): number {
  return retry("accept4", () => libc("socket").accept4(fd, null, null, flags));
}

/** A write that raises no SIGPIPE. @see send(2) */
export function send(fd: number, data: Uint8Array<ArrayBuffer>, flags = MSG_NOSIGNAL): number {
  return retry("send", () => libc("socket").send(fd, data, data.length, flags));
}

/** @see recv(2) */
export function recv(fd: number, buffer: Uint8Array<ArrayBuffer>, flags = 0): number {
  return retry("recv", () => libc("socket").recv(fd, buffer, buffer.length, flags));
}

/** @see shutdown(2) */
export function shutdown(fd: number, how: number): void {
  check("shutdown", libc("socket").shutdown(fd, how));
}

/** The process at the other end of a Unix socket, as it was when it connected. */
export interface PeerCredentials {
  pid: number;
  uid: number;
  gid: number;
}

/** SO_PEERCRED. @see socket(7) */
export function peerCredentials(fd: number): PeerCredentials {
  const credentials = new Uint32Array(3);
  const length = new Uint32Array([12]);
  const result = libc("socket").getsockopt(
    fd,
    SOL_SOCKET,
    SO_PEERCRED,
    new Uint8Array(credentials.buffer),
    new Uint8Array(length.buffer),
  );
  check("getsockopt", result);
  return { pid: credentials[0]!, uid: credentials[1]!, gid: credentials[2]! };
}

/** Sends data (at least a byte) and descriptors. @see SCM_RIGHTS in unix(7) */
export function sendWithFds(fd: number, data: Uint8Array<ArrayBuffer>, fds: readonly number[]): number {
  const message = new Message(data, fds.length);
  message.setFds(fds);
  return retry("sendmsg", () => libc("socket").sendmsg(fd, message.header, MSG_NOSIGNAL));
}

/**
 * Receives data and up to `maxFds` descriptors, close-on-exec. Throws RangeError where more were sent, of which none
 * stays open.
 */
export function receiveWithFds(
  fd: number,
  buffer: Uint8Array<ArrayBuffer>,
  maxFds: number,
): { length: number; fds: number[] } {
  const message = new Message(buffer, maxFds);
  const length = retry("recvmsg", () => libc("socket").recvmsg(fd, message.header, MSG_CMSG_CLOEXEC));
  const fds = message.fds();
  // the kernel passes on what the memory holds: beside an odd number one more, which is no truncation
  if (message.flags() & MSG_CTRUNC || fds.length > maxFds) {
    fds.forEach(close);
    throw new RangeError(`more than ${maxFds} descriptors were sent`);
  }
  return { length, fds };
}

/** struct msghdr with one iovec and one SCM_RIGHTS control message. @see recvmsg(2), cmsg(3) */
class Message {
  readonly header = new Uint8Array(56);
  readonly #iovec = new BigUint64Array(2);
  readonly #control: Uint8Array<ArrayBuffer>;
  readonly #data: Uint8Array<ArrayBuffer>;

  constructor(data: Uint8Array<ArrayBuffer>, fdCount: number) {
    this.#data = data;
    this.#control = new Uint8Array(16 + ((fdCount * 4 + 7) & ~7));
    this.#iovec[0] = address(this.#data);
    this.#iovec[1] = BigInt(data.length);
    const view = new DataView(this.header.buffer);
    view.setBigUint64(16, address(new Uint8Array(this.#iovec.buffer)), true);
    view.setBigUint64(24, 1n, true);
    view.setBigUint64(32, address(this.#control), true);
    view.setBigUint64(40, BigInt(this.#control.length), true);
  }

  setFds(fds: readonly number[]): void {
    const view = new DataView(this.#control.buffer);
    const header = new DataView(this.header.buffer);
    if (fds.length === 0) {
      header.setBigUint64(32, 0n, true);
      header.setBigUint64(40, 0n, true);
      return;
    }
    view.setBigUint64(0, BigInt(16 + fds.length * 4), true);
    view.setInt32(8, SOL_SOCKET, true);
    view.setInt32(12, SCM_RIGHTS, true);
    fds.forEach((fd, index) => view.setInt32(16 + index * 4, fd, true));
  }

  fds(): number[] {
    const controlLength = Number(new DataView(this.header.buffer).getBigUint64(40, true));
    if (controlLength < 16) return [];
    const view = new DataView(this.#control.buffer);
    const length = Math.min(Number(view.getBigUint64(0, true)), this.#control.length);
    if (view.getInt32(8, true) !== SOL_SOCKET || view.getInt32(12, true) !== SCM_RIGHTS) return [];
    return Array.from({ length: (length - 16) >> 2 }, (_, index) => view.getInt32(16 + index * 4, true));
  }

  flags(): number {
    return new DataView(this.header.buffer).getInt32(48, true);
  }
}

/** A listening Unix stream socket, close-on-exec, mode 0600 at every moment. */
export function listenUnix(path: string, backlog: number, type: number): number {
  const fd = socket(AF_UNIX, type | SOCK_CLOEXEC);
  // The mode of a socket file comes from the umask at bind; a chmod afterwards would leave a gap.
  const former = libc("process").umask(0o177);
  try {
    bindUnix(fd, path);
  } finally {
    libc("process").umask(former);
  }
  listen(fd, backlog);
  return fd;
}

function unixAddress(path: string): Uint8Array<ArrayBuffer> {
  const bytes = new TextEncoder().encode(path);
  if (bytes.length > UNIX_PATH_MAX || bytes.includes(0)) {
    throw new RangeError(`socket path is longer than ${UNIX_PATH_MAX} bytes: ${path}`);
  }
  const address = new Uint8Array(2 + bytes.length + 1);
  new DataView(address.buffer).setUint16(0, AF_UNIX, true);
  address.set(bytes, 2);
  return address;
}

function address(buffer: Uint8Array<ArrayBuffer>): bigint {
  return BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(buffer)));
}
