/** How a plan and descriptors reach a monitor that was forked before they were there. */

import { close, read, writeAll } from "../../ffi/file.ts";
import { forkChild } from "../../ffi/fork.ts";
import { openFamilies } from "../../ffi/libc.ts";
import { receiveWithFds, sendWithFds, socketpair } from "../../ffi/socket.ts";
import { AF_UNIX, SOCK_CLOEXEC, SOCK_STREAM } from "../../ffi/constants/socket.ts";

const HEADER_BYTES = 8;

/** Opens what a monitor and its children call: after the fork each would open it for itself. */
function openMonitorFamilies(): void {
  openFamilies(
    "fork",
    "process",
    "credentials",
    "namespaces",
    "file",
    "xattr",
    "mount",
    "signal",
    "poll",
    "socket",
    "memory",
    "clock",
    "spawn",
  );
}

/**
 * Forks a monitor that waits for its plan at the socket it is given; the other end is the caller's. It sees the end of that
 * socket where the command ends without a word.
 */
export function forkWaiting(child: (socket: number) => number): { pid: number; socket: number } {
  openMonitorFamilies();
  const [socket, its] = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC);
  const pid = forkChild(() => child(its));
  close(its);
  return { pid, socket };
}

/** Sends a value, as JSON, and descriptors, which stay the caller's. */
export function sendJson(socket: number, value: unknown, fds: number[]): void {
  const text = new TextEncoder().encode(JSON.stringify(value));
  const header = new Uint8Array(HEADER_BYTES);
  new DataView(header.buffer).setUint32(0, text.length);
  sendWithFds(socket, header, fds);
  writeAll(socket, text);
}

/** Waits for what `sendJson` sends; undefined where the command has ended or gone on without us. */
export function receiveJson<T>(socket: number, descriptors: number): { value: T; fds: number[] } | undefined {
  const header = new Uint8Array(HEADER_BYTES);
  const { length, fds } = receiveWithFds(socket, header, descriptors);
  if (length !== HEADER_BYTES || fds.length !== descriptors) return undefined;
  const text = new Uint8Array(new DataView(header.buffer).getUint32(0));
  for (let offset = 0; offset < text.length;) {
    const count = read(socket, text.subarray(offset));
    if (count === 0) return undefined;
    offset += count;
  }
  return { value: JSON.parse(new TextDecoder().decode(text)), fds };
}
