/** Archives made and read whole, for tests. */

import { type ByteSource, type ChunkSource, sourceOf } from "../chunks.ts";
import { type TarEntry, TarReader, TarWriter } from "../tar.ts";
import type { TarMember } from "./writer.ts";
import { bytesOf } from "../byte_string.ts";

export type Bytes = Uint8Array<ArrayBuffer>;

/** A member and its data (of a sparse one: the stored runs). */
export type Member = TarMember & { data?: Bytes | string };

/** Joins pieces. */
export function join(pieces: readonly Uint8Array[]): Bytes {
  const all = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

/** An archive of these members; a file's size is its data's length unless given. */
export function archiveOf(...members: Member[]): Bytes {
  const pieces: Uint8Array[] = [];
  const writer = new TarWriter((bytes) => pieces.push(bytes.slice()));
  for (const { data, ...member } of members) {
    const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data ?? new Uint8Array();
    writer.header({ size: bytes.length, ...member });
    writer.write(bytes);
  }
  writer.finish();
  return join(pieces);
}

/** Pieces of these lengths, over and over: whatever the cuts, a reader must see the same. */
export function chunked(bytes: Bytes, sizes: readonly number[]): ChunkSource {
  let at = 0, turn = 0;
  return {
    next() {
      if (at >= bytes.length) return null;
      const size = Math.max(1, sizes[turn++ % sizes.length]!);
      const piece = bytes.slice(at, at + size);
      at += size;
      return piece;
    },
  };
}

/** Every member with its data laid out at its offsets. */
export function readArchive(chunks: ChunkSource): { entry: TarEntry; data: Bytes }[] {
  const reader = new TarReader(chunks);
  const found: { entry: TarEntry; data: Bytes }[] = [];
  for (let entry = reader.next(); entry !== null; entry = reader.next()) {
    const data = new Uint8Array(entry.size);
    for (let piece = reader.read(); piece !== null; piece = reader.read()) data.set(piece, reader.fileOffset);
    found.push({ entry, data });
  }
  return found;
}

/** Everything that a source gives, read in small bites. */
export function readSource(source: ByteSource, bite = 1000): Bytes {
  const pieces: Bytes[] = [];
  const buffer = new Uint8Array(bite);
  for (let length = source.read(buffer); length > 0; length = source.read(buffer)) {
    pieces.push(buffer.slice(0, length));
  }
  return join(pieces);
}

/** A source that gives at most `bite` bytes at a time. */
export function slowSource(bytes: Bytes, bite: number): ByteSource {
  const source = sourceOf(bytes);
  return { read: (into) => source.read(into.subarray(0, Math.min(bite, into.length))) };
}

/** A raw header block: fields by offset, with a right checksum. */
export function rawHeader(fields: Record<number, string>): Bytes {
  const block = new Uint8Array(512);
  const put = (at: number, text: string) => block.set(bytesOf(text), at);
  put(100, "0000644\0" + "0000000\0" + "0000000\0" + "00000000000\0" + "00000000000\0" + "        " + "0");
  for (const [at, text] of Object.entries(fields)) put(Number(at), text);
  if (fields[148] === undefined) {
    const sum = block.reduce((total, byte) => total + byte, 0);
    put(148, sum.toString(8).padStart(6, "0") + "\0 ");
  }
  return block;
}
