/**
 * The archive of an eStargz layer as its table of contents lets it be put together again: each file's data, and between
 * them the padding and the headers as Go's archive/tar writes them.
 *
 * ```
 * gzip member   first headers │ data a, padding, header b │ data b, piece 1 │ data b, piece 2, padding, … │ table
 * span            0            1                           2                 3
 * ```
 * A member can be left out if all of it can be had otherwise; nothing says that the headers are these, so the archive's
 * digest has to.
 *
 * @see stargz-snapshotter, estargz.Writer.appendTar
 */

import { byteStringOf } from "../byte_string.ts";
import { type ByteSource, readFully } from "../chunks.ts";
import { BLOCK } from "../tar/header.ts";
import { goHeader } from "../tar/go_header.ts";
import { ESTARGZ_OWN_FILES } from "./estargz.ts";
import { type LayerToc, type TocEntry, TocError } from "./model.ts";
import { cleanName } from "./parse.ts";

/** What comes in the archive: part of a file, or bytes that are known; undefined bytes have to be fetched. */
export type ArchivePiece = { entry: TocEntry; from: number; length: number } | { bytes?: Uint8Array };

/** One or more gzip members of the blob, and what they unpack to. */
export interface ArchiveSpan {
  start: number;
  end: number;
  pieces: ArchivePiece[];
}

/** Headers of members; more are as crafted as they are of no use. */
const MAX_HEADER_BYTES = 64 << 20;

const LANDMARK = new Uint8Array([0xf]);
/** What all paddings are of: a table may have as many as entries. */
const ZEROS = new Uint8Array(BLOCK);
const LANDMARK_ENTRY: Omit<TocEntry, "name" | "linkname" | "type" | "mode" | "chunks"> = {
  typeflag: "0",
  uid: 0,
  gid: 0,
  size: 1,
  mtime: 0,
  mtimeNs: 0,
  devmajor: 0,
  devminor: 0,
};

type Fields = Record<string, unknown>;

/**
 * All spans up to the table, in order.
 *
 * @param json the table, verified; `toc` is what was read from it
 * @throws {TocError} where its own files are not where they should be
 */
export function estargzSpans(json: Uint8Array, toc: LayerToc): ArchiveSpan[] {
  const { entries } = JSON.parse(new TextDecoder().decode(json)) as { entries: Fields[] };
  const names = new OwnerNames();
  const parsed = toc.entries.values();
  const spans: ArchiveSpan[] = [];
  let span: ArchiveSpan = { start: 0, end: 0, pieces: [] };
  let headerBytes = 0;
  const begin = (offset: number) => {
    // that of a landmark was not looked at before
    if (!Number.isSafeInteger(offset) || offset <= span.start) {
      throw new TocError("table of contents: members are out of order");
    }
    span.end = offset;
    spans.push(span);
    span = { start: offset, end: 0, pieces: [] };
  };
  for (const fields of entries) {
    if (fields.type === "chunk") continue;
    const isOwn = ESTARGZ_OWN_FILES.has(cleanName(fields.name as string));
    const entry = isOwn ? undefined : parsed.next().value!;
    const header = headerOf(fields, entry, names);
    headerBytes += header?.length ?? 0;
    if (headerBytes > MAX_HEADER_BYTES) throw new TocError("table of contents: its headers are too many");
    span.pieces.push({ bytes: header });
    for (const { offset, fileOffset, size } of entry?.chunks ?? []) {
      if (offset !== span.start) begin(offset);
      span.pieces.push({ entry: entry!, from: fileOffset, length: size });
    }
    if (entry === undefined) {
      const offset = Number(fields.offset);
      if (offset !== span.start) begin(offset);
      span.pieces.push({ bytes: fields.size === 1 ? LANDMARK : undefined });
    }
    const padding = (BLOCK - (entry?.size ?? 1) % BLOCK) % BLOCK;
    if (padding > 0) span.pieces.push({ bytes: ZEROS.subarray(0, padding) });
  }
  begin(toc.dataEnd);
  return spans;
}

/** @param entry undefined for a landmark */
function headerOf(fields: Fields, entry: TocEntry | undefined, names: OwnerNames) {
  const [uname, gname] = entry === undefined
    ? ["", ""]
    : [names.of("user", fields.uid, fields.userName), names.of("group", fields.gid, fields.groupName)];
  // an eStargz packer rounds to seconds, and so does not say what the header says
  if (entry !== undefined && entry.mtimeNs !== 0) return undefined;
  const { typeflag, uid, gid, size, mtime, devmajor, devminor, xattrs } = entry ?? LANDMARK_ENTRY;
  return goHeader({
    ...{ typeflag, uid, gid, size, mtime, devmajor, devminor, xattrs, uname, gname },
    name: byteStringOf(fields.name as string),
    linkname: byteStringOf((fields.linkName ?? "") as string),
    mode: Number(fields.mode ?? 0),
  });
}

/** The table gives the name of an id only where it is another than that of the entry before with this id. */
class OwnerNames {
  readonly #last = new Map<string, string>();

  of(kind: "user" | "group", id: unknown, said: unknown): string {
    const key = `${kind} ${id ?? 0}`;
    if (typeof said === "string" && said !== "") this.#last.set(key, byteStringOf(said));
    return this.#last.get(key) ?? "";
  }
}

/** The spans before the first file's data: what their headers are tells whether the others are as Go writes them. */
export function spansOfHead(spans: readonly ArchiveSpan[]): ArchiveSpan[] {
  const first = spans.findIndex(({ pieces }) => pieces.some((piece) => "entry" in piece));
  return spans.slice(0, first === -1 ? spans.length : first);
}

/** Whether an archive begins with what these spans are said to hold, up to the first file's data. */
export function startsWith(archive: ByteSource, spans: readonly ArchiveSpan[]): boolean {
  for (const piece of spans.flatMap(({ pieces }) => pieces)) {
    if ("entry" in piece) return true;
    if (piece.bytes === undefined) return false;
    const found = new Uint8Array(piece.bytes.length);
    if (readFully(archive, found) < found.length) return false;
    if (found.some((byte, at) => byte !== piece.bytes![at])) return false;
  }
  return archive.read(new Uint8Array(1)) === 0;
}
