/**
 * Sparse files: which runs of a file are stored, in the four ways GNU tar has said so.
 *
 * old GNU   in the header and in blocks behind it (type `S`)
 * pax 0.0   records GNU.sparse.offset and GNU.sparse.numbytes, repeated
 * pax 0.1   record GNU.sparse.map, `offset,length,offset,length…`
 * pax 1.0   decimal lines at the head of the data: count, then offset and length of each run
 *
 * @see GNU tar manual, "Storing Sparse Files"
 */

import {
  BLOCK,
  field,
  nonNegative,
  parseNumber,
  type SparseSegment,
  type TarEntry,
  TarError,
} from "./header.ts";
import { decimal, type PaxRecord } from "./pax.ts";

/** More runs than this are refused: the map is held in memory (CVE-2025-58183 in Go's reader). */
export const MAX_SEGMENTS = 1 << 16;

/** What pax records say about a sparse file. */
export interface PaxSparse {
  version: "0" | "1.0";
  name?: string;
  realSize: number;
  /** Absent for 1.0, whose map is in the data. */
  segments?: SparseSegment[];
}

/** Gives the sparse description in these records, or null where there is none. */
export function paxSparse(records: readonly PaxRecord[]): PaxSparse | null {
  let major = "", minor = "", name: string | undefined, size: string | undefined, map: string | undefined;
  const offsets: number[] = [], lengths: number[] = [];
  let found = false;
  for (const [key, value] of records) {
    if (!key.startsWith("GNU.sparse.")) continue;
    found = true;
    switch (key.slice(11)) {
      case "major":
        major = value;
        break;
      case "minor":
        minor = value;
        break;
      case "name":
        name = value;
        break;
      case "size":
      case "realsize":
        size = value;
        break;
      case "map":
        map = value;
        break;
      case "offset":
        offsets.push(decimal(value, "GNU.sparse.offset"));
        break;
      case "numbytes":
        lengths.push(decimal(value, "GNU.sparse.numbytes"));
        break;
    }
  }
  if (!found || size === undefined && map === undefined && major === "") return null;
  if (name?.includes("\0")) throw new TarError("NUL in pax GNU.sparse.name");
  if (size === undefined) throw new TarError("sparse file without its size");
  const realSize = decimal(size, "GNU.sparse.realsize");
  if (major === "1" && minor === "0") return { version: "1.0", name, realSize };
  if (major !== "" && major !== "0") throw new TarError(`unknown sparse format ${major}.${minor}`);
  if (map !== undefined) return { version: "0", name, realSize, segments: parseMap(map) };
  if (offsets.length !== lengths.length) throw new TarError("sparse offsets and lengths do not pair");
  if (offsets.length > MAX_SEGMENTS) throw new TarError("too many runs in a sparse file");
  const segments = offsets.map((offset, index) => ({ offset, length: lengths[index]! }));
  return { version: "0", name, realSize, segments };
}

function parseMap(text: string): SparseSegment[] {
  if (text === "") return [];
  const numbers = text.split(",");
  if (numbers.length % 2 !== 0) throw new TarError("sparse map with an odd count");
  if (numbers.length > MAX_SEGMENTS * 2) throw new TarError("too many runs in a sparse file");
  const segments: SparseSegment[] = [];
  for (let at = 0; at < numbers.length; at += 2) {
    segments.push({
      offset: decimal(numbers[at]!, "GNU.sparse.map"),
      length: decimal(numbers[at + 1]!, "GNU.sparse.map"),
    });
  }
  return segments;
}

/** Reads the runs of an old GNU header (`S`) and its extension blocks, and sets the entry's real size. */
export function readOldGnuSparse(
  entry: TarEntry,
  header: Uint8Array,
  nextBlock: () => Uint8Array,
): SparseSegment[] {
  const segments: SparseSegment[] = [];
  entry.size = nonNegative(parseNumber(header, 483, 12, "realsize"), "realsize");
  readRuns(header, 386, 4, segments);
  let extended = header[482] !== 0;
  while (extended) {
    const block = nextBlock();
    readRuns(block, 0, 21, segments);
    extended = block[504] !== 0;
  }
  return segments;
}

function readRuns(block: Uint8Array, start: number, count: number, segments: SparseSegment[]): void {
  for (let index = 0; index < count; index++) {
    const at = start + index * 24;
    if (field(block, at, 24) === "" && block[at + 12] === 0) return;
    if (segments.length >= MAX_SEGMENTS) throw new TarError("too many runs in a sparse file");
    segments.push({
      offset: parseNumber(block, at, 12, "sparse offset"),
      length: parseNumber(block, at + 12, 12, "sparse length"),
    });
  }
}

/** Reads a pax 1.0 map from the head of the data; gives it and the bytes it took (whole blocks). */
export function readSparseMap10(nextBlock: () => Uint8Array): { segments: SparseSegment[]; taken: number } {
  let taken = 0;
  let block = new Uint8Array();
  let at = 0;
  const line = (): number => {
    let digits = "";
    for (;;) {
      if (at === block.length) {
        block = nextBlock().slice();
        taken += BLOCK;
        at = 0;
      }
      const byte = block[at++]!;
      if (byte === 10) return decimal(digits, "sparse map");
      if (digits.length > 16) throw new TarError("bad pax sparse map");
      digits += String.fromCharCode(byte);
    }
  };
  const count = line();
  if (count > MAX_SEGMENTS) throw new TarError("too many runs in a sparse file");
  const segments: SparseSegment[] = [];
  for (let index = 0; index < count; index++) segments.push({ offset: line(), length: line() });
  return { segments, taken };
}

/** The head of the data for pax 1.0: the map, padded to whole blocks. */
export function formatSparseMap10(segments: readonly SparseSegment[]): string {
  const text = `${segments.length}\n` + segments.map((run) => `${run.offset}\n${run.length}\n`).join("");
  return text.padEnd(Math.ceil(text.length / BLOCK) * BLOCK, "\0");
}

/** Checks that runs ascend, do not overlap, lie in the file and add up to what is stored. */
export function checkSegments(segments: readonly SparseSegment[], realSize: number, stored: number): void {
  let end = 0, total = 0;
  for (const { offset, length } of segments) {
    if (offset < end || length < 0) throw new TarError("runs of a sparse file overlap");
    end = offset + length;
    total += length;
    if (!Number.isSafeInteger(end) || end > realSize) {
      throw new TarError("a run of a sparse file lies past its end");
    }
  }
  if (total !== stored) throw new TarError("runs of a sparse file do not add up to its data");
}
