/** eStargz and zstd:chunked layers made on the spot, as stargz-snapshotter and containers/storage make them. */
import { createHash } from "node:crypto";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { bytesOf } from "../runtime/archive/byte_string.ts";
import { type TarMember, TarWriter } from "../runtime/archive/tar/writer.ts";
import { ESTARGZ_TOC_DIGEST, ESTARGZ_TOC_NAME, estargzFooter } from "../runtime/archive/toc/estargz.ts";
import { ZSTD_CHUNKED, ZSTD_CHUNKED_MAGIC } from "../runtime/archive/toc/zstd_chunked.ts";
import type { Digest } from "../runtime/spec/digest.ts";
import { type Descriptor, MEDIA_TYPE } from "../runtime/spec/image.ts";
import { joined } from "./fake_layer.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export type LayerMember = Omit<TarMember, "size"> & { data?: Bytes };

/** An entry of the table as it is written, so that a test can falsify it. */
export type TocFields = Record<string, unknown> & { name: string; type: string };

export interface TocLayer {
  blob: Bytes;
  diffId: Digest;
  descriptor: Descriptor;
  entries: TocFields[];
}

export interface TocLayerOptions {
  /** Data is cut into pieces of so many bytes. */
  chunkSize?: number;
  /** Of eStargz: these members come before the landmark. */
  prefetch?: readonly string[];
  /** Of eStargz: a member of gzip is at least so large, so that small files share one. */
  minMemberSize?: number;
  /** Changes the table before it is written; its digest is then right. */
  falsify?: (entries: TocFields[]) => TocFields[];
}

const TYPES = {
  directory: "dir",
  file: "reg",
  symlink: "symlink",
  hardlink: "hardlink",
  char: "char",
  block: "block",
  fifo: "fifo",
};

/** A gzipped layer with a table of contents. */
export function estargzLayer(members: readonly LayerMember[], options: TocLayerOptions = {}): TocLayer {
  const first = members.filter(({ name }) => options.prefetch?.includes(name));
  const landmark: LayerMember = {
    name: options.prefetch === undefined ? ".no.prefetch.landmark" : ".prefetch.landmark",
    type: "file",
    data: new Uint8Array([0xf]),
  };
  const rest = members.filter((member) => !first.includes(member));
  const layer = new BlobWriter((bytes) => new Uint8Array(gzipSync(bytes)), options);
  for (const member of [...first, landmark, ...rest]) layer.add(member);
  layer.flush();
  const entries = layer.entries;
  const json = encode({ version: 1, entries: options.falsify?.(entries) ?? entries });
  const tocOffset = layer.offset;
  layer.raw({ name: ESTARGZ_TOC_NAME, type: "file", mode: 0o444, data: json });
  layer.end();
  const blob = joined([...layer.packed, estargzFooter(tocOffset)]);
  return finish(layer, blob, MEDIA_TYPE.ociLayerGzip, { [ESTARGZ_TOC_DIGEST]: digest(json) });
}

/** A zstd layer with a table of contents. */
export function zstdChunkedLayer(
  members: readonly LayerMember[],
  options: TocLayerOptions & { tarSplit?: boolean } = {},
): TocLayer {
  const layer = new BlobWriter((bytes) => new Uint8Array(zstdCompressSync(bytes)), options);
  for (const member of members) layer.add(member);
  layer.end();
  const entries = layer.entries;
  const json = encode({ version: 1, entries: options.falsify?.(entries) ?? entries });
  const packed = new Uint8Array(zstdCompressSync(json));
  const offset = layer.offset + 8;
  const frames = [skippable(packed)];
  const position = [offset, packed.length, json.length, 1];
  const annotations: Record<string, string> = {
    [ZSTD_CHUNKED.manifestChecksum]: digest(packed),
    [ZSTD_CHUNKED.manifestPosition]: position.join(":"),
  };
  const split = [0, 0, 0];
  if (options.tarSplit) {
    const data = new Uint8Array(zstdCompressSync(encode("tar-split is not read here")));
    frames.push(skippable(data));
    split.splice(0, 3, offset + packed.length + 8, data.length, 26);
    annotations[ZSTD_CHUNKED.tarSplitPosition] = split.join(":");
    annotations[ZSTD_CHUNKED.tarSplitChecksum] = digest(data);
  }
  const footer = new Uint8Array(64);
  const view = new DataView(footer.buffer);
  [...position, ...split].forEach((number, at) => view.setBigUint64(at * 8, BigInt(number), true));
  footer.set(bytesOf(ZSTD_CHUNKED_MAGIC), 56);
  frames.push(skippable(footer));
  return finish(layer, joined([...layer.packed, ...frames]), MEDIA_TYPE.ociLayerZstd, annotations);
}

/** Packs an archive in pieces, each file's data apart. */
class BlobWriter {
  readonly packed: Bytes[] = [];
  readonly entries: TocFields[] = [];
  readonly tar = createHash("sha256");
  offset = 0;
  #buffer: Bytes[] = [];
  #buffered = 0;
  readonly #writer = new TarWriter((bytes) => {
    this.tar.update(bytes);
    this.#buffer.push(bytes.slice());
    this.#buffered += bytes.length;
  });

  constructor(private readonly pack: (bytes: Bytes) => Bytes, private readonly options: TocLayerOptions) {}

  /** What is buffered becomes a member or frame. */
  flush(): void {
    if (this.#buffered === 0) return;
    const packed = this.pack(joined(this.#buffer));
    this.packed.push(packed);
    this.offset += packed.length;
    this.#buffer = [];
    this.#buffered = 0;
  }

  raw(member: LayerMember): void {
    const data = member.data ?? new Uint8Array();
    this.#writer.header({ ...member, ...(member.type === "file" ? { size: data.length } : {}) });
    if (member.type === "file") this.#writer.write(data);
  }

  end(): void {
    this.#writer.finish();
    this.flush();
  }

  add(member: LayerMember): void {
    const data = member.data ?? new Uint8Array();
    const isFile = member.type === "file";
    this.#writer.header({ ...member, ...(isFile ? { size: data.length } : {}) });
    const entry: TocFields = {
      type: TYPES[member.type as keyof typeof TYPES],
      name: member.name,
      linkName: member.linkname || undefined,
      mode: member.mode ?? 0o644,
      uid: member.uid || undefined,
      gid: member.gid || undefined,
      modtime: new Date((member.mtime ?? 0) * 1000).toISOString().replace(/\.\d+Z$/, "Z"),
      devMajor: member.devmajor || undefined,
      devMinor: member.devminor || undefined,
      xattrs: member.xattrs && Object.fromEntries(
        Array.from(member.xattrs, ([name, value]) => [name, btoa(String.fromCharCode(...value))]),
      ),
    };
    this.entries.push(entry);
    if (!isFile) return;
    entry.size = data.length || undefined;
    entry.digest = digest(data);
    if (data.length === 0) return this.#writer.write(data);
    const size = this.options.chunkSize ?? 4 << 20;
    const least = this.options.minMemberSize ?? 0;
    for (let at = 0; at < data.length; at += size) {
      if (this.#buffered >= least) this.flush();
      const piece = data.subarray(at, at + size);
      const fields = at === 0 ? entry : { type: "chunk", name: member.name, chunkOffset: at } as TocFields;
      fields.offset = this.offset;
      if (this.#buffered > 0) fields.innerOffset = this.#buffered;
      if (data.length > size) fields.chunkSize = piece.length;
      fields.chunkDigest = digest(piece);
      if (at > 0) this.entries.push(fields);
      this.#writer.write(piece);
    }
    if (this.options.minMemberSize === undefined && this.isApart) this.#close(entry);
  }

  /** zstd:chunked ends a file's frame with its data. */
  get isApart(): boolean {
    return this.pack(new Uint8Array())[0] === 0x28;
  }

  #close(entry: TocFields): void {
    // the padding that the writer has put behind the data goes into the next frame
    const padding = (512 - (entry.size as number) % 512) % 512;
    const all = joined(this.#buffer);
    this.#buffer = [all.slice(0, all.length - padding)];
    this.#buffered -= padding;
    this.flush();
    entry.endOffset = this.offset;
    this.#buffer = padding === 0 ? [] : [new Uint8Array(padding)];
    this.#buffered = padding;
  }
}

function finish(
  layer: BlobWriter,
  blob: Bytes,
  mediaType: string,
  annotations: Record<string, string>,
): TocLayer {
  const diffId = `sha256:${layer.tar.digest("hex")}` as Digest;
  return {
    blob,
    diffId,
    entries: layer.entries,
    descriptor: { mediaType, digest: digest(blob), size: blob.length, annotations },
  };
}

export function digest(bytes: Uint8Array): Digest {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}` as Digest;
}

function skippable(bytes: Bytes): Bytes {
  const head = new Uint8Array(8);
  head.set([0x50, 0x2a, 0x4d, 0x18]);
  new DataView(head.buffer).setUint32(4, bytes.length, true);
  return joined([head, bytes]);
}

function encode(value: unknown): Bytes {
  return new TextEncoder().encode(JSON.stringify(value));
}
