/**
 * Requests to a running slirp4netns: one connection each, a JSON object there and one back.
 *
 * @see slirp4netns(1), API socket
 */

import { AF_UNIX, SHUT_WR, SOCK_CLOEXEC, SOCK_STREAM } from "../../ffi/constants/socket.ts";
import { close, read, unlinkat, writeAll } from "../../ffi/file.ts";
import { AT_FDCWD } from "../../ffi/constants/fcntl.ts";
import { connectUnix, shutdown, socket } from "../../ffi/socket.ts";
import { HostError } from "../errors.ts";
import type { NetworkLoop } from "./monitor_network.ts";
import type { SlirpForward } from "./plan.ts";

/** Has all forwarded, one after the other; then the socket's file is removed, and `done` called once. */
export function requestForwards(
  loop: NetworkLoop,
  socketPath: string,
  forwards: readonly SlirpForward[],
  done: (error?: unknown) => void,
): void {
  const finish = (error?: unknown) => {
    try {
      unlinkat(AT_FDCWD, socketPath, 0);
    } catch {
      // it never made it
    }
    done(error);
  };
  const [next, ...rest] = forwards;
  if (next === undefined) return finish();
  const fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC);
  try {
    connectUnix(fd, socketPath);
    const request = { execute: "add_hostfwd", arguments: next };
    writeAll(fd, new TextEncoder().encode(JSON.stringify(request)));
    shutdown(fd, SHUT_WR);
  } catch (error) {
    close(fd);
    return finish(error);
  }
  let answer = "";
  loop.watch(fd, () => {
    const bytes = new Uint8Array(4096);
    const count = readOrEnd(fd, bytes);
    answer += new TextDecoder().decode(bytes.subarray(0, count));
    if (count > 0) return;
    loop.unwatch(fd);
    close(fd);
    const refusal = refusalIn(answer);
    if (refusal === undefined) return requestForwards(loop, socketPath, rest, done);
    finish(
      new HostError(
        `publish port ${next.host_addr}:${next.host_port}/${next.proto}: slirp4netns: ${refusal}`,
      ),
    );
  });
}

/** 0 where slirp4netns has ended, too. */
function readOrEnd(fd: number, bytes: Uint8Array<ArrayBuffer>): number {
  try {
    return read(fd, bytes);
  } catch {
    return 0;
  }
}

function refusalIn(answer: string): string | undefined {
  try {
    const { error, return: result } = JSON.parse(answer);
    if (result !== undefined) return undefined;
    return String(error?.desc ?? answer);
  } catch {
    return answer === "" ? "no answer" : answer.slice(0, 200);
  }
}
