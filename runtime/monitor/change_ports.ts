/** A client's request to change published ports: unlike the others it sends descriptors. */

import { AF_UNIX, SOCK_CLOEXEC, SOCK_STREAM } from "../../ffi/constants/socket.ts";
import { ECONNREFUSED, ENOENT, isErrno } from "../../ffi/errno.ts";
import { close, readAsync } from "../../ffi/file.ts";
import { connectUnix, sendWithFds, socket } from "../../ffi/socket.ts";
import { ConflictError } from "../errors.ts";
import { errorOf } from "./client.ts";
import type { PortChange } from "./held_ports.ts";
import { PROTOCOL_VERSION } from "./plan.ts";
import { encodeJsonFrame, FRAME, FrameDecoder } from "./protocol.ts";

/** So many sockets go with one message. @see unix(7), SCM_MAX_FD */
export const SOCKETS_A_CHANGE = 253;

/** `fds` are the sockets of those in `add` that take over none; they stay the caller's. @throws {SkiffError} */
export async function changePorts(
  socketPath: string,
  change: PortChange,
  fds: readonly number[],
): Promise<void> {
  const fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC);
  try {
    connectUnix(fd, socketPath);
    sendWithFds(fd, encodeJsonFrame(FRAME.HELLO, { version: PROTOCOL_VERSION, op: "ports", ...change }), fds);
    await readAnswer(fd);
  } catch (cause) {
    if (!isErrno(cause, ENOENT, ECONNREFUSED)) throw cause;
    throw new ConflictError("change published ports: the container is not running", { cause });
  } finally {
    close(fd);
  }
}

async function readAnswer(fd: number): Promise<void> {
  const decoder = new FrameDecoder();
  const buffer = new Uint8Array(4096);
  let isDone = false;
  while (!isDone) {
    const count = await readAsync(fd, buffer);
    if (count === 0) throw new ConflictError("change published ports: the container has ended");
    decoder.feed(buffer.subarray(0, count), {
      stream: () => {},
      control: (type, payload) => {
        if (type === FRAME.ERROR) throw errorOf(payload);
        if (type === FRAME.EXIT) throw new ConflictError("change published ports: the container has ended");
        isDone ||= type === FRAME.OK;
      },
    });
  }
}
