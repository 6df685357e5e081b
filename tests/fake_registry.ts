/**
 * A registry that does what a test tells it: honest by default, with every request recorded, and one hook through
 * which an answer is replaced, delayed, cut off or falsified. It speaks HTTP itself, so that it can break its rules.
 */
import { type Digest, digestOf } from "../runtime/spec/digest.ts";
import { type Descriptor, MEDIA_TYPE, type Platform } from "../runtime/spec/image.ts";
import { gzipped, joined, tarOf } from "./fake_layer.ts";

export interface RecordedRequest {
  method: string;
  /** With its query. */
  path: string;
  /** Lower-case names. */
  headers: Record<string, string>;
  body: string;
}

export interface Reply {
  status: number;
  headers?: Record<string, string | undefined>;
  body?: Uint8Array<ArrayBuffer> | string;
  /** The connection is closed after so many bytes of the body. */
  breakAfter?: number;
  /** Neither Content-Length nor chunks: the end of the connection ends the body. */
  isUnframed?: boolean;
  /** Instead of a whole answer: these bytes, and then the end. */
  raw?: string;
  /** Sent before the answer waits. */
  prefix?: Uint8Array<ArrayBuffer>[];
  /** The answer waits for this. */
  after?: Promise<unknown>;
}

/** What a test answers instead of the registry; undefined leaves the answer to it. */
export type Hook = (request: RecordedRequest) => Reply | undefined;

export interface FakeImage {
  /** `test/app:1` lives at `HOST/test/app:1`. */
  repository: string;
  tag: string;
  manifest: { bytes: Uint8Array<ArrayBuffer>; digest: Digest };
  config: { bytes: Uint8Array<ArrayBuffer>; digest: Digest };
  layers: { bytes: Uint8Array<ArrayBuffer>; digest: Digest; diffId: Digest }[];
}

export class FakeRegistry implements AsyncDisposable {
  readonly requests: RecordedRequest[] = [];
  readonly blobs = new Map<string, Uint8Array<ArrayBuffer>>();
  readonly manifests = new Map<string, { bytes: Uint8Array<ArrayBuffer>; mediaType: string }>();
  hook: Hook = () => undefined;
  readonly #open = new Set<Deno.Conn>();
  readonly #served: Promise<void>;

  private constructor(private readonly listener: Deno.Listener, readonly scheme: "http" | "https") {
    this.#served = this.#accept();
  }

  /** @param address listens here; the port is free to choose unless given */
  static start(
    options: { cert?: string; key?: string; address?: string; port?: number } = {},
  ): FakeRegistry {
    const at = { hostname: options.address ?? "127.0.0.1", port: options.port ?? 0 };
    return options.cert === undefined || options.key === undefined
      ? new FakeRegistry(Deno.listen(at), "http")
      : new FakeRegistry(Deno.listenTls({ ...at, cert: options.cert, key: options.key }), "https");
  }

  get port(): number {
    return (this.listener.addr as Deno.NetAddr).port;
  }

  /** `127.0.0.1:PORT` */
  get host(): string {
    return `${(this.listener.addr as Deno.NetAddr).hostname}:${this.port}`;
  }

  get url(): string {
    return `${this.scheme}://${this.host}`;
  }

  /** Requests whose path contains `part`. */
  asked(part: string): RecordedRequest[] {
    return this.requests.filter((request) => request.path.includes(part));
  }

  /** Adds a gzipped image of one layer for each list of files, and returns its parts. */
  async addImage(
    name: string,
    layers: Record<string, string | Uint8Array<ArrayBuffer>>[] = [{ "hello": "hello\n" }],
    change: {
      config?: Record<string, unknown>;
      manifest?: Record<string, unknown>;
      platform?: Platform;
      diffIds?: Digest[];
    } = {},
  ): Promise<FakeImage> {
    const [repository, tag] = name.split(":") as [string, string];
    const parts: FakeImage["layers"] = [];
    for (const files of layers) {
      const tar = tarOf(files);
      const bytes = gzipped(tar);
      parts.push({ bytes, digest: await digestOf(bytes), diffId: await digestOf(tar) });
    }
    const config = encode({
      architecture: change.platform?.architecture ?? (Deno.build.arch === "aarch64" ? "arm64" : "amd64"),
      os: change.platform?.os ?? "linux",
      config: { Cmd: ["/bin/sh"] },
      rootfs: { type: "layers", diff_ids: change.diffIds ?? parts.map((part) => part.diffId) },
      ...change.config,
    });
    const manifest = encode({
      schemaVersion: 2,
      mediaType: MEDIA_TYPE.ociManifest,
      config: await this.addBlob(config, MEDIA_TYPE.ociConfig),
      layers: await Promise.all(parts.map((part) => this.addBlob(part.bytes, MEDIA_TYPE.ociLayerGzip))),
      ...change.manifest,
    });
    const digest = await this.addManifest(name, manifest, MEDIA_TYPE.ociManifest);
    return {
      repository,
      tag,
      manifest: { bytes: manifest, digest },
      config: { bytes: config, digest: await digestOf(config) },
      layers: parts,
    };
  }

  async addBlob(bytes: Uint8Array<ArrayBuffer>, mediaType: string): Promise<Descriptor> {
    const digest = await digestOf(bytes);
    this.blobs.set(digest, bytes);
    return { mediaType, digest, size: bytes.length };
  }

  /** Found by its tag and by its digest. */
  async addManifest(name: string, bytes: Uint8Array<ArrayBuffer>, mediaType: string): Promise<Digest> {
    const [repository, tag] = name.split(":") as [string, string];
    const digest = await digestOf(bytes);
    for (const reference of [tag, digest]) {
      this.manifests.set(`${repository}/${reference}`, { bytes, mediaType });
    }
    return digest;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.listener.close();
    for (const conn of this.#open) conn.close();
    await this.#served;
  }

  async #accept(): Promise<void> {
    for await (const conn of this.listener) {
      this.#open.add(conn);
      this.#serve(conn).catch(() => {}).finally(() => {
        this.#open.delete(conn);
        try {
          conn.close();
        } catch {
          // Closed by the test's end.
        }
      });
    }
  }

  async #serve(conn: Deno.Conn): Promise<void> {
    let text = "";
    const buffer = new Uint8Array(65536);
    for (;;) {
      let end = text.indexOf("\r\n\r\n");
      while (end < 0) {
        const n = await conn.read(buffer);
        if (n === null) return;
        text += new TextDecoder("latin1").decode(buffer.subarray(0, n));
        // TLS towards a plain server: answered as Go's servers do.
        if (text.startsWith("\x16")) {
          return void (await send(conn, "GET", { status: 400, raw: "HTTP/1.0 400 x\r\n\r\n" }));
        }
        end = text.indexOf("\r\n\r\n");
      }
      const [first, ...lines] = text.slice(0, end).split("\r\n");
      const [method, path] = first!.split(" ") as [string, string];
      const headers = Object.fromEntries(lines.map((line) => {
        const colon = line.indexOf(":");
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
      }));
      const length = Number(headers["content-length"] ?? 0);
      while (text.length < end + 4 + length) {
        const n = await conn.read(buffer);
        if (n === null) return;
        text += new TextDecoder("latin1").decode(buffer.subarray(0, n));
      }
      const request = { method, path, headers, body: text.slice(end + 4, end + 4 + length) };
      text = text.slice(end + 4 + length);
      this.requests.push(request);
      const reply = this.hook(request) ?? this.#answer(request);
      for (const bytes of reply.prefix ?? []) await writeAll(conn, bytes);
      await reply.after;
      if (!(await send(conn, request.method, reply))) return;
    }
  }

  #answer(request: RecordedRequest): Reply {
    const path = request.path.split("?")[0]!;
    if (path === "/v2/") return { status: 200, body: "{}" };
    const manifest = /^\/v2\/(.+)\/manifests\/([^/]+)$/.exec(path);
    const found = manifest && this.manifests.get(`${manifest[1]}/${manifest[2]}`);
    if (found) return { status: 200, headers: { "Content-Type": found.mediaType }, body: found.bytes };
    const blob = this.blobs.get(/^\/v2\/.+\/blobs\/([^/]+)$/.exec(path)?.[1] ?? "");
    if (blob === undefined) {
      return { status: 404, body: '{"errors":[{"code":"NOT_FOUND","message":"not found"}]}' };
    }
    return blobReply(blob, request.headers.range);
  }
}

/** A blob as a registry that knows ranges sends it: from an offset, or the pieces asked for, as Go's servers do. */
export function blobReply(blob: Uint8Array<ArrayBuffer>, range: string | undefined): Reply {
  const asked = /^bytes=(\d+-\d*(?:,\d+-\d+)*)$/.exec(range ?? "")?.[1]?.split(",").map((one) => {
    const [start, end] = one.split("-") as [string, string];
    return [Number(start), end === "" ? blob.length : Number(end) + 1] as const;
  });
  if (asked === undefined) return { status: 200, body: blob };
  const says = ([start, end]: readonly [number, number]) => `bytes ${start}-${end - 1}/${blob.length}`;
  if (asked.length === 1) {
    return { status: 206, headers: { "Content-Range": says(asked[0]!) }, body: blob.slice(...asked[0]!) };
  }
  const parts = asked.flatMap((one, at) => [
    encode(
      `${at === 0 ? "" : "\r\n"}--cut\r\nContent-Type: application/octet-stream\r\nContent-Range: ${
        says(one)
      }\r\n\r\n`,
    ),
    blob.slice(...one),
  ]);
  return {
    status: 206,
    headers: { "Content-Type": "multipart/byteranges; boundary=cut" },
    body: joined([...parts, encode("\r\n--cut--\r\n")]),
  };
}

export function encode(value: unknown): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));
}

/** @returns whether the connection may be used again */
async function send(conn: Deno.Conn, method: string, reply: Reply): Promise<boolean> {
  if (reply.raw !== undefined) {
    await writeAll(conn, encode(reply.raw));
    return false;
  }
  const body = typeof reply.body === "string" ? encode(reply.body) : reply.body ?? new Uint8Array();
  let head = `HTTP/1.1 ${reply.status} x\r\n`;
  const framing = reply.isUnframed ? {} : { "Content-Length": String(body.length) };
  for (const [name, value] of Object.entries({ ...framing, ...reply.headers })) {
    {
      if (value !== undefined) head += `${name}: ${value}\r\n`;
    }
  }
  await writeAll(conn, encode(head + "\r\n"));
  if (method !== "HEAD") await writeAll(conn, body.subarray(0, reply.breakAfter ?? body.length));
  return reply.breakAfter === undefined && !reply.isUnframed;
}

async function writeAll(conn: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await conn.write(bytes.subarray(done));
}
