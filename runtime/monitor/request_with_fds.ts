/** A client's request that comes with descriptors, which Deno's own sockets cannot send. */

import { AF_UNIX, SOCK_CLOEXEC, SOCK_STREAM } from "../../ffi/constants/socket.ts";
import { ECONNREFUSED, ENOENT, isErrno } from "../../ffi/errno.ts";
import { close, readAsync } from "../../ffi/file.ts";
import { connectUnix, sendWithFds, socket } from "../../ffi/socket.ts";
import { ConflictError } from "../errors.ts";
import { errorOf, type Request } from "./client.ts";
import { PROTOCOL_VERSION } from "./plan.ts";
import { encodeJsonFrame, FRAME, FrameDecoder } from "./protocol.ts";

/** `fds` stay the caller's. @throws {SkiffError} that names the `action` */
export async function requestWithFds(
  socketPath: string,
  request: Request,
  fds: readonly number[],
  action: string,
): Promise<void> {
  const fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC);
  try {
    connectUnix(fd, socketPath);
    sendWithFds(fd, encodeJsonFrame(FRAME.HELLO, { version: PROTOCOL_VERSION, ...request }), fds);
    await readAnswer(fd, action);
  } catch (cause) {
    if (!isErrno(cause, ENOENT, ECONNREFUSED)) throw cause;
    throw new ConflictError(`${action}: the container is not running`, { cause });
  } finally {
    close(fd);
  }
}

async function readAnswer(fd: number, action: string): Promise<void> {
  const decoder = new FrameDecoder();
  const buffer = new Uint8Array(4096);
  let isDone = false;
  while (!isDone) {
    const count = await readAsync(fd, buffer);
    if (count === 0) throw new ConflictError(`${action}: the container has ended`);
    decoder.feed(buffer.subarray(0, count), {
      stream: () => {},
      control: (type, payload) => {
        if (type === FRAME.ERROR) throw errorOf(payload);
        if (type === FRAME.EXIT) throw new ConflictError(`${action}: the container has ended`);
        isDone ||= type === FRAME.OK;
      },
    });
  }
}
