/**
 * One repository at one registry: its manifests and blobs.
 *
 * @see OCI distribution-spec, Pull
 */
import type { Credentials } from "../config/auth_file.ts";
import type { PullSource } from "../config/registries_conf.ts";
import { NotFoundError, RegistryError, UnauthorizedError, VerificationError } from "../errors.ts";
import { MANIFEST_ACCEPT } from "../image/manifest.ts";
import { type Digest, digestAlgorithm, digestOf, isDigest, verifyBytes } from "../spec/digest.ts";
import { type Descriptor, DOCUMENT_LIMITS } from "../spec/image.ts";
import { checkTargetUrl } from "./address.ts";
import { mayBePlainHttp } from "./dial.ts";
import { answerError } from "./error_answer.ts";
import {
  RETRY_DEFAULTS,
  RETRYABLE_STATUS,
  retryDelayMs,
  type RetryOptions,
  TransientError,
} from "./retry.ts";
import type { Method, StreamedBody } from "./http1.ts";
import { drain, type HttpResponse, readAll, senderOf, type Transport } from "./transport.ts";

export interface ClientOptions {
  transport: Transport;
  source: PullSource;
  /** What the user named, for messages: `docker.io/library/busybox:1`. */
  imageName: string;
  /** False accepts plain http and any certificate, true forbids both; undefined leaves it to registries.conf. */
  tlsVerify?: boolean;
  authFile?: string;
  /** Instead of what the auth files have. */
  credentials?: Credentials;
  credentialHelpers?: readonly string[];
  retry?: Partial<RetryOptions>;
  onRetry?: (why: string, delayMs: number) => void;
  /** What the login is for; the default is to pull. `mountFrom`: repositories that blobs are taken over from. */
  push?: { mountFrom: readonly string[] };
  /** Where the login is for no repository. */
  scope?: string;
}

export interface FetchedManifest {
  bytes: Uint8Array;
  contentType: string;
  digest: Digest;
}

export interface ApiRequest {
  method?: Method;
  /** From the root of the registry, or a whole url that the registry has named. */
  path: string;
  headers: Record<string, string>;
  body?: Uint8Array | StreamedBody;
  signal?: AbortSignal;
  /** Sent once: what has become of it must be asked first. */
  once?: boolean;
}

/** What a client was told that it will be asked, and the answer where there is one already. */
interface FirstQuestion {
  question: ApiRequest;
  /** It is on its way, or will not be. */
  sent: PromiseWithResolvers<void>;
  /** Whoever was to be told ahead now asks it, or something else. */
  wanted: PromiseWithResolvers<void>;
  /** Resolved where there is none, as where a login is wanted. */
  answer?: Promise<HttpResponse | undefined>;
}

/** A registry that never ends its list of tags is not followed for ever. */
const MAX_TAG_PAGES = 1000;

export class RegistryClient {
  readonly insecure: boolean;
  readonly retry: RetryOptions;
  #base: Promise<URL> | undefined;
  #authorization: string | undefined;
  #authenticating: Promise<void> | undefined;
  /** The address that the registry has answered from. */
  #peer = "";
  #first: FirstQuestion | undefined;

  constructor(readonly options: ClientOptions) {
    this.insecure = options.tlsVerify === undefined ? options.source.insecure : !options.tlsVerify;
    this.retry = { ...RETRY_DEFAULTS, ...options.retry };
  }

  /**
   * The bytes of a manifest or index, its digest verified.
   * @throws NotFoundError, UnauthorizedError, RegistryError, VerificationError
   */
  async getManifest(reference: string): Promise<FetchedManifest> {
    const what = `manifest of ${this.options.imageName}`;
    const response = await this.#manifestRequest(reference);
    const bytes = await readAll(what, response, DOCUMENT_LIMITS.manifestBytes);
    const claimed = response.head.get("docker-content-digest");
    let digest: Digest;
    if (isDigest(reference)) {
      await verifyBytes(what, bytes, digest = reference);
    } else {
      digest = await digestOf(bytes);
      // A header that is not about this body was made by a cache or a liar.
      if (isDigest(claimed) && (await digestOf(bytes, digestAlgorithm(claimed))) !== claimed) {
        throw new VerificationError(`verify ${what}: its digest is ${digest}, the registry says ${claimed}`);
      }
    }
    return { bytes, contentType: response.head.get("content-type") ?? "", digest };
  }

  /**
   * Connects, for who has other things to do meanwhile. Fails later, if at all.
   *
   * @param question what will be asked first, a HEAD: where its answer tells as well how to connect, that is its answer
   * @returns at once, but for a registry of this machine, which is there at once as well: when it has the question
   */
  async reach(question?: ApiRequest): Promise<void> {
    this.#first = question &&
      { question, sent: Promise.withResolvers(), wanted: Promise.withResolvers() };
    const first = this.#first;
    const found = this.#findBaseOnce().catch(() => {});
    if (first !== undefined && this.insecure && isLoopback(this.#addresses().http)) {
      await Promise.race([first.sent.promise, found]);
    }
  }

  /**
   * Asks whether the registry takes the login.
   * @throws UnauthorizedError where it does not; RegistryError
   */
  async ping(): Promise<void> {
    const response = await this.request({ path: "/v2/", headers: {} });
    if (response.status !== 200) throw await answerError(`log in at ${this.options.source.host}`, response);
    await drain(response);
  }

  /** Tags of the repository, page by page; where there are as many as `limit`, no further page is asked for. */
  async listTags(limit = Infinity): Promise<string[]> {
    const { source, imageName } = this.options;
    const what = `list tags of ${imageName.replace(/[:@][^/]*$/, "")}`;
    const tags: string[] = [];
    let path: string | undefined = `/v2/${source.path}/tags/list`;
    for (let page = 0; path !== undefined && tags.length < limit; page++) {
      if (page === MAX_TAG_PAGES) {
        throw new RegistryError(`${what}: there are more than ${page} pages of them`, 0);
      }
      const response: HttpResponse = await this.request({ path, headers: {} });
      if (response.status !== 200) throw await answerError(what, response);
      const next = nextPage(path, response.head.get("link"));
      tags.push(...readTags(what, await readAll(what, response, DOCUMENT_LIMITS.manifestBytes)));
      path = next;
    }
    return [...new Set(tags)];
  }

  /** A small blob, such as a config, in memory; size and digest verified. */
  async getBlobBytes(what: string, descriptor: Descriptor, limitBytes: number): Promise<Uint8Array> {
    if (descriptor.size > limitBytes) {
      throw new VerificationError(`read ${what}: it is larger than ${limitBytes} bytes`);
    }
    for (let attempt = 0;; attempt++) {
      try {
        const response = await this.openBlob(descriptor.digest, 0);
        const bytes = await readAll(what, response, descriptor.size);
        await verifyBytes(what, bytes, descriptor.digest, descriptor.size);
        return bytes;
      } catch (error) {
        if (!(error instanceof TransientError) || !(await this.waitToRetry(attempt, error.message))) {
          throw error;
        }
      }
    }
  }

  /** Starts a download at `offset`: status 206 from there, or 200 from the start. */
  async openBlob(digest: Digest, offset: number, signal?: AbortSignal): Promise<HttpResponse> {
    const headers: Record<string, string> = offset === 0 ? {} : { Range: `bytes=${offset}-` };
    const path = `/v2/${this.options.source.path}/blobs/${digest}`;
    const response = await this.request({ path, headers, signal });
    if (response.status === 200 || (response.status === 206 && offset > 0)) return response;
    const action = `fetch blob ${digest.slice(0, 19)}… of ${this.options.imageName}`;
    if (response.status === 404) {
      await drain(response);
      throw new RegistryError(`${action}: the registry does not have it`, 404);
    }
    throw await answerError(action, response);
  }

  async #manifestRequest(reference: string): Promise<HttpResponse> {
    const { source, imageName } = this.options;
    const path = `/v2/${source.path}/manifests/${reference}`;
    const response = await this.request({ path, headers: { Accept: MANIFEST_ACCEPT.join(", ") } });
    if (response.status === 200) return response;
    if (response.status === 404) {
      await drain(response);
      throw new NotFoundError("image", imageName, {
        message: `pull ${imageName}: ${source.host} has no such image`,
      });
    }
    throw await answerError(`pull ${imageName}`, response);
  }

  /** Asks with login, and again after failures that may pass. */
  async request(request: ApiRequest): Promise<HttpResponse> {
    this.#first?.wanted.resolve();
    if (request === this.#first?.question) {
      const first = this.#first;
      this.#first = undefined;
      await this.#findBaseOnce();
      const answer = await first.answer;
      if (answer !== undefined) return answer;
    }
    if (request.once) return await this.#requestWithLogin(request);
    for (let attempt = 0;; attempt++) {
      try {
        const response = await this.#requestWithLogin(request);
        if (!RETRYABLE_STATUS.includes(response.status)) return response;
        const after = response.head.get("retry-after");
        if (
          !(await this.waitToRetry(attempt, `status ${response.status}`, {
            retryAfter: after,
            signal: request.signal,
          }))
        ) return response;
        await drain(response);
      } catch (error) {
        const passing = error instanceof TransientError ||
          (error instanceof RegistryError && RETRYABLE_STATUS.includes(error.status));
        if (!passing || !(await this.waitToRetry(attempt, error.message, request))) throw error;
      }
    }
  }

  /** Pauses before another attempt; false when there were enough. */
  async waitToRetry(
    attempt: number,
    why: string,
    limits: { retryAfter?: string; signal?: AbortSignal } = {},
  ): Promise<boolean> {
    const delayMs = retryDelayMs(attempt, limits.retryAfter, this.retry);
    if (delayMs === null) return false;
    this.options.onRetry?.(why, delayMs);
    await this.retry.pause(delayMs, limits.signal ?? this.options.transport.options.signal);
    return true;
  }

  async #requestWithLogin(request: ApiRequest): Promise<HttpResponse> {
    const { transport } = this.options;
    const base = await this.#findBaseOnce();
    for (let logins = 0;; logins++) {
      const used = this.#authorization;
      const url = new URL(request.path, base);
      const isElsewhere = url.origin !== base.origin;
      // a place that the registry has named may be another host: no login goes there, and not every place is one
      const sender = isElsewhere ? senderOf(base, this.#peer, this.insecure) : undefined;
      if (sender !== undefined) checkTargetUrl("upload address", sender, url);
      const response = await transport.request({
        method: request.method ?? "GET",
        url,
        headers: request.headers,
        body: request.body,
        insecure: this.insecure,
        signal: request.signal,
        authorization: isElsewhere ? undefined : used,
        ...(sender === undefined ? {} : { sender, role: "upload address" }),
      });
      if (!isElsewhere) this.#peer = response.peer;
      if (response.status !== 401) return response;
      // A login is for the registry; a storage host that wants one gets none.
      if (response.url.origin !== base.origin || logins === 2) return response;
      const challenge = response.head.get("www-authenticate");
      const { peer } = response;
      if (challenge === undefined) return response;
      if (logins > 0 && used === this.#authorization && !challenge.toLowerCase().startsWith("bearer")) {
        return response;
      }
      await drain(response);
      if (used !== this.#authorization) continue; // another request logged in meanwhile
      this.#authenticating ??= this.#logIn(base, peer, challenge).finally(() =>
        this.#authenticating = undefined
      );
      await this.#authenticating;
    }
  }

  async #logIn(base: URL, peer: string, challenge: string): Promise<void> {
    const { transport, source, authFile, credentialHelpers } = this.options;
    // not every registry wants one
    const [{ findCredentials }, { parseChallenges }, { answerChallenge }] = await Promise.all([
      import("../config/auth_file.ts"),
      import("./challenge.ts"),
      import("./token.ts"),
    ]);
    const credentials = this.options.credentials ??
      await findCredentials(transport.options.sources, `${source.host}/${source.path}`, {
        authFile,
        helpers: credentialHelpers,
      });
    try {
      this.#authorization = await answerChallenge(transport, {
        challenges: parseChallenges(challenge),
        sender: senderOf(base, peer, this.insecure),
        // Our own words, not the challenge's: a registry gets no token for more than what is done here.
        scope: this.#scope(),
        credentials,
      });
    } catch (error) {
      if (!(error instanceof UnauthorizedError)) throw error;
      if (source.path === "") throw error;
      const action = this.options.push === undefined ? "pull" : "push";
      throw new UnauthorizedError(`${action} ${this.options.imageName}: ${error.message}`, error.status, {
        cause: error,
        hint: error.hint,
      });
    }
  }

  #scope(): string {
    const { source: { path }, push, scope } = this.options;
    if (scope !== undefined) return scope;
    if (path === "") return "";
    if (push === undefined) return `repository:${path}:pull`;
    return [`repository:${path}:pull,push`, ...push.mountFrom.map((other) => `repository:${other}:pull`)]
      .join(" ");
  }

  /** A failure is for who asked; another attempt asks again. */
  #findBaseOnce(): Promise<URL> {
    return this.#base ??= this.#findBase().catch((error) => {
      this.#base = undefined;
      throw error;
    });
  }

  /** https, but for a registry that is declared insecure and does not speak it. */
  async #findBase(): Promise<URL> {
    const { https, http } = this.#addresses();
    const first = this.#first;
    if (!this.insecure) {
      if (first !== undefined) {
        // how it fails is for who asks it
        (first.answer = this.#askFirst(https, first).then(({ answer }) => answer)).catch(() => {});
      }
      return https;
    }
    // nobody listens in there, and the first word in TLS costs 50 ms
    if (isLoopback(http)) {
      const asked = first && await this.#askFirst(http, first).catch(() => undefined);
      if (asked?.isRegistry) {
        first!.answer = Promise.resolve(asked.answer);
        return http;
      }
      if (await this.#ping(http).then(isRegistry, () => false)) return http;
    }
    try {
      await this.#ping(https);
      return https;
    } catch (error) {
      if (mayBePlainHttp(error)) return http;
      throw error;
    }
  }

  async #ping(base: URL): Promise<HttpResponse> {
    const url = new URL("/v2/", base);
    const response = await this.options.transport.request({ method: "GET", url, insecure: true });
    await drain(response);
    return response;
  }

  /** Asks without a login: who wants one is asked again with it. */
  async #askFirst(
    base: URL,
    { question: { path, headers }, sent, wanted }: FirstQuestion,
  ): Promise<{ answer?: HttpResponse; isRegistry: boolean }> {
    const url = new URL(path, base);
    const { insecure } = this;
    const response = await this.options.transport.request({
      ...{ method: "HEAD", url, headers, insecure },
      onSent: sent.resolve,
      wanted: wanted.promise,
    });
    await drain(response);
    return {
      answer: response.status === 401 ? undefined : response,
      isRegistry: isRegistry(response) || saysItHasNone(response),
    };
  }

  #addresses(): { https: URL; http: URL } {
    const { source } = this.options;
    const host = source.host === "docker.io" ? "registry-1.docker.io" : source.host;
    return { https: new URL(`https://${host}`), http: new URL(`http://${host}`) };
  }
}

/** Of a port of its own on this machine: at 80 there may be what is another thing than the registry at 443. */
function isLoopback({ hostname, port }: URL): boolean {
  return port !== "" && /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname);
}

/** A server that speaks TLS answers plain words with status 400. @see distribution-spec, "Determining Support" */
function isRegistry({ status, url }: HttpResponse): boolean {
  return (status === 200 || status === 401) && url.protocol === "http:";
}

/** Any server has things that it does not have; a registry says what it is with it. */
function saysItHasNone({ status, head, url }: HttpResponse): boolean {
  return status === 404 && url.protocol === "http:" &&
    head.get("docker-distribution-api-version") !== undefined;
}

/** @see distribution-spec, listing tags; RFC 5988 */
export function nextPage(path: string, link: string | undefined): string | undefined {
  const target = /^\s*<([^<>]+)>\s*;\s*rel="?next"?/.exec(link ?? "")?.[1];
  if (target === undefined) return undefined;
  // its own words say where to look for more; the host stays the one that was asked
  const url = URL.parse(target, `https://registry.invalid${path}`);
  return url === null || !url.pathname.startsWith("/v2/") ? undefined : url.pathname + url.search;
}

/** @throws VerificationError for an answer that is no list of tags */
function readTags(what: string, bytes: Uint8Array): string[] {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    json = undefined;
  }
  const tags = (json as { tags?: unknown } | null | undefined)?.tags ?? [];
  if (json === undefined || !Array.isArray(tags) || !tags.every((tag) => typeof tag === "string")) {
    throw new VerificationError(`${what}: the answer is no list of tags`);
  }
  return tags;
}
