import { deepStrictEqual as assertEquals, match, ok as assert, throws } from "node:assert";
import { gunzipSync } from "node:zlib";
import {
  estargzLayer,
  type LayerMember,
  type TocFields,
  zstdChunkedLayer,
} from "../../../tests/toc_layers.ts";
import { chunksOf, sourceOf } from "../chunks.ts";
import { TarReader } from "../tar.ts";
import { ZstdSource } from "../zstd.ts";
import {
  estargzFooter,
  estargzTocDigest,
  parseEstargzFooter,
  parseEstargzToc,
  unpackEstargzToc,
} from "./estargz.ts";
import { TOC_LIMITS, TocError } from "./model.ts";
import { parseToc } from "./parse.ts";
import { parseZstdChunkedToc, zstdChunkedPosition } from "./zstd_chunked.ts";

const LIMIT = 1 << 30;
const big = Uint8Array.from({ length: 10_000 }, (_, at) => at * at >> 3);
const MEMBERS: LayerMember[] = [
  { name: "etc/", type: "directory", mode: 0o755, mtime: 1_700_000_000 },
  {
    name: "etc/passwd",
    type: "file",
    mode: 0o4711,
    uid: 7,
    gid: 9,
    data: new TextEncoder().encode("root\n"),
    mtime: 5,
  },
  { name: "empty", type: "file" },
  { name: "big", type: "file", data: big, xattrs: new Map([["user.a", new Uint8Array([0, 255])]]) },
  { name: "same", type: "hardlink", linkname: "etc/passwd" },
  { name: "ln", type: "symlink", linkname: "../big" },
  { name: "null", type: "char", devmajor: 1, devminor: 3 },
];

Deno.test("a table of eStargz is read as the archive has it", () => {
  for (const options of [{ chunkSize: 3000 }, { minMemberSize: 4000 }, { prefetch: ["big"] }]) {
    const { blob, descriptor, diffId } = estargzLayer(MEMBERS, options);
    const { tocOffset, footerBytes } = parseEstargzFooter(blob.subarray(-51), blob.length);
    const json = unpackEstargzToc(blob.subarray(tocOffset, blob.length - footerBytes));
    assert(estargzTocDigest(descriptor.annotations)?.startsWith("sha256:"));
    const toc = parseEstargzToc(json, tocOffset, LIMIT);
    const archive = gunzipSync(blob);
    assertEquals(diffId.length, 71);
    sameAsArchive(toc.entries, new Uint8Array(archive));
    assertEquals(toc.prefetchEnd > 0, "prefetch" in options);
    for (const entry of toc.entries) {
      for (const chunk of entry.chunks) {
        const member = gunzipSync(blob.subarray(chunk.offset, chunk.end));
        const data = member.subarray(chunk.innerOffset, chunk.innerOffset + chunk.size);
        if (entry.name === "big") {
          assertEquals(new Uint8Array(data), big.subarray(chunk.fileOffset, chunk.fileOffset + chunk.size));
        }
      }
    }
  }
});

Deno.test("a table of zstd:chunked is read as the archive has it", () => {
  for (const tarSplit of [true, false]) {
    const { blob, descriptor } = zstdChunkedLayer(MEMBERS, { chunkSize: 3000, tarSplit });
    const position = zstdChunkedPosition(descriptor.annotations, blob.length)!;
    const packed = blob.subarray(position.offset, position.offset + position.packedBytes);
    const toc = parseZstdChunkedToc(packed, position, LIMIT);
    sameAsArchive(toc.entries, unpackZstd(blob));
    const chunks = toc.entries.find(({ name }) => name === "big")!.chunks;
    assertEquals(chunks.map(({ fileOffset, size }) => [fileOffset, size]), [[0, 3000], [3000, 3000], [
      6000,
      3000,
    ], [9000, 1000]]);
    for (const { offset, end, fileOffset, size } of chunks) {
      assertEquals(unpackZstd(blob.slice(offset, end)), big.slice(fileOffset, fileOffset + size));
    }
  }
});

Deno.test("both footers of eStargz are read, and nothing else", () => {
  const footer = estargzFooter(0x1234);
  assertEquals(footer.length, 51);
  assertEquals(gunzipSync(footer).length, 0);
  assertEquals(parseEstargzFooter(footer, 100_000), { tocOffset: 0x1234, footerBytes: 51 });
  const legacy = Uint8Array.from([...footer.slice(0, 10), 22, 0, ...footer.slice(16)]);
  assertEquals(legacy.length, 47);
  assertEquals(parseEstargzFooter(legacy, 100_000), { tocOffset: 0x1234, footerBytes: 47 });
  for (const bytes of [new Uint8Array(51), footer.slice(0, 50), new Uint8Array()]) {
    throws(() => parseEstargzFooter(bytes, 100_000), TocError);
  }
  throws(() => parseEstargzFooter(footer, 0x1234), TocError);
  throws(() => parseEstargzFooter(estargzFooter(2 ** 53), 100_000), TocError);
});

const BAD: Record<string, (entries: TocFields[]) => unknown> = {
  "contains ..": (e) => e[1]!.name = "../passwd",
  "has a NUL": (e) => e[1]!.name = "a\0b",
  "is too long": (e) => e[1]!.name = "a/".repeat(2100) + "x",
  "no name": (e) => e[1]!.name = "",
  "is there twice": (e) => e[1]!.name = "./big",
  "size of .* is no size": (e) => e[1]!.size = -1,
  "mode of .* is no size": (e) => e[1]!.mode = 1.5,
  "unknown type": (e) => e[1]!.type = "whatever",
  "is no valid id": (e) => e[1]!.uid = 2 ** 32,
  "digest of .* malformed": (e) => e[1]!.chunkDigest = "sha256:../../x",
  "has no digest": (e) => e[1]!.digest = e[1]!.chunkDigest = undefined,
  "behind the end": (e) => e[1]!.offset = 2 ** 40,
  "overlaps": (e) => e[3]!.offset = 0,
  "leave a gap or overlap": (e) => e[4]!.chunkOffset = 2999,
  "outside of it": (e) => e[3]!.chunkSize = 20_000,
  "do not reach its end": (e) => e[3]!.size = 10_001,
  "does not follow it": (e) => e[4]!.name = "etc/passwd",
  "hard link to what is no file": (e) => e.find(({ type }) => type === "hardlink")!.linkName = "etc",
  "symlink without target": (e) => e.find(({ type }) => type === "symlink")!.linkName = undefined,
  "lies below what is no folder": (e) => e.push({ name: "big/x", type: "dir" }),
  "root is no folder": (e) => e.push({ name: "/", type: "fifo" }),
  "time of .* is none": (e) => e[1]!.modtime = "yesterday",
  "no base64": (e) => e[3]!.xattrs = { "user.a": "%" },
  "too many attributes": (e) =>
    e[3]!.xattrs = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`user.${i}`, ""])),
};

Deno.test("tables that do not add up are refused", () => {
  const read = (falsify: (entries: TocFields[]) => TocFields[]) => {
    const { blob, descriptor } = zstdChunkedLayer(MEMBERS, { chunkSize: 3000, falsify });
    const position = zstdChunkedPosition(descriptor.annotations, blob.length)!;
    return parseZstdChunkedToc(
      blob.subarray(position.offset, position.offset + position.packedBytes),
      position,
      LIMIT,
    );
  };
  assertEquals(read((entries) => entries).entries.length, MEMBERS.length); // the control
  for (const [why, spoil] of Object.entries(BAD)) {
    throws(() => read((entries) => (spoil(entries), entries)), (error) => {
      assert(error instanceof TocError, why);
      match(error.message, new RegExp(why));
      return true;
    }, why);
  }
});

Deno.test("folders without an entry of their own are bounded", () => {
  const below = "d/".repeat(2000);
  const entries = Array.from({ length: 60 }, (_, at) => ({ type: "dir", name: `${at}/${below}` }));
  const read = (entries: unknown[]) =>
    parseToc(new TextEncoder().encode(JSON.stringify({ version: 1, entries })), {
      dataEnd: 0,
      sharesMembers: false,
      limitBytes: 0,
    });
  assertEquals(read(entries.slice(0, 5)).entries.length, 5); // the control
  throws(() => read(entries), /too many of its folders have no entry/);
});

Deno.test("sizes are bounded before memory is taken", () => {
  const bounds = { dataEnd: 1000, sharesMembers: false, limitBytes: 100 };
  const file = { type: "reg", name: "a", size: 101, offset: 0, digest: `sha256:${"a".repeat(64)}` };
  const json = (entries: unknown[]) => new TextEncoder().encode(JSON.stringify({ version: 1, entries }));
  throws(() => parseToc(json([file]), bounds), /more than 100 bytes/);
  assertEquals(parseToc(json([{ ...file, size: 100 }]), bounds).entries.length, 1);
  throws(() => parseToc(new Uint8Array(TOC_LIMITS.bytes + 1), bounds), /larger than/);
  throws(() => parseToc(new TextEncoder().encode("{}"), bounds), /version/);
  throws(() => parseToc(new TextEncoder().encode('{"version":1,"entries":[7]}'), bounds), /no object/);
  throws(() => parseToc(new Uint8Array([0xff]), bounds), /no JSON/);

  const position = (text: string) =>
    zstdChunkedPosition({
      "io.github.containers.zstd-chunked.manifest-checksum": `sha256:${"a".repeat(64)}`,
      "io.github.containers.zstd-chunked.manifest-position": text,
    }, 10_000);
  assertEquals(position("8:100:1000:1")?.bytes, 1000);
  // as skopeo of 2022 names them
  const older = {
    "io.containers.zstd-chunked.manifest-checksum": `sha256:${"b".repeat(64)}`,
    "io.containers.zstd-chunked.manifest-position": "8:100:1000:1",
  };
  assertEquals(zstdChunkedPosition(older, 10_000)?.digest, `sha256:${"b".repeat(64)}`);
  for (
    const wrong of [
      "8:100:1000",
      "8:100:1000:2",
      "7:1:1:1",
      "9990:11:1:1",
      "8:0:1:1",
      "-1:1:1:1",
      `8:9:${2 ** 40}:1`,
    ]
  ) {
    throws(() => position(wrong), TocError, wrong);
  }
  // a bomb: much more than it says
  const { blob, descriptor } = zstdChunkedLayer(MEMBERS);
  const right = zstdChunkedPosition(descriptor.annotations, blob.length)!;
  const packed = blob.subarray(right.offset, right.offset + right.packedBytes);
  throws(() => parseZstdChunkedToc(packed, { ...right, bytes: right.bytes - 1 }, LIMIT), /another length/);
  throws(() => parseZstdChunkedToc(packed.subarray(0, 20), right, LIMIT), TocError);
});

function sameAsArchive(
  entries: { name: string; chunks: unknown; digest?: unknown; xattrs?: unknown }[],
  tar: Uint8Array,
) {
  const reader = new TarReader(chunksOf(sourceOf(tar)));
  const own = [".no.prefetch.landmark", ".prefetch.landmark", "stargz.index.json"];
  const plain = (entry: Record<string, unknown>) => {
    const { chunks: _, digest: __, ...rest } = entry;
    return { ...rest, name: String(entry.name).replace(/\/$/, "") };
  };
  const wanted = [];
  for (let entry = reader.next(); entry !== null; entry = reader.next()) {
    if (!own.includes(entry.name)) wanted.push(plain(entry as unknown as Record<string, unknown>));
  }
  assertEquals(entries.map((entry) => plain(entry)), wanted);
}

function unpackZstd(bytes: Uint8Array): Uint8Array {
  const source = new ZstdSource(sourceOf(bytes));
  const parts: number[] = [];
  const into = new Uint8Array(65536);
  for (let n = source.read(into); n > 0; n = source.read(into)) parts.push(...into.subarray(0, n));
  return new Uint8Array(parts);
}
