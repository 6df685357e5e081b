/**
 * TLS by node:tls, for what Deno.connectTls cannot: a certificate nobody vouches for, a self-signed one that is its
 * own authority, a client certificate through a proxy. Imported only then: node:tls costs 20 ms and more.
 */
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import type { ByteStream, DialTarget } from "./dial.ts";

/** @param tunnel speaks to the proxy until the tunnel stands */
export async function openNodeTls(
  target: DialTarget,
  tunnel: (stream: ByteStream) => Promise<void>,
): Promise<ByteStream> {
  const at = target.proxy ?? target;
  const tcp = connectTcp({ host: at.hostname, port: at.port });
  try {
    await once(tcp, "connect");
    const peer = target.proxy === null ? tcp.remoteAddress ?? "" : "";
    if (target.proxy !== null) await tunnel(streamOf(tcp, ""));
    const ca = [...target.certs.ca, ...target.systemCerts];
    const tls = connectTls({
      socket: tcp,
      ...(isIP(target.hostname) ? { host: target.hostname } : { servername: target.hostname }),
      rejectUnauthorized: !target.insecure,
      ...(ca.length > 0 ? { ca } : {}),
      ...target.certs.client,
      ALPNProtocols: ["http/1.1"],
    });
    await once(tls, "secureConnect");
    return streamOf(tls, peer);
  } catch (error) {
    tcp.destroy();
    throw error;
  }
}

function once(socket: Socket | TLSSocket, event: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => reject(error);
    socket.once("error", fail);
    socket.once("close", () => reject(new Error("the connection was closed")));
    socket.once(event, () => {
      socket.off("error", fail);
      resolve();
    });
  });
}

/** Reads are served from `readable` events, so that nothing is buffered beyond the socket's high-water mark. */
function streamOf(socket: Socket | TLSSocket, peer: string): ByteStream {
  let failure: Error | null = null;
  let ended = false;
  let rest: Uint8Array | null = null;
  let wake = () => {};
  socket.on("readable", () => wake());
  socket.on("end", () => {
    ended = true;
    wake();
  });
  socket.on("error", (error: Error) => {
    failure = error;
    wake();
  });
  socket.on("close", () => {
    ended = true;
    wake();
  });
  return {
    peer,
    async read(into) {
      for (;;) {
        rest ??= socket.read() as Uint8Array | null;
        if (rest !== null) {
          const n = Math.min(rest.length, into.length);
          into.set(rest.subarray(0, n));
          rest = n === rest.length ? null : rest.subarray(n);
          return n;
        }
        if (failure !== null) throw failure;
        if (ended) return null;
        await new Promise<void>((resolve) => wake = resolve);
      }
    },
    write(bytes) {
      return new Promise((resolve, reject) =>
        socket.write(bytes, (error) => error ? reject(error) : resolve(bytes.length))
      );
    },
    close: () => void socket.destroy(),
  };
}
