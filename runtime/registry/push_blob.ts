/**
 * Uploads one blob: not at all where the registry has it, taken over from another repository where that has it, else
 * in one stream that goes on where it broke.
 *
 * ```
 *  HEAD  blobs/DIGEST                               200: it is there
 *  POST  blobs/uploads/?mount=DIGEST&from=OTHER     201: taken over; 202: the address of an upload
 *  PATCH address         (the bytes)                202: the next address
 *    …broken: GET address                           204 and Range: so many bytes have arrived
 *  PUT   address?digest=DIGEST                      201
 * ```
 *
 * @see OCI distribution-spec, "Pushing blobs", "Mounting a blob from another repository"
 */

import { HostError, RegistryError } from "../errors.ts";
import type { Digest } from "../spec/digest.ts";
import type { RegistryClient } from "./client.ts";
import { answerError } from "./error_answer.ts";
import type { GrowingBlob } from "./growing_blob.ts";
import type { StreamedBody } from "./http1.ts";
import { RETRYABLE_STATUS, TransientError } from "./retry.ts";
import { drain, type HttpResponse } from "./transport.ts";

export interface PushedBlob {
  digest: Digest;
  size: number;
  /** The file with its bytes, or what makes it where the registry does not have the blob: it is sent as it grows. */
  path: string | (() => Promise<string | GrowingBlob>);
  /** Repositories at the same registry that may have it. */
  mountFrom: readonly string[];
}

export interface PushProgress {
  digest: Digest;
  status: "uploading" | "exists" | "mounted" | "done";
  current: number;
  total: number;
}

interface Hooks {
  signal: AbortSignal;
  progress?: (event: PushProgress) => void;
}

const PIECE_BYTES = 256 << 10;
/** Other repositories that are tried before a blob is sent. */
const MOUNT_ATTEMPTS = 3;

/** @throws UnauthorizedError, RegistryError, HostError where the file cannot be read */
export async function pushBlob(client: RegistryClient, blob: PushedBlob, hooks: Hooks): Promise<void> {
  const { digest, size } = blob;
  const tell = (status: PushProgress["status"], current: number) =>
    hooks.progress?.({ digest, status, current, total: size });
  if (await exists(client, blob, hooks.signal)) return tell("exists", size);
  let source: string | GrowingBlob | undefined;
  for (let failures = 0;;) {
    const opened = await openUpload(client, blob, hooks.signal);
    if (opened === "mounted") return tell("mounted", size);
    source ??= typeof blob.path === "string" ? blob.path : await blob.path();
    const upload = new Upload(client, blob, source, opened, hooks.signal, (sent) => tell("uploading", sent));
    const outcome = await upload.run(failures);
    if (outcome.isDone) return tell("done", size);
    // the registry has forgotten the upload: from the beginning, but not for ever
    failures = outcome.failures;
  }
}

async function exists(client: RegistryClient, { digest }: PushedBlob, signal: AbortSignal): Promise<boolean> {
  const path = `/v2/${client.options.source.path}/blobs/${digest}`;
  const response = await client.request({ method: "HEAD", path, headers: {}, signal });
  await drain(response);
  if (response.status === 200) return true;
  if (response.status === 404) return false;
  throw await answerError(action(client, digest), response);
}

/** The address to send the bytes to; the blob may be had from another repository without. */
async function openUpload(
  client: RegistryClient,
  { digest, mountFrom }: PushedBlob,
  signal: AbortSignal,
): Promise<string | "mounted"> {
  const start = `/v2/${client.options.source.path}/blobs/uploads/`;
  let opened: string | undefined;
  for (const from of mountFrom.slice(0, MOUNT_ATTEMPTS)) {
    const query = `?mount=${digest}&from=${encodeURIComponent(from)}`;
    const response = await client.request({ method: "POST", path: start + query, headers: {}, signal });
    await drain(response);
    if (response.status === 201) return "mounted";
    // 202: it is not there; what else: that repository may not be read
    if (response.status === 202) opened = locationOf(client, digest, response);
  }
  if (opened !== undefined) return opened;
  const response = await client.request({ method: "POST", path: start, headers: {}, signal });
  if (response.status !== 202) throw await answerError(action(client, digest), response);
  await drain(response);
  return locationOf(client, digest, response);
}

class Upload {
  #sent = 0;
  /** What the last answer that may pass asks for. */
  #retryAfter: string | undefined;

  constructor(
    private readonly client: RegistryClient,
    private readonly blob: PushedBlob,
    private readonly source: string | GrowingBlob,
    private address: string,
    private readonly signal: AbortSignal,
    private readonly onSent: (bytes: number) => void,
  ) {}

  /** Until the blob is there, or the registry has forgotten the upload. @param failures so many were there before */
  async run(failures: number): Promise<{ isDone: boolean; failures: number }> {
    for (;;) {
      this.#retryAfter = undefined;
      try {
        if (this.#sent < this.blob.size) await this.#patch();
        if (typeof this.source !== "string") await this.source.whole();
        await this.#finish();
        return { isDone: true, failures };
      } catch (error) {
        this.signal.throwIfAborted();
        // the connection has broken because there was nothing to send
        if (typeof this.source !== "string") this.source.check();
        const isPassing = error instanceof TransientError ||
          error instanceof RegistryError && RETRYABLE_STATUS.includes(error.status);
        const isForgotten = error instanceof RegistryError && error.status === 404;
        if (!isPassing && !isForgotten) throw error;
        const limits = { signal: this.signal, retryAfter: this.#retryAfter };
        if (!(await this.client.waitToRetry(failures++, error.message, limits))) throw error;
        if (isForgotten || !(await this.#findOffset())) return { isDone: false, failures };
      }
    }
  }

  async #patch(): Promise<void> {
    const start = this.#sent;
    const response = await this.client.request({
      method: "PATCH",
      path: this.address,
      headers: {
        "Content-Type": "application/octet-stream",
        ...(start === 0 ? {} : { "Content-Range": `${start}-${this.blob.size - 1}` }),
      },
      body: this.#bytes(start),
      signal: this.signal,
      once: true,
    });
    if (response.status !== 202) throw await this.#refused(response);
    await drain(response);
    this.#sent = this.blob.size;
    this.address = locationOf(this.client, this.blob.digest, response);
  }

  async #finish(): Promise<void> {
    const mark = this.address.includes("?") ? "&" : "?";
    const response = await this.client.request({
      method: "PUT",
      path: `${this.address}${mark}digest=${encodeURIComponent(this.blob.digest)}`,
      headers: { "Content-Type": "application/octet-stream" },
      body: new Uint8Array(),
      signal: this.signal,
      once: true,
    });
    if (response.status !== 201 && response.status !== 204) throw await this.#refused(response);
    await drain(response);
  }

  #refused(response: HttpResponse): Promise<Error> {
    this.#retryAfter = response.head.get("retry-after");
    return answerError(action(this.client, this.blob.digest), response);
  }

  /** After a broken connection: how much has arrived. False where the upload is not known any more. */
  async #findOffset(): Promise<boolean> {
    const response = await this.client.request({ path: this.address, headers: {}, signal: this.signal });
    await drain(response);
    if (response.status !== 204) return false;
    const range = /^(?:bytes=)?0-(\d{1,15})$/.exec(response.head.get("range") ?? "");
    const has = range === null ? 0 : Number(range[1]) + 1;
    // a range of `0-0` is what registries say of nothing, too; the first byte is not worth the doubt
    if (has === 1 || has > this.blob.size) return false;
    this.#sent = has;
    if (response.head.get("location") !== undefined) {
      this.address = locationOf(this.client, this.blob.digest, response);
    }
    return true;
  }

  #bytes(start: number): StreamedBody {
    const { onSent, source, blob: { size } } = this;
    const path = typeof source === "string" ? source : source.path;
    return {
      length: size - start,
      async *pieces() {
        using file = await Deno.open(path, { read: true });
        await file.seek(start, Deno.SeekMode.Start);
        const buffer = new Uint8Array(PIECE_BYTES);
        for (let at = start; at < size;) {
          const there = typeof source === "string" ? size : Math.min(size, await source.beyond(at));
          const count = await file.read(buffer.subarray(0, Math.min(buffer.length, there - at)));
          if (count === null) throw new HostError(`read ${path}: it ends ${size - at} bytes early`);
          yield buffer.subarray(0, count);
          onSent(at += count);
        }
      },
    };
  }
}

/** Where to go on: relative to where the answer came from. */
function locationOf(client: RegistryClient, digest: Digest, response: HttpResponse): string {
  const location = response.head.get("location");
  const url = location === undefined ? null : URL.parse(location, response.url);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new RegistryError(`${action(client, digest)}: it names no address for the upload`, response.status);
  }
  // behind a proxy that speaks TLS for it, a registry may think that it is reached without
  if (url.host === response.url.host) url.protocol = response.url.protocol;
  return url.href;
}

function action(client: RegistryClient, digest: Digest): string {
  return `push blob ${digest.slice(0, digest.indexOf(":") + 13)} of ${client.options.imageName}`;
}
