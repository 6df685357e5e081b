/**
 * Opens the byte stream that HTTP runs over: TCP or TLS, direct or through a proxy.
 *
 * Not fetch(): it inflates what says `Content-Encoding: gzip` unasked, has no switch for a certificate nobody
 * vouches for, hides the peer's address, and moves 400 MB/s where a plain connection moves 2,400.
 */
import type { RegistryCerts } from "../config/certs.ts";
import type { Proxy } from "../config/proxy.ts";
import { RegistryError } from "../errors.ts";
import { TransientError } from "./retry.ts";
import { printable } from "../spec/printable.ts";

export interface ByteStream {
  /** Null at the end. */
  read(into: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<number>;
  close(): void;
  /** The address that answers; "" where a proxy stands between. */
  readonly peer: string;
}

export interface DialTarget {
  isTls: boolean;
  hostname: string;
  port: number;
  proxy: Proxy | null;
  /** Accept whatever certificate comes. */
  insecure: boolean;
  certs: RegistryCerts;
  systemCerts: string[];
}

/** @throws RegistryError with status 0 */
export async function dial(target: DialTarget): Promise<ByteStream> {
  try {
    return await open(target);
  } catch (error) {
    if (error instanceof RegistryError) throw error;
    throw dialError(target, error as Error);
  }
}

async function open(target: DialTarget): Promise<ByteStream> {
  const { proxy, certs } = target;
  if (!target.isTls) {
    // Plain http goes to the proxy itself, which is then asked with the whole url.
    const at = proxy ?? target;
    const conn = await Deno.connect({ hostname: at.hostname, port: at.port });
    conn.setNoDelay();
    return wrap(conn, proxy);
  }
  // Deno.startTls takes no client certificate.
  if (proxy !== null && certs.client !== undefined) return await openByNode(target);
  const options = {
    hostname: target.hostname,
    caCerts: [...certs.ca, ...target.systemCerts],
    alpnProtocols: ["http/1.1"],
  };
  try {
    if (proxy === null) {
      const conn = await Deno.connectTls({ ...options, port: target.port, ...certs.client });
      await handshake(conn);
      return wrap(conn, null);
    }
    const tunnel = await Deno.connect({ hostname: proxy.hostname, port: proxy.port });
    try {
      await connectTunnel(wrap(tunnel, proxy), target);
    } catch (error) {
      tunnel.close();
      throw error;
    }
    const conn = await Deno.startTls(tunnel, options);
    await handshake(conn);
    return wrap(conn, proxy);
  } catch (error) {
    const why = tlsFailure(error as Error);
    if (why === "untrusted" || why === "self-signed" || why === "name" || why === "expired") {
      if (target.insecure) return await openByNode(target);
      // webpki refuses a CA certificate as a server's own, also where the administrator put just this one into
      // certs.d, as Docker's manual teaches, or among the machine's: node:tls checks it as OpenSSL does.
      if (why === "self-signed" && options.caCerts.length > 0) {
        return await openByNode(target).catch(() => {
          throw error;
        });
      }
    }
    throw error;
  }
}

async function openByNode(target: DialTarget): Promise<ByteStream> {
  const { openNodeTls } = await import("./node_tls.ts");
  return await openNodeTls(target, (stream) => connectTunnel(stream, target));
}

async function handshake(conn: Deno.TlsConn): Promise<void> {
  try {
    await conn.handshake();
  } catch (error) {
    conn.close();
    throw error;
  }
}

function wrap(conn: Deno.Conn, proxy: Proxy | null): ByteStream {
  const address = conn.remoteAddr as Deno.NetAddr;
  return {
    read: (into) => conn.read(into),
    write: (bytes) => conn.write(bytes),
    close: () => {
      try {
        conn.close();
      } catch {
        // Closed before, by a timeout.
      }
    },
    peer: proxy === null ? address.hostname : "",
  };
}

/** @see RFC 9110, 9.3.6 CONNECT */
async function connectTunnel(stream: ByteStream, target: DialTarget): Promise<void> {
  const host = target.hostname.includes(":") ? `[${target.hostname}]` : target.hostname;
  const login = target.proxy?.authorization;
  const head = `CONNECT ${host}:${target.port} HTTP/1.1\r\nHost: ${host}:${target.port}\r\n` +
    (login === undefined ? "" : `Proxy-Authorization: ${login}\r\n`) + "\r\n";
  await writeAll(stream, new TextEncoder().encode(head));
  // Byte by byte to the empty line: what follows belongs to TLS.
  const one = new Uint8Array(1);
  let answer = "";
  while (!answer.endsWith("\r\n\r\n")) {
    if (answer.length > 16384 || (await stream.read(one)) !== 1) throw new Error("the proxy broke off");
    answer += String.fromCharCode(one[0]!);
  }
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(answer)?.[1] ?? 0);
  if (status < 200 || status > 299) throw new Error(`the proxy answers with status ${status}`);
}

export async function writeAll(
  stream: { write(b: Uint8Array): Promise<number> },
  bytes: Uint8Array,
): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await stream.write(bytes.subarray(done));
}

type TlsFailure = "plain" | "untrusted" | "self-signed" | "name" | "expired";

/** What rustls and node:tls say, in our words. */
const TLS_FAILURES: readonly [RegExp, TlsFailure][] = [
  [/InvalidContentType|corrupt message|WRONG_VERSION_NUMBER/i, "plain"],
  [/CaUsedAsEndEntity/i, "self-signed"],
  [
    /UnknownIssuer|SELF_SIGNED|self.signed|UNABLE_TO_VERIFY|unable to (verify|get)|BadSignature/i,
    "untrusted",
  ],
  [/NotValidForName|not valid for name|ALTNAME_INVALID|altnames/i, "name"],
  [/expired|NotValidYet|not valid yet/i, "expired"],
  [/invalid peer certificate/i, "untrusted"],
];

function tlsFailure(error: Error): TlsFailure | null {
  const text = `${error.message} ${(error as { code?: string }).code ?? ""}`;
  return TLS_FAILURES.find(([pattern]) => pattern.test(text))?.[1] ?? null;
}

/** True where the other end does not speak TLS, or nobody listens on the TLS port. */
export function mayBePlainHttp(error: unknown): boolean {
  const cause = (error as Error)?.cause;
  if (!(cause instanceof Error)) return false;
  return tlsFailure(cause) === "plain" || cause instanceof Deno.errors.ConnectionRefused ||
    cause instanceof Deno.errors.UnexpectedEof || cause instanceof Deno.errors.ConnectionReset;
}

const TLS_WORDS: Readonly<Record<TlsFailure, string>> = {
  "plain": "it answers in plain http, not https",
  "untrusted": "its certificate is signed by an authority that this machine does not trust",
  "self-signed": "its certificate is self-signed and this machine does not trust it",
  "name": "its certificate is for another name",
  "expired": "its certificate has expired or is not valid yet",
};

function dialError(target: DialTarget, cause: Error): RegistryError {
  const host = target.hostname.includes(":") ? `[${target.hostname}]` : target.hostname;
  const at = `${host}:${target.port}`;
  const tls = tlsFailure(cause);
  if (tls === "plain") {
    return new RegistryError(`connect to ${at}: ${TLS_WORDS.plain}`, 0, {
      cause,
      hint: "declare it insecure in registries.conf, or use --tls-verify=false",
    });
  }
  if (tls !== null) {
    return new RegistryError(`connect to ${at}: ${TLS_WORDS[tls]}`, 0, {
      cause,
      hint: `put its authority into /etc/containers/certs.d/${at}/ca.crt, or use --tls-verify=false`,
    });
  }
  const through = target.proxy === null ? "" : ` through proxy ${target.proxy.hostname}:${target.proxy.port}`;
  const isPassing = cause instanceof Deno.errors.UnexpectedEof ||
    cause instanceof Deno.errors.ConnectionReset;
  const Kind = isPassing ? TransientError : RegistryError;
  return new Kind(`connect to ${at}${through}: ${dialWords(cause)}`, 0, { cause });
}

function dialWords(cause: Error): string {
  if (cause instanceof Deno.errors.ConnectionRefused) return "connection refused";
  if (cause instanceof Deno.errors.TimedOut) return "no answer";
  if (/lookup address|resolve/i.test(cause.message)) return "the name does not resolve";
  if (cause instanceof Deno.errors.UnexpectedEof || cause instanceof Deno.errors.ConnectionReset) {
    return "the connection was closed";
  }
  return printable(cause.message.replace(/ \(os error \d+\)$/, "").toLowerCase(), 200);
}
