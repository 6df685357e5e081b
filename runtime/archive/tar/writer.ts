/** A synchronous writer: ustar, with pax records for all that ustar cannot say. */

import { BLOCK, checksum, type TarEntry, type TarType, writeNumber, writeText } from "./header.ts";
import { formatPax, formatTime, type PaxRecord } from "./pax.ts";
import { bytesOf, byteString } from "../byte_string.ts";
import { formatSparseMap10 } from "./sparse.ts";

/** What must be given; the rest has the defaults of a plain file. */
export type TarMember = Pick<TarEntry, "name" | "type"> & Partial<TarEntry>;

export const TYPE_FLAGS: Readonly<Partial<Record<TarType, string>>> = {
  file: "0",
  hardlink: "1",
  symlink: "2",
  char: "3",
  block: "4",
  directory: "5",
  fifo: "6",
};

/** The largest number in a 12 and an 8 byte octal field. */
const MAX_OCTAL_12 = 0o77777777777;
const MAX_OCTAL_8 = 0o7777777;

/** Writes members to `sink`, which takes each piece before the next is made. */
export class TarWriter {
  #sink: (bytes: Uint8Array) => void;
  /** Bytes of the current member's data still to come, and the padding after them. */
  #remaining = 0;
  #padding = 0;

  constructor(sink: (bytes: Uint8Array) => void) {
    this.#sink = sink;
  }

  /**
   * Begins a member; its `size` bytes follow by `write` (of a sparse one: the stored runs, in order).
   *
   * @throws {RangeError} when the member before is not complete.
   */
  header(member: TarMember): void {
    if (this.#remaining !== 0) throw new RangeError(`tar member lacks ${this.#remaining} bytes`);
    const records = paxRecords(member);
    const isFile = member.type === "file";
    let stored = isFile ? member.size ?? 0 : 0;
    let head: Uint8Array | undefined;
    let name = member.name;
    if (isFile && member.sparse !== undefined) {
      head = bytesOf(formatSparseMap10(member.sparse));
      records.push(["GNU.sparse.major", "1"], ["GNU.sparse.minor", "0"]);
      records.push(["GNU.sparse.name", member.name], ["GNU.sparse.realsize", String(stored)]);
      stored = head.length + member.sparse.reduce((sum, run) => sum + run.length, 0);
      if (stored > MAX_OCTAL_12) records.push(["size", String(stored)]);
      name = "GNUSparseFile.0/file";
    } else if (stored > MAX_OCTAL_12) {
      records.push(["size", String(stored)]);
    }
    if (records.length > 0) {
      const data = formatPax(records);
      this.#block({ name: "PaxHeaders.0/member", type: "file", mode: 0o644 }, "x", data.length);
      this.#data(data);
    }
    this.#block({ ...member, name }, TYPE_FLAGS[member.type] ?? "0", stored);
    this.#remaining = stored;
    this.#padding = (BLOCK - stored % BLOCK) % BLOCK;
    if (head !== undefined) this.write(head);
  }

  /** Data of the current member. @throws {RangeError} on more than its size. */
  write(bytes: Uint8Array): void {
    if (bytes.length > this.#remaining) throw new RangeError("more data than the tar member's size");
    if (bytes.length > 0) this.#sink(bytes);
    this.#remaining -= bytes.length;
    if (this.#remaining === 0 && this.#padding > 0) {
      this.#sink(new Uint8Array(this.#padding));
      this.#padding = 0;
    }
  }

  /** Writes the two zero blocks that end an archive. */
  finish(): void {
    if (this.#remaining !== 0) throw new RangeError(`tar member lacks ${this.#remaining} bytes`);
    this.#sink(new Uint8Array(BLOCK * 2));
  }

  #data(data: Uint8Array): void {
    const padded = new Uint8Array(Math.ceil(data.length / BLOCK) * BLOCK);
    padded.set(data);
    this.#sink(padded);
  }

  #block(member: TarMember, typeflag: string, stored: number): void {
    const block = new Uint8Array(BLOCK);
    const { prefix, name } = splitName(member.name) ?? { prefix: "", name: member.name.slice(0, 100) };
    writeText(block, 0, name);
    writeNumber(block, 100, 8, (member.mode ?? 0o644) & 0o7777);
    writeNumber(block, 108, 8, clamp(member.uid ?? 0, MAX_OCTAL_8));
    writeNumber(block, 116, 8, clamp(member.gid ?? 0, MAX_OCTAL_8));
    writeNumber(block, 124, 12, clamp(stored, MAX_OCTAL_12));
    writeNumber(block, 136, 12, clamp(member.mtime ?? 0, MAX_OCTAL_12));
    writeText(block, 156, typeflag);
    writeText(block, 157, (member.linkname ?? "").slice(0, 100));
    writeText(block, 257, "ustar\x0000");
    writeNumber(block, 329, 8, clamp(member.devmajor ?? 0, MAX_OCTAL_8));
    writeNumber(block, 337, 8, clamp(member.devminor ?? 0, MAX_OCTAL_8));
    writeText(block, 345, prefix);
    writeText(block, 148, checksum(block).unsigned.toString(8).padStart(6, "0") + "\0 ");
    this.#sink(block);
  }
}

/** The records for what the ustar block of this member cannot hold. */
function paxRecords(member: TarMember): PaxRecord[] {
  const records: PaxRecord[] = [];
  if (member.sparse === undefined && (splitName(member.name) === null || !isAscii(member.name))) {
    records.push(["path", member.name]);
  }
  const linkname = member.linkname ?? "";
  if (linkname.length > 100 || !isAscii(linkname)) records.push(["linkpath", linkname]);
  if ((member.uid ?? 0) > MAX_OCTAL_8) records.push(["uid", String(member.uid)]);
  if ((member.gid ?? 0) > MAX_OCTAL_8) records.push(["gid", String(member.gid)]);
  if ((member.devmajor ?? 0) > MAX_OCTAL_8) records.push(["SCHILY.devmajor", String(member.devmajor)]);
  if ((member.devminor ?? 0) > MAX_OCTAL_8) records.push(["SCHILY.devminor", String(member.devminor)]);
  const mtime = member.mtime ?? 0, mtimeNs = member.mtimeNs ?? 0;
  if (mtimeNs !== 0 || mtime < 0 || mtime > MAX_OCTAL_12) records.push(["mtime", formatTime(mtime, mtimeNs)]);
  if (member.atime !== undefined) records.push(["atime", formatTime(member.atime, member.atimeNs ?? 0)]);
  for (const [name, value] of member.xattrs ?? []) records.push([`SCHILY.xattr.${name}`, byteString(value)]);
  return records;
}

/** Fits a name into name[100] and prefix[155], cut at a slash; null where that cannot be. */
function splitName(name: string): { prefix: string; name: string } | null {
  if (name.length <= 100) return { prefix: "", name };
  if (name.length > 256) return null;
  const slash = name.lastIndexOf("/", 155);
  const tail = name.slice(slash + 1);
  if (slash <= 0 || tail.length > 100 || tail === "") return null;
  return { prefix: name.slice(0, slash), name: tail };
}

function clamp(value: number, max: number): number {
  return value < 0 ? 0 : value > max ? 0 : value;
}

function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 126) return false;
  return true;
}
