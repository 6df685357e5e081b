/**
 * eStargz: a gzipped layer whose files are members of their own, with a table of contents as its last file.
 *
 * ```
 * gzip members: headers │ data of a file, padding, next header │ … │ stargz.index.json (its tar member) │ footer
 * footer, 51 bytes: an empty gzip member whose extra field is "SG" 22 0 <16 hex digits: offset of the table> "STARGZ"
 *         47 bytes (stargz): the same without the subfield's four bytes
 * ```
 *
 * @see stargz-snapshotter docs/estargz.md; google/crfs
 */

import { isDigest } from "../../spec/digest.ts";
import type { Digest } from "../../spec/digest.ts";
import { byteString } from "../byte_string.ts";
import { chunksOf } from "../chunks.ts";
import { GunzipSource, GzipError } from "../gzip.ts";
import { TarError, TarReader } from "../tar.ts";
import { type LayerToc, TOC_LIMITS, TocError } from "./model.ts";
import { parseToc, PREFETCH_LANDMARK } from "./parse.ts";

/** On the layer's descriptor: the digest of the table, unpacked. */
export const ESTARGZ_TOC_DIGEST = "containerd.io/snapshot/stargz/toc.digest";
export const ESTARGZ_TOC_NAME = "stargz.index.json";
export const NO_PREFETCH_LANDMARK = ".no.prefetch.landmark";
export const ESTARGZ_FOOTER_BYTES = 51;
const LEGACY_FOOTER_BYTES = 47;

/** What eStargz adds to an archive, and a snapshotter does not show. */
export const ESTARGZ_OWN_FILES: ReadonlySet<string> = new Set([
  ESTARGZ_TOC_NAME,
  PREFETCH_LANDMARK,
  NO_PREFETCH_LANDMARK,
]);

/** The digest that a layer's annotations promise for its table; undefined where it has none. */
export function estargzTocDigest(annotations: Record<string, string> | undefined): Digest | undefined {
  const digest = annotations?.[ESTARGZ_TOC_DIGEST];
  return isDigest(digest) ? digest : undefined;
}

/**
 * Where the table begins.
 *
 * @param end the last bytes of the blob, 51 at least
 * @throws {TocError} where they are no footer
 */
export function parseEstargzFooter(
  end: Uint8Array,
  blobSize: number,
): { tocOffset: number; footerBytes: number } {
  for (const [bytes, extra] of [[ESTARGZ_FOOTER_BYTES, 16], [LEGACY_FOOTER_BYTES, 12]] as const) {
    const footer = end.subarray(end.length - bytes);
    if (footer.length < bytes || footer[0] !== 0x1f || footer[1] !== 0x8b || footer[3] !== 4) continue;
    const subfield = extra === 16 ? "\x1a\x00SG\x16\x00" : "\x16\x00";
    if (byteString(footer, 10, extra) !== subfield) continue;
    const offset = /^([0-9a-f]{16})STARGZ$/.exec(byteString(footer, extra, extra + 22))?.[1];
    if (offset === undefined) continue;
    const tocOffset = Number(`0x${offset}`);
    if (!Number.isSafeInteger(tocOffset) || tocOffset >= blobSize - bytes) break;
    return { tocOffset, footerBytes: bytes };
  }
  throw new TocError("table of contents: the layer's end does not say where it is");
}

/** The footer of a blob whose table begins at `tocOffset`. */
export function estargzFooter(tocOffset: number): Uint8Array<ArrayBuffer> {
  const offset = tocOffset.toString(16).padStart(16, "0");
  const head = "\x1f\x8b\x08\x04\0\0\0\0\0\xff\x1a\x00SG\x16\x00";
  return Uint8Array.from(
    `${head}${offset}STARGZ\x01\0\0\xff\xff\0\0\0\0\0\0\0\0`,
    (char) => char.charCodeAt(0),
  );
}

/**
 * The table's JSON out of its gzip member and tar member. Its digest is the caller's to check.
 *
 * @param packed from the table's offset to the footer
 * @throws {TocError}
 */
export function unpackEstargzToc(packed: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const what = "table of contents: ";
  if (packed.length > TOC_LIMITS.packedBytes) throw new TocError(`${what}it is larger than allowed`);
  try {
    const reader = new TarReader(chunksOf(new GunzipSource(packed)));
    const entry = reader.next();
    if (entry?.name !== ESTARGZ_TOC_NAME || entry.type !== "file") {
      throw new TocError(`${what}it is not there`);
    }
    if (entry.size > TOC_LIMITS.bytes) {
      throw new TocError(`${what}it is larger than ${TOC_LIMITS.bytes} bytes`);
    }
    const json = new Uint8Array(entry.size);
    let at = 0;
    for (let piece = reader.read(); piece !== null; piece = reader.read()) {
      json.set(piece, at);
      at += piece.length;
    }
    return json;
  } catch (error) {
    if (error instanceof TarError || error instanceof GzipError) throw new TocError(what + error.message);
    throw error;
  }
}

/** @param json verified against the annotation. @throws {TocError} */
export function parseEstargzToc(json: Uint8Array, tocOffset: number, limitBytes: number): LayerToc {
  return parseToc(json, { dataEnd: tocOffset, sharesMembers: true, limitBytes, ignored: ESTARGZ_OWN_FILES });
}
