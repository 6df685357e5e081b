/** What of a layer with a table of contents is fetched, and what is taken from files that are here: plain data. */
import { type ArchivePiece, type ArchiveSpan, spansOfHead } from "../archive/toc/estargz_archive.ts";
import type { LayerToc, TocEntry } from "../archive/toc/model.ts";
import { digestAlgorithm, digestHex } from "../spec/digest.ts";
import { type LocalFile, MIN_SHARED_BYTES } from "../storage/file_index.ts";
import type { SplicePart } from "../storage/splice.ts";
import type { ByteRange } from "./ranges.ts";

export interface SplicePlan {
  parts: SplicePart[];
  ranges: ByteRange[];
  /** Bytes of the blob that are fetched, and that are not. */
  fetched: number;
  saved: number;
}

/** Files by `<hex>:<size>`. */
export type LocalFiles = ReadonlyMap<string, LocalFile>;

/** A file of zeros packs to less than the request for what is around it. */
const MIN_LEFT_OUT_BYTES = MIN_SHARED_BYTES / 2;

/** Of what a layer has, what could be had from others. */
export function wantedKeys(toc: LayerToc): Set<string> {
  return new Set(toc.entries.map(keyOf).filter((key) => key !== undefined));
}

function keyOf({ digest, size }: TocEntry): string | undefined {
  if (digest === undefined || size < MIN_SHARED_BYTES || digestAlgorithm(digest) !== "sha256") {
    return undefined;
  }
  return `${digestHex(digest)}:${size}`;
}

function findLocal(local: LocalFiles, entry: TocEntry): LocalFile | undefined {
  const key = keyOf(entry);
  return key === undefined ? undefined : local.get(key);
}

class PlanWriter implements SplicePlan {
  readonly parts: SplicePart[] = [];
  readonly ranges: ByteRange[] = [];
  fetched = 0;
  saved = 0;

  fetch(start: number, end: number): void {
    if (start === end) return;
    const lastRange = this.ranges.at(-1), lastPart = this.parts.at(-1);
    this.fetched += end - start;
    if (lastRange?.end === start && lastPart !== undefined && "fetched" in lastPart) {
      lastRange.end = end;
      lastPart.fetched += end - start;
      return;
    }
    this.ranges.push({ start, end });
    this.parts.push({ fetched: end - start });
  }

  /** Pieces of a file that follow each other are one. */
  take(file: LocalFile, from: number, length: number): void {
    const last = this.parts.at(-1);
    if (last !== undefined && "path" in last && last.path === file.path && last.layer === file.layer) {
      if ((last.from ?? 0) + last.length! === from) return void (last.length! += length);
    }
    this.parts.push({ ...file, from, length });
  }
}

/** zstd:chunked packs each file's data apart: what lies between those that are here is fetched, but for the table. */
export function planZstdChunked(toc: LayerToc, local: LocalFiles): SplicePlan {
  const plan = new PlanWriter();
  let at = 0;
  for (const entry of toc.entries) {
    const file = findLocal(local, entry);
    const start = entry.chunks[0]?.offset ?? 0, end = entry.chunks.at(-1)?.end ?? 0;
    if (file === undefined || end - start < MIN_LEFT_OUT_BYTES) continue;
    plan.fetch(at, start);
    plan.take(file, 0, file.size);
    plan.saved += end - start;
    at = end;
  }
  plan.fetch(at, toc.dataEnd);
  return plan;
}

/**
 * eStargz packs a file's end with what follows it, so a member is left out where all of it is known.
 *
 * @param headersAreKnown else members that have headers in them are fetched
 */
export function planEstargz(
  spans: readonly ArchiveSpan[],
  local: LocalFiles,
  headersAreKnown: boolean,
): SplicePlan {
  const plan = new PlanWriter();
  const isKnown = (piece: ArchivePiece) =>
    "entry" in piece
      ? findLocal(local, piece.entry) !== undefined
      : piece.bytes !== undefined && (headersAreKnown || piece.bytes.length < 512);
  const head = new Set(headersAreKnown ? spansOfHead(spans) : []);
  for (const span of spans) {
    const { start, end, pieces } = span;
    // what is before the first file was looked at, and so is here
    const isLeftOut = head.has(span) || (end - start >= MIN_LEFT_OUT_BYTES && pieces.every(isKnown));
    if (!isLeftOut) {
      plan.fetch(start, end);
      continue;
    }
    for (const piece of pieces) {
      if ("entry" in piece) plan.take(findLocal(local, piece.entry)!, piece.from, piece.length);
      else plan.parts.push({ bytes: piece.bytes! });
    }
    if (!head.has(span)) plan.saved += end - start;
  }
  return plan;
}
