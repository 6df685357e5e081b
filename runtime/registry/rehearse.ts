/** A registry on paper, for a rehearsal: it has one manifest, and is not in any network. @see loopback_stream.ts */

import { AF_UNIX, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM } from "../../ffi/constants/socket.ts";
import { close } from "../../ffi/file.ts";
import { send, socketpair } from "../../ffi/socket.ts";
import type { Digest } from "../spec/digest.ts";
import { MEDIA_TYPE } from "../spec/image.ts";
import { takeConnections } from "./loopback_stream.ts";

/** As long as it lasts, whoever asks for a manifest at an address of the loopback is told that it is this one. */
export function answerOnPaper(manifest: { digest: Digest; bytes: Uint8Array }): Disposable {
  const answer = new TextEncoder().encode(headOf(manifest).join("\r\n") + "\r\n\r\n");
  const others: number[] = [];
  takeConnections(() => {
    const [own, other] = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK);
    others.push(other);
    send(other, answer);
    return own;
  });
  return {
    [Symbol.dispose]: () => {
      takeConnections(undefined);
      others.forEach(close);
    },
  };
}

/** As Debian's docker-registry answers to HEAD. */
function headOf({ digest, bytes }: { digest: Digest; bytes: Uint8Array }): string[] {
  return [
    "HTTP/1.1 200 OK",
    `Content-Length: ${bytes.length}`,
    `Content-Type: ${MEDIA_TYPE.ociManifest}`,
    `Docker-Content-Digest: ${digest}`,
    "Docker-Distribution-Api-Version: registry/2.0",
    `Etag: "${digest}"`,
    "X-Content-Type-Options: nosniff",
    "Date: Thu, 01 Jan 1970 00:00:00 GMT",
  ];
}
