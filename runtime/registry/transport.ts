/**
 * HTTP requests with everything a registry needs: kept connections, proxies, certificates, time limits, and
 * redirects that lose the login when they leave the place it was for.
 */
import { loadRegistryCerts, loadSystemCerts, type RegistryCerts } from "../config/certs.ts";
import { type Proxy, proxyFor } from "../config/proxy.ts";
import type { ConfigSources } from "../config/sources.ts";
import { RegistryError } from "../errors.ts";
import { checkTargetPeer, checkTargetUrl, classifyAddress, type Sender, shownUrl } from "./address.ts";
import { dial } from "./dial.ts";
import {
  BrokenConnectionError,
  HttpConnection,
  HttpFormatError,
  type Method,
  type RequestHead,
  type ResponseHead,
  type StreamedBody,
} from "./http1.ts";
import { openLoopback } from "./loopback_stream.ts";
import { TransientError } from "./retry.ts";
import { Watchdog, withLimit } from "./watchdog.ts";

export interface TransportOptions {
  sources: ConfigSources;
  signal?: AbortSignal;
  /** Certificates are there, whatever certs.d has for a registry. */
  certDir?: string;
  userAgent?: string;
  connectTimeoutMs?: number;
  /** From the request to the head of the answer, and between two pieces of a body. */
  idleTimeoutMs?: number;
}

export interface HttpRequest {
  method: Method;
  url: URL;
  headers?: Record<string, string>;
  /** Goes to `url`'s origin only. */
  authorization?: string;
  body?: Uint8Array | StreamedBody;
  insecure: boolean;
  /** Who named this url: absent for the registry's own. */
  sender?: Sender;
  role?: string;
  /** Instead of the transport's own. */
  signal?: AbortSignal;
  /** It has left; called again for each redirect. */
  onSent?: () => void;
  /** The answer is not read before: who asks ahead has other things to do. */
  wanted?: Promise<void>;
}

export interface HttpResponse {
  status: number;
  head: ResponseHead;
  /** Where the answer came from, after redirects. */
  url: URL;
  /** The address that answered, "" behind a proxy. */
  peer: string;
  /** Bytes the server promised, where it did. */
  length?: number;
  /** Fills `into`, null at the end. @throws RegistryError (status 0) when the connection breaks */
  read(into: Uint8Array): Promise<number | null>;
  /** Gives the connection back, or closes it. Must be called, may be called twice. */
  release(): void;
}

const MAX_REDIRECTS = 5;
const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];

interface Kept {
  http: HttpConnection;
  peer: string;
}

/** One for each pull; `close` ends its connections. */
export class Transport {
  readonly #idle = new Map<string, Kept[]>();
  /** With answers that nobody wants yet. */
  readonly #ahead = new Set<HttpConnection>();
  readonly #certs = new Map<string, Promise<RegistryCerts>>();
  #systemCerts: Promise<string[]> | undefined;

  constructor(readonly options: TransportOptions) {}

  /** Sends a request, follows redirects of GET and HEAD, returns the first answer that is none. */
  async request(request: HttpRequest): Promise<HttpResponse> {
    let { url, authorization, sender, role } = request;
    for (let redirects = 0;; redirects++) {
      const response = await this.#exchange({ ...request, url, authorization, sender, role });
      const location = response.head.get("location");
      if (
        !REDIRECTS.includes(response.status) || location === undefined || !/^(GET|HEAD)$/.test(request.method)
      ) {
        return response;
      }
      await drain(response);
      if (redirects === MAX_REDIRECTS) {
        throw new RegistryError(`follow redirect of ${url.host}: there are more than ${MAX_REDIRECTS}`, 0);
      }
      const next = URL.parse(location, url);
      if (next === null) {
        throw new RegistryError(`follow redirect of ${url.host}: the target is malformed`, 0);
      }
      const from = senderOf(url, response.peer, request.insecure);
      if (next.origin !== url.origin) {
        // The login was for the place that was asked: scheme, host and port.
        authorization = undefined;
        [sender, role] = [from, "redirect"];
      }
      checkTargetUrl("redirect", from, next);
      url = next;
    }
  }

  close(): void {
    for (const list of this.#idle.values()) for (const kept of list) kept.http.stream.close();
    for (const http of this.#ahead) http.stream.close();
    this.#idle.clear();
  }

  async #exchange(request: HttpRequest): Promise<HttpResponse> {
    const signal = request.signal ?? this.options.signal;
    const isTls = request.url.protocol === "https:";
    const proxy = proxyFor(this.options.sources.env, request.url);
    const key = `${request.url.origin} ${request.insecure}`;
    const head: RequestHead = {
      method: request.method,
      target: !isTls && proxy !== null ? bareUrl(request.url) : request.url.pathname + request.url.search,
      host: request.url.host,
      headers: {
        "User-Agent": this.options.userAgent ?? "skiff",
        "Accept-Encoding": "identity",
        ...request.headers,
        ...(request.authorization === undefined ? {} : { Authorization: request.authorization }),
        ...(!isTls && proxy?.authorization !== undefined
          ? { "Proxy-Authorization": proxy.authorization }
          : {}),
      },
      body: request.body,
    };
    for (;;) {
      signal?.throwIfAborted();
      const kept = this.#idle.get(key)?.pop();
      const mayBeOwn = kept === undefined && request.wanted !== undefined && !isTls && proxy === null;
      const own = mayBeOwn ? openOwn(request.url) : undefined;
      const { http, peer } = kept ?? own ??
        await this.#open(request.url, isTls, proxy, request.insecure, signal);
      const idleMs = this.options.idleTimeoutMs ?? 60_000;
      const watchdog = new Watchdog(idleMs, () => http.stream.close());
      const onAbort = () => http.stream.close();
      signal?.addEventListener("abort", onAbort, { once: true });
      let isOpen = true;
      const finish = (reusable: boolean) => {
        if (!isOpen) return;
        isOpen = false;
        watchdog.stop();
        signal?.removeEventListener("abort", onAbort);
        // what comes in bulk comes quicker by the runtime's
        if (reusable && own === undefined) this.#keep(key, { http, peer });
        else http.stream.close();
      };
      const explain = (error: unknown): unknown => {
        if (signal?.aborted) return signal.reason;
        if (error instanceof RegistryError) return error;
        const at = `${request.method} ${shownUrl(request.url)}`;
        if (watchdog.expired) {
          return new TransientError(`${at}: nothing came for ${Math.round(idleMs / 1000)} s`, 0, {
            cause: error,
          });
        }
        if (error instanceof HttpFormatError) {
          return new RegistryError(`${at}: ${error.message}`, 0, { cause: error });
        }
        const why = error instanceof BrokenConnectionError ? error.message : "the connection broke";
        return new TransientError(`${at}: ${why}`, 0, { cause: error });
      };
      try {
        if (request.sender !== undefined) {
          checkTargetPeer(request.role ?? "redirect", request.sender, request.url, peer);
        }
        watchdog.start();
        await http.send(head, () => watchdog.touch());
        request.onSent?.();
        if (request.wanted !== undefined) {
          // as long as nobody waits for it, it may take its time
          watchdog.stop();
          this.#ahead.add(http);
          await request.wanted;
          this.#ahead.delete(http);
          watchdog.start();
        }
        const answer = await http.readHead(request.method);
        return {
          status: answer.status,
          head: answer,
          url: request.url,
          peer,
          length: http.promisedLength,
          async read(into) {
            try {
              watchdog.touch();
              const n = await http.readBody(into);
              if (n === null) finish(http.isReusable);
              return n;
            } catch (error) {
              finish(false);
              throw explain(error);
            }
          },
          release: () => finish(http.isReusable),
        };
      } catch (error) {
        finish(false);
        // A kept connection that the server closed meanwhile says nothing about the server. How much of a streamed body
        // has arrived there nobody knows.
        const maySendAgain = request.body === undefined || request.body instanceof Uint8Array;
        if (kept !== undefined && maySendAgain && !http.answered && !watchdog.expired && !signal?.aborted) {
          continue;
        }
        throw explain(error);
      }
    }
  }

  #keep(key: string, kept: Kept): void {
    const list = this.#idle.get(key);
    if (list === undefined) this.#idle.set(key, [kept]);
    else list.push(kept);
  }

  async #open(
    url: URL,
    isTls: boolean,
    proxy: Proxy | null,
    insecure: boolean,
    signal: AbortSignal | undefined,
  ): Promise<Kept> {
    const hostname = url.hostname.replace(/^\[|\]$/g, "");
    const port = Number(url.port || (isTls ? 443 : 80));
    const none: RegistryCerts = { ca: [] };
    const target = {
      isTls,
      hostname,
      port,
      proxy,
      insecure,
      certs: isTls ? await this.#certsOf(url.host) : none,
      systemCerts: isTls ? await (this.#systemCerts ??= loadSystemCerts(this.options.sources)) : [],
    };
    const stream = await withLimit(dial(target), {
      ms: this.options.connectTimeoutMs ?? 30_000,
      signal,
      onTimeout: () => new TransientError(`connect to ${url.host}: no answer`, 0),
      discard: (late) => late.close(),
    });
    return { http: new HttpConnection(stream), peer: stream.peer };
  }

  #certsOf(host: string): Promise<RegistryCerts> {
    let certs = this.#certs.get(host);
    if (certs === undefined) {
      const { sources, certDir } = this.options;
      this.#certs.set(host, certs = loadRegistryCerts(sources, host, certDir));
    }
    return certs;
  }
}

function openOwn(url: URL): Kept | undefined {
  const stream = openLoopback(url);
  return stream && { http: new HttpConnection(stream), peer: stream.peer };
}

/** @param insecure whether the place at `url` was declared insecure */
export function senderOf(url: URL, peer: string, insecure: boolean): Sender {
  const addressClass = classifyAddress(peer);
  return { host: url.host, isPlain: url.protocol === "http:", insecure, addressClass };
}

function bareUrl(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}${url.search}`;
}

/** Reads a short body to its end, so that the connection can be kept; closes it over a long one. */
export async function drain(response: HttpResponse): Promise<void> {
  const scratch = new Uint8Array(8192);
  try {
    if ((response.length ?? 0) <= scratch.length * 2) {
      for (let pieces = 0; pieces < 4 && (await response.read(scratch)) !== null;) pieces++;
    }
  } catch {
    // What is thrown away may as well be broken.
  }
  response.release();
}

/**
 * The whole body of a small answer.
 * @throws RegistryError when it is larger than `limitBytes` or drips in for longer than `limitMs`
 */
export async function readAll(
  what: string,
  response: HttpResponse,
  limitBytes: number,
  limitMs = 120_000,
): Promise<Uint8Array> {
  const tooLarge = () =>
    new RegistryError(`read ${what}: it is larger than ${limitBytes} bytes`, response.status);
  try {
    if ((response.length ?? 0) > limitBytes) throw tooLarge();
    const deadline = performance.now() + limitMs;
    let bytes = new Uint8Array(Math.min(response.length ?? 16384, limitBytes) + 1);
    for (let size = 0;;) {
      const n = await response.read(bytes.subarray(size));
      if (n === null) return bytes.slice(0, size);
      size += n;
      if (size > limitBytes) throw tooLarge();
      if (performance.now() > deadline) {
        throw new RegistryError(`read ${what}: it comes too slowly`, response.status);
      }
      if (size === bytes.length) {
        const larger = new Uint8Array(Math.min(bytes.length * 2, limitBytes + 1));
        larger.set(bytes);
        bytes = larger;
      }
    }
  } finally {
    response.release();
  }
}
