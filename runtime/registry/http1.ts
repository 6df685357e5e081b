/**
 * HTTP/1.1 on one connection: write a request, read the head of the answer, stream its body as it is.
 * Everything a server can send is bounded here.
 *
 * @see RFC 9112
 */
import type { ByteStream } from "./dial.ts";
import { writeAll } from "./dial.ts";

export type Method = "GET" | "HEAD" | "POST" | "PUT" | "PATCH";

/** A body that is not in memory; read anew each time it is sent. */
export interface StreamedBody {
  length: number;
  pieces(): AsyncIterable<Uint8Array>;
}

export interface RequestHead {
  method: Method;
  /** `/v2/…`, or the whole url towards a proxy. */
  target: string;
  host: string;
  headers: Record<string, string>;
  body?: Uint8Array | StreamedBody;
}

/** The other end broke HTTP's rules. */
export class HttpFormatError extends Error {
  override name = "HttpFormatError";
}

/** The connection ended where more was promised. */
export class BrokenConnectionError extends Error {
  override name = "BrokenConnectionError";
}

const HEAD_LIMIT_BYTES = 64 << 10;
const HEADER_COUNT_LIMIT = 256;
const BUFFER_BYTES = 64 << 10;

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

export class ResponseHead {
  constructor(readonly status: number, readonly minor: number, readonly headers: Map<string, string[]>) {}

  /** Several of the same name are joined, as RFC 9110 has it. */
  get(name: string): string | undefined {
    return this.headers.get(name)?.join(", ");
  }

  getAll(name: string): string[] {
    return this.headers.get(name) ?? [];
  }
}

/** How a body ends. */
type Framing = { kind: "length"; left: number } | { kind: "chunked"; left: number; first: boolean } | {
  kind: "eof";
};

export class HttpConnection {
  #buffer = new Uint8Array(BUFFER_BYTES);
  #start = 0;
  #end = 0;
  #framing: Framing = { kind: "length", left: 0 };
  #keepAlive = true;
  /** True as soon as a byte of an answer came: then a failed request is not sent again unasked. */
  answered = false;

  constructor(readonly stream: ByteStream) {}

  /** @param onPiece a piece of the body is on its way */
  async send(request: RequestHead, onPiece: () => void = () => {}): Promise<void> {
    let head = `${request.method} ${request.target} HTTP/1.1\r\nHost: ${request.host}\r\n`;
    const body = request.body;
    const headers = body === undefined
      ? request.headers
      : { ...request.headers, "Content-Length": `${body.length}` };
    for (const [name, value] of Object.entries(headers)) {
      if (!TOKEN.test(name) || !isFieldValue(value)) {
        throw new HttpFormatError(`the header ${name} is malformed`);
      }
      head += `${name}: ${value}\r\n`;
    }
    this.answered = false;
    const bytes = new TextEncoder().encode(head + "\r\n");
    if (body instanceof Uint8Array) {
      // in one piece: the second of two small ones may wait 40 ms for the other end to acknowledge the first
      const whole = new Uint8Array(bytes.length + body.length);
      whole.set(bytes);
      whole.set(body, bytes.length);
      return await writeAll(this.stream, whole);
    }
    await writeAll(this.stream, bytes);
    if (body !== undefined) {
      for await (const piece of body.pieces()) {
        await writeAll(this.stream, piece);
        onPiece();
      }
    }
  }

  async readHead(method: string): Promise<ResponseHead> {
    for (let informational = 0; informational < 8; informational++) {
      const head = parseHead(await this.#headText());
      if (head.status >= 100 && head.status < 200) continue;
      this.#framing = framingOf(head, method);
      const connection = (head.get("connection") ?? "").toLowerCase();
      this.#keepAlive = this.#framing.kind !== "eof" && head.minor === 1 && !connection.includes("close");
      return head;
    }
    throw new HttpFormatError("it sends interim answers without end");
  }

  /** The length the head promised, undefined where the end shows it. */
  get promisedLength(): number | undefined {
    return this.#framing.kind === "length" ? this.#framing.left : undefined;
  }

  /** Some bytes of the body, null at its end. @throws BrokenConnectionError */
  async readBody(into: Uint8Array): Promise<number | null> {
    const framing = this.#framing;
    if (framing.kind === "eof") return await this.#take(into);
    if (framing.kind === "chunked" && framing.left === 0 && !(await this.#nextChunk(framing))) return null;
    if (framing.left === 0) return null;
    const n = await this.#take(into.subarray(0, Math.min(into.length, framing.left)));
    if (n === null) throw new BrokenConnectionError(`the connection ended ${framing.left} bytes early`);
    framing.left -= n;
    return n;
  }

  /** True when the body was read to its end and the server keeps the connection. */
  get isReusable(): boolean {
    const framing = this.#framing;
    return this.#keepAlive && framing.kind === "length" && framing.left === 0 && this.#start === this.#end;
  }

  async #take(into: Uint8Array): Promise<number | null> {
    if (this.#start < this.#end) {
      const n = Math.min(into.length, this.#end - this.#start);
      into.set(this.#buffer.subarray(this.#start, this.#start + n));
      this.#start += n;
      return n;
    }
    return await this.stream.read(into);
  }

  async #nextChunk(framing: { left: number; first: boolean }): Promise<boolean> {
    if (!framing.first && (await this.#line(2)) !== "") {
      throw new HttpFormatError("a chunk does not end where it said");
    }
    framing.first = false;
    const size = /^([0-9a-fA-F]{1,12})[ \t]*(?:;.*)?$/.exec(await this.#line(4096))?.[1];
    if (size === undefined) throw new HttpFormatError("the size of a chunk is malformed");
    framing.left = parseInt(size, 16);
    if (framing.left > 0) return true;
    for (let trailer = 0; (await this.#line(8192)) !== ""; trailer++) {
      if (trailer > HEADER_COUNT_LIMIT) throw new HttpFormatError("it has too many trailers");
    }
    this.#framing = { kind: "length", left: 0 };
    return false;
  }

  async #fill(): Promise<void> {
    if (this.#start === this.#end) this.#start = this.#end = 0;
    else if (this.#end === this.#buffer.length) {
      this.#buffer.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
    const n = await this.stream.read(this.#buffer.subarray(this.#end));
    if (n === null || n === 0) throw new BrokenConnectionError("the connection was closed");
    this.answered = true;
    this.#end += n;
  }

  async #line(limit: number): Promise<string> {
    for (let from = this.#start;;) {
      const newline = this.#buffer.subarray(0, this.#end).indexOf(0x0a, from);
      if (newline >= 0) {
        const line = latin1(this.#buffer.subarray(this.#start, newline));
        this.#start = newline + 1;
        return line.endsWith("\r") ? line.slice(0, -1) : line;
      }
      if (this.#end - this.#start > limit) throw new HttpFormatError("a line of its answer is too long");
      const before = this.#end - this.#start;
      await this.#fill();
      from = this.#start + before;
    }
  }

  async #headText(): Promise<string[]> {
    const lines: string[] = [];
    let bytes = 0;
    for (;;) {
      const line = await this.#line(BUFFER_BYTES - 1);
      bytes += line.length;
      if (bytes > HEAD_LIMIT_BYTES || lines.length > HEADER_COUNT_LIMIT) {
        throw new HttpFormatError("the head of its answer is too large");
      }
      if (line !== "") lines.push(line);
      else if (lines.length > 0) return lines;
    }
  }
}

/** Pure, for the property tests. */
export function parseHead(lines: string[]): ResponseHead {
  const status = /^HTTP\/1\.([01]) ([1-9]\d{2})(?: .*)?$/.exec(lines[0] ?? "");
  if (status === null) throw new HttpFormatError("it does not answer in HTTP/1.1");
  const headers = new Map<string, string[]>();
  for (const line of lines.slice(1)) {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon).toLowerCase();
    if (colon < 1 || !TOKEN.test(name)) throw new HttpFormatError("a header of its answer is malformed");
    const value = line.slice(colon + 1).trim();
    const list = headers.get(name);
    if (list === undefined) headers.set(name, [value]);
    else list.push(value);
  }
  return new ResponseHead(Number(status[2]), Number(status[1]), headers);
}

function framingOf(head: ResponseHead, method: string): Framing {
  if (method === "HEAD" || head.status === 204 || head.status === 304) return { kind: "length", left: 0 };
  const coding = head.get("transfer-encoding");
  const lengths = new Set(head.getAll("content-length"));
  if (coding !== undefined) {
    // Both headers at once is how answers are smuggled (RFC 9112, 6.3).
    if (coding.toLowerCase() !== "chunked" || lengths.size > 0) {
      throw new HttpFormatError("its framing is ambiguous");
    }
    return { kind: "chunked", left: 0, first: true };
  }
  if (lengths.size === 0) return { kind: "eof" };
  const length = [...lengths][0]!;
  if (lengths.size > 1 || !/^\d{1,15}$/.test(length)) {
    throw new HttpFormatError("its Content-Length is malformed");
  }
  return { kind: "length", left: Number(length) };
}

function isFieldValue(value: string): boolean {
  for (let i = 0; i < value.length; i++) {
    const c = value.charCodeAt(i);
    if ((c < 0x20 && c !== 0x09) || c === 0x7f || c > 0xff) return false;
  }
  return true;
}

function latin1(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += 4096) text += String.fromCharCode(...bytes.subarray(i, i + 4096));
  return text;
}
