import { deepStrictEqual as assertEquals, match, throws } from "node:assert";
import { createHash } from "node:crypto";
import { chunksOf, sourceOf } from "../chunks.ts";
import { TarReader } from "../tar.ts";
import { archiveOf, type Bytes, join, type Member, readSource } from "../tar/testing.ts";
import { ZstdSource } from "../zstd.ts";
import { Crc64 } from "./tar_split.ts";
import { writeZstdChunked } from "./write_zstd_chunked.ts";
import { parseZstdChunkedToc, ZSTD_CHUNKED, zstdChunkedPosition } from "./zstd_chunked.ts";

const big = Uint8Array.from({ length: 700_000 }, (_, at) => at * at >> 3);
const MEMBERS: (Member & { data?: Bytes })[] = [
  { name: "etc/", type: "directory", mode: 0o755, mtime: 1_700_000_000 },
  { name: "etc/passwd", type: "file", mode: 0o4711, uid: 7, gid: 9, data: big.slice(0, 5), mtime: 5 },
  { name: "empty", type: "file" },
  { name: "big", type: "file", data: big, xattrs: new Map([["user.a", new Uint8Array([0, 255])]]) },
  { name: "same", type: "hardlink", linkname: "etc/passwd" },
  { name: "ln", type: "symlink", linkname: `../${"long/".repeat(60)}big` },
  { name: "null", type: "char", devmajor: 1, devminor: 3 },
  { name: "last", type: "file", data: big.slice(0, 262_144), mtime: 1, mtimeNs: 20_000 },
];

function pack(archive: Bytes, pieceBytes = 1 << 20): { blob: Bytes; annotations: Record<string, string> } {
  const pieces: Uint8Array[] = [];
  const annotations = writeZstdChunked(
    chunksOf(sourceOf(archive), pieceBytes),
    (bytes) => void pieces.push(bytes.slice()),
  );
  return { blob: join(pieces), annotations };
}

function unpack(blob: Uint8Array): Bytes {
  return readSource(new ZstdSource(sourceOf(blob)), 1 << 16);
}

function digest(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

Deno.test("what is packed as zstd:chunked is the archive for any zstd, and the same in whatever pieces it came", () => {
  const archive = archiveOf(...MEMBERS);
  const { blob, annotations } = pack(archive);
  assertEquals(unpack(blob), archive);
  assertEquals(pack(archive, 9999), { blob, annotations });
  const nothing = archiveOf();
  assertEquals(unpack(pack(nothing).blob), nothing);
});

Deno.test("its table has every member, and every piece of data is a frame of its own", () => {
  const archive = archiveOf(...MEMBERS);
  const { blob, annotations } = pack(archive);
  const position = zstdChunkedPosition(annotations, blob.length)!;
  const packed = blob.subarray(position.offset, position.offset + position.packedBytes);
  assertEquals(digest(packed), position.digest);
  const { entries } = parseZstdChunkedToc(packed, position, 1 << 30);
  const reader = new TarReader(chunksOf(sourceOf(archive)));
  for (const { chunks, digest: whole, ...entry } of entries) {
    const member = reader.next()!;
    assertEquals(entry, { ...member, name: member.name.replace(/\/$/, "") });
    const data = join(chunks.map(({ offset, end, digest: part }) => {
      const bytes = unpack(blob.subarray(offset, end));
      assertEquals(digest(bytes), part);
      return bytes;
    }));
    assertEquals(data, MEMBERS.find(({ name }) => name === member.name)!.data ?? new Uint8Array());
    if (data.length > 0) assertEquals(digest(data), whole);
  }
  assertEquals(reader.next(), null);
  assertEquals(entries.map(({ chunks }) => chunks.length), [0, 1, 0, 3, 0, 0, 0, 1]);
});

Deno.test("its tar-split and the files' data make the archive again", () => {
  const archive = archiveOf(...MEMBERS);
  const { blob, annotations } = pack(archive);
  const [offset, packedBytes, bytes] = annotations[ZSTD_CHUNKED.tarSplitPosition]!.split(":").map(Number);
  const packed = blob.subarray(offset, offset! + packedBytes!);
  assertEquals(digest(packed), annotations[ZSTD_CHUNKED.tarSplitChecksum]);
  const json = unpack(packed);
  assertEquals(json.length, bytes);
  const made = new TextDecoder().decode(json).trim().split("\n").map((line, at) => {
    const { type, position, name, size, payload } = JSON.parse(line);
    assertEquals(position, at);
    if (type === 2) return Uint8Array.fromBase64(payload);
    const data = MEMBERS.find((member) => member.name === name)!.data ?? new Uint8Array();
    assertEquals(size ?? 0, data.length);
    return data;
  });
  assertEquals(join(made), archive);
});

Deno.test("the checksum of its files is Go's", () => {
  const crc = new Crc64();
  crc.update(new TextEncoder().encode("12345"));
  crc.update(new TextEncoder().encode("6789"));
  assertEquals(crc.bytes().toHex(), "b90956c775a41001");
});

Deno.test("what a table cannot name is refused", () => {
  throws(
    () => pack(archiveOf({ name: "caf\xe9", type: "file" })),
    (error: Error & { hint?: string }) => {
      assertEquals(
        error.message,
        "pack layer as zstd:chunked: its table has no room for names that are no UTF-8",
      );
      match(error.hint!, /is one; use --compression-format zstd$/);
      return true;
    },
  );
});
