/**
 * A connection to a server of this machine, for who asks it something, does other things, and then reads the answer. It is
 * a socket of our own: the runtime's need turns of its event loop, of which the first take a command 4 ms.
 *
 * @see ip(7), ipv6(7), connect(2)
 */

import { EAGAIN, isErrno } from "../../ffi/errno.ts";
import { AF_INET, AF_INET6, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM } from "../../ffi/constants/socket.ts";
import { POLLIN } from "../../ffi/constants/poll.ts";
import { close } from "../../ffi/file.ts";
import { connectTo, SocketAddress } from "../../ffi/inet.ts";
import { pollBlocking } from "../../ffi/poll.ts";
import { recv, send, socket } from "../../ffi/socket.ts";
import type { ByteStream } from "./dial.ts";
import { pause } from "./watchdog.ts";

/** So long an answer is waited for in one go, once: a first turn of the event loop holds everything up for as long. */
const FIRST_WAIT_MS = 5;
/** Later it is looked for again and again. */
const LONGEST_PAUSE_MS = 20;

/** In a rehearsal, what makes a socket whose other end is no server. */
let onPaper: (() => number) | undefined;

/** From here on `open` gives the sockets, until there is none. @see rehearse.ts */
export function takeConnections(open: typeof onPaper): void {
  onPaper = open;
}

/** The stream to an address of the loopback; undefined for any other name, or where nobody can be reached in this way. */
export function openLoopback({ hostname, port }: URL): LoopbackStream | undefined {
  const address = loopbackAddress(hostname);
  if (address === undefined) return undefined;
  const fd = onPaper?.() ?? connect(address, Number(port || 80));
  return fd === undefined ? undefined : new LoopbackStream(fd, hostname.replace(/^\[|\]$/g, ""));
}

export class LoopbackStream implements ByteStream {
  #fd: number | undefined;
  #hasWaited = false;

  /** @param fd a connected socket, which does not block, and is closed with the stream */
  constructor(fd: number, readonly peer: string) {
    this.#fd = fd;
  }

  async read(into: Uint8Array): Promise<number | null> {
    return await this.#whenReady((fd) => {
      const bytes = into as Uint8Array<ArrayBuffer>;
      try {
        return recv(fd, bytes);
      } catch (error) {
        if (this.#hasWaited || !isErrno(error, EAGAIN)) throw error;
      }
      this.#hasWaited = true;
      pollBlocking(fd, POLLIN, FIRST_WAIT_MS);
      return recv(fd, bytes);
    }) || null;
  }

  write(bytes: Uint8Array): Promise<number> {
    return this.#whenReady((fd) => send(fd, bytes as Uint8Array<ArrayBuffer>));
  }

  close(): void {
    if (this.#fd !== undefined) close(this.#fd);
    this.#fd = undefined;
  }

  async #whenReady(attempt: (fd: number) => number): Promise<number> {
    for (let pauseMs = 1;; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
      if (this.#fd === undefined) throw new Error("the connection was closed on this side");
      try {
        return attempt(this.#fd);
      } catch (error) {
        if (!isErrno(error, EAGAIN)) throw error;
      }
      await pause(pauseMs);
    }
  }
}

/** In network order. A URL has an address in one spelling. */
function loopbackAddress(hostname: string): Uint8Array | undefined {
  if (hostname === "[::1]") return Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
  return /^127\.\d+\.\d+\.\d+$/.test(hostname) ? Uint8Array.from(hostname.split("."), Number) : undefined;
}

function connect(address: Uint8Array, port: number): number | undefined {
  const family = address.length === 4 ? AF_INET : AF_INET6;
  const fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK);
  // "in progress" says the first call always, and the second how it went: on the loopback all of it has happened by then
  const server = new SocketAddress().set(address, port);
  if (connectTo(fd, server) === 0 || connectTo(fd, server) === 0) return fd;
  close(fd);
  return undefined;
}
