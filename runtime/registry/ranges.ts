/**
 * Fetches pieces of a blob: many in one request where the registry answers with multipart/byteranges, else one each.
 * A connection that breaks is taken up where it broke.
 *
 * @see RFC 9110, 14 Range Requests, 14.6 multipart/byteranges
 */
import { RegistryError, UnsupportedError } from "../errors.ts";
import type { Digest } from "../spec/digest.ts";
import { byteString } from "../archive/byte_string.ts";
import type { RegistryClient } from "./client.ts";
import { answerError } from "./error_answer.ts";
import { TransientError } from "./retry.ts";
import type { HttpResponse } from "./transport.ts";

/** `end` is behind the last byte. */
export interface ByteRange {
  start: number;
  end: number;
}

export interface RangeFetch {
  digest: Digest;
  /** Of the whole blob. */
  size: number;
  /** Ascending, not empty, without overlap. */
  ranges: readonly ByteRange[];
  /** The bytes of all ranges in their order; each piece is valid until this is done. */
  onBytes: (bytes: Uint8Array<ArrayBuffer>) => void | Promise<void>;
  onRetry?: (why: string) => void;
  signal?: AbortSignal;
}

/** The registry sends blobs whole only. */
export class RangesUnsupported extends UnsupportedError {}

/** A header of so many ranges stays below what servers take (8 KiB). */
const RANGES_A_REQUEST = 200;
/** So much progress makes earlier failures forgotten. */
const PROGRESS_BYTES = 1 << 20;
const BUFFER_BYTES = 256 << 10;
/** The head of a part, with the boundary before it. */
const PART_HEAD_LIMIT = 2048;

/** Registries that answered a request for several ranges with something else. */
const oneAtATime = new WeakSet<RegistryClient>();

/**
 * @throws RangesUnsupported; RegistryError, also where the registry sends other ranges than asked for; TransientError
 * after the last retry. What the bytes are is the caller's to verify.
 */
export async function fetchRanges(client: RegistryClient, fetch: RangeFetch): Promise<void> {
  const left = fetch.ranges.map(({ start, end }) => ({ start, end }));
  let sinceFailure = 0;
  const take = async (bytes: Uint8Array<ArrayBuffer>) => {
    await fetch.onBytes(bytes);
    const first = left[0]!;
    first.start += bytes.length;
    sinceFailure += bytes.length;
    if (first.start === first.end) left.shift();
  };
  for (let failures = 0; left.length > 0;) {
    const asked = left.slice(0, oneAtATime.has(client) ? 1 : RANGES_A_REQUEST).map((range) => ({ ...range }));
    sinceFailure = 0;
    try {
      await receive(await openRanges(client, fetch, asked), client, fetch, asked, take);
    } catch (error) {
      if (!(error instanceof TransientError)) throw error;
      if (sinceFailure >= PROGRESS_BYTES) failures = 0;
      if (!(await client.waitToRetry(failures++, error.message, fetch))) throw error;
      fetch.onRetry?.(error.message);
    }
  }
}

/** One piece, in memory. */
export async function fetchRange(
  client: RegistryClient,
  blob: Pick<RangeFetch, "digest" | "size" | "signal">,
  range: ByteRange,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(range.end - range.start);
  let at = 0;
  await fetchRanges(client, {
    ...blob,
    ranges: [range],
    onBytes(piece) {
      bytes.set(piece, at);
      at += piece.length;
    },
  });
  return bytes;
}

async function openRanges(
  client: RegistryClient,
  fetch: RangeFetch,
  asked: readonly ByteRange[],
): Promise<HttpResponse> {
  const { source, imageName } = client.options;
  const response = await client.request({
    path: `/v2/${source.path}/blobs/${fetch.digest}`,
    headers: { Range: `bytes=${asked.map(({ start, end }) => `${start}-${end - 1}`).join(",")}` },
    signal: fetch.signal,
  });
  if (response.status === 206 || response.status === 200) return response;
  throw await answerError(`fetch part of blob ${short(fetch.digest)} of ${imageName}`, response);
}

async function receive(
  response: HttpResponse,
  client: RegistryClient,
  fetch: RangeFetch,
  asked: readonly ByteRange[],
  take: (bytes: Uint8Array<ArrayBuffer>) => Promise<void>,
): Promise<void> {
  try {
    const body = new BodyReader(response, fetch.digest);
    const boundary = multipartBoundary(response);
    if (response.status === 206 && boundary !== undefined) {
      for (const range of asked) {
        const sent = contentRange(await body.partHead(boundary));
        if (!isSame(sent, range, fetch.size)) throw otherRange(fetch);
        await body.pass(range.end - range.start, take);
      }
      await body.expectEnd(boundary, fetch);
      return;
    }
    if (response.status === 206) {
      const sent = contentRange(response.head.get("content-range"));
      const first = asked[0]!;
      if (isSame(sent, first, fetch.size)) {
        const length = first.end - first.start;
        if (response.length !== undefined && response.length !== length) throw otherRange(fetch);
        await body.pass(length, take);
        await body.expectEnd(undefined, fetch);
        return;
      }
      if (asked.length === 1) throw otherRange(fetch);
    }
    // several at once are too many for some (S3 sends all of the blob), or come as one that covers all
    if (asked.length === 1) {
      throw new RangesUnsupported(
        `fetch part of blob ${short(fetch.digest)}: the registry sends it whole only`,
      );
    }
    oneAtATime.add(client);
  } finally {
    response.release();
  }
}

function multipartBoundary(response: HttpResponse): string | undefined {
  const type = response.head.get("content-type") ?? "";
  const found = /^multipart\/byteranges\s*;.*?boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))/i.exec(type);
  return found?.[1] ?? found?.[2];
}

function contentRange(text: string | undefined) {
  const found = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/.exec(text ?? "");
  return found === null ? undefined : {
    start: Number(found[1]),
    end: Number(found[2]) + 1,
    size: found[3] === "*" ? undefined : Number(found[3]),
  };
}

function isSame(sent: ReturnType<typeof contentRange>, asked: ByteRange, size: number): boolean {
  return sent !== undefined && sent.start === asked.start && sent.end === asked.end &&
    (sent.size === undefined || sent.size === size);
}

function otherRange({ digest }: RangeFetch): RegistryError {
  return new RegistryError(
    `fetch part of blob ${short(digest)}: the registry sends another range than asked for`,
    206,
  );
}

function short(digest: Digest): string {
  return digest.slice(0, digest.indexOf(":") + 13);
}

/** The body of an answer, buffered. */
class BodyReader {
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  #at = 0;
  #end = 0;

  constructor(private readonly response: HttpResponse, private readonly digest: Digest) {}

  /** Passes on exactly so many bytes. @throws TransientError where the body ends before */
  async pass(length: number, take: (bytes: Uint8Array<ArrayBuffer>) => Promise<void>): Promise<void> {
    while (length > 0) {
      if (this.#at === this.#end && !(await this.#fill())) throw this.#tooEarly();
      const n = Math.min(length, this.#end - this.#at);
      await take(this.#buffer.subarray(this.#at, this.#at + n));
      this.#at += n;
      length -= n;
    }
  }

  /** The Content-Range of the next part, whose data follows. */
  async partHead(boundary: string): Promise<string | undefined> {
    const head = await this.#until(`\r\n\r\n`);
    const [first, ...fields] = head.replace(/^\r\n/, "").split("\r\n");
    if (first !== `--${boundary}`) {
      throw new RegistryError(this.#what("a part of the answer is malformed"), 206);
    }
    return fields.find((field) => /^content-range:/i.test(field))?.replace(/^[^:]*:\s*/, "");
  }

  async expectEnd(boundary: string | undefined, fetch: RangeFetch): Promise<void> {
    if (
      boundary !== undefined &&
      !(await this.#until("--\r\n", `\r\n--${boundary}--`)).endsWith(`--${boundary}`)
    ) {
      throw otherRange(fetch);
    }
    if (this.#at < this.#end || await this.#fill()) throw otherRange(fetch);
  }

  /** Text up to `mark`, which is taken away too; where the body ends with `last`, that is as good. */
  async #until(mark: string, last?: string): Promise<string> {
    let text = "";
    while (!text.endsWith(mark)) {
      if (this.#at === this.#end && !(await this.#fill())) {
        if (last !== undefined && text.endsWith(last)) return text.slice(0, -2);
        throw this.#tooEarly();
      }
      text += byteString(this.#buffer, this.#at, ++this.#at);
      if (text.length > PART_HEAD_LIMIT) {
        throw new RegistryError(this.#what("a part of the answer is malformed"), 206);
      }
    }
    return text.slice(0, -mark.length);
  }

  async #fill(): Promise<boolean> {
    const n = await this.response.read(this.#buffer);
    this.#at = 0;
    this.#end = n ?? 0;
    return n !== null;
  }

  #tooEarly(): TransientError {
    return new TransientError(this.#what("the answer ended early"), 0);
  }

  #what(why: string): string {
    return `fetch part of blob ${short(this.digest)}: ${why}`;
  }
}
