/**
 * A member's header as Go's archive/tar writes it, byte for byte: eStargz packers and image builders use it. So a header
 * that was not fetched can be made from what a table of contents says of the member, and be checked by a digest of the
 * whole.
 *
 * @see Go, archive/tar: Header.allowedFormats, Writer.writeUSTARHeader, Writer.writePAXHeader
 */

import { byteString } from "../byte_string.ts";
import { BLOCK, checksum, writeText } from "./header.ts";
import { formatPax, type PaxRecord } from "./pax.ts";

/** Strings are byte strings, as the archive has them: a folder's name ends with a slash. */
export interface GoHeader {
  typeflag: string;
  name: string;
  linkname: string;
  mode: number;
  uid: number;
  gid: number;
  size: number;
  mtime: number;
  uname: string;
  gname: string;
  devmajor: number;
  devminor: number;
  xattrs?: ReadonlyMap<string, Uint8Array>;
}

const NAME_BYTES = 100, PREFIX_BYTES = 155, OWNER_BYTES = 32;

/** The header, with the pax header before it where the block cannot say all; undefined where Go would write no such. */
export function goHeader(header: GoHeader): Uint8Array<ArrayBuffer> | undefined {
  const { name, linkname, mode, devmajor, devminor, xattrs } = header;
  if (![mode, devmajor, devminor].every((value) => fits(value, 8))) return undefined;
  const split = splitName(name);
  const records: PaxRecord[] = Array.from(xattrs ?? [], ([key, value]) => {
    return [`SCHILY.xattr.${key}`, byteString(value)];
  });
  const add = (key: string, value: string | number, isPlain: boolean) => {
    if (!isPlain) records.push([key, String(value)]);
  };
  add("path", name, split !== undefined || isPlain(name, NAME_BYTES));
  add("linkpath", linkname, isPlain(linkname, NAME_BYTES));
  for (const key of ["uname", "gname"] as const) add(key, header[key], isPlain(header[key], OWNER_BYTES));
  for (const key of ["uid", "gid"] as const) add(key, header[key], fits(header[key], 8));
  for (const key of ["size", "mtime"] as const) add(key, header[key], fits(header[key], 12));
  if (records.length === 0) {
    return block(split === undefined ? header : { ...header, name: split.name }, split?.prefix ?? "");
  }
  // a name is only split where the block says all
  if (split !== undefined) records.push(["path", name]);
  // Go sorts by bytes
  const data = formatPax(records.sort(([one], [other]) => one < other ? -1 : one > other ? 1 : 0));
  const ascii = Object.fromEntries(
    (["name", "linkname", "uname", "gname"] as const).map((key) => [key, asciiOf(header[key])]),
  );
  const parts = [paxBlock(name, data.length), data, block({ ...header, ...ascii })];
  const whole = new Uint8Array(2 * BLOCK + Math.ceil(data.length / BLOCK) * BLOCK);
  whole.set(parts[0]!);
  whole.set(data, BLOCK);
  whole.set(parts[2]!, whole.length - BLOCK);
  return whole;
}

function block(header: GoHeader, prefix = ""): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(BLOCK);
  putText(bytes, 0, NAME_BYTES, header.name);
  putNumber(bytes, 100, 8, header.mode);
  putNumber(bytes, 108, 8, header.uid);
  putNumber(bytes, 116, 8, header.gid);
  putNumber(bytes, 124, 12, header.size);
  putNumber(bytes, 136, 12, header.mtime);
  writeText(bytes, 156, header.typeflag);
  putText(bytes, 157, NAME_BYTES, header.linkname);
  putText(bytes, 265, OWNER_BYTES, header.uname);
  putText(bytes, 297, OWNER_BYTES, header.gname);
  putNumber(bytes, 329, 8, header.devmajor);
  putNumber(bytes, 337, 8, header.devminor);
  putText(bytes, 345, PREFIX_BYTES, prefix);
  return sealed(bytes);
}

function paxBlock(name: string, size: number): Uint8Array<ArrayBuffer> {
  const slash = name.lastIndexOf("/");
  const joined = [name.slice(0, slash + 1), "PaxHeaders.0", name.slice(slash + 1)].filter((part) =>
    part !== ""
  );
  const path = asciiOf(cleaned(joined.join("/"))).slice(0, NAME_BYTES).replace(/\/+$/, "");
  const bytes = new Uint8Array(BLOCK);
  putText(bytes, 0, NAME_BYTES, path);
  for (const at of [100, 108, 116]) putNumber(bytes, at, 8, 0);
  putNumber(bytes, 124, 12, size);
  putNumber(bytes, 136, 12, 0);
  writeText(bytes, 156, "x");
  return sealed(bytes);
}

function sealed(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  writeText(bytes, 257, "ustar\x0000");
  writeText(bytes, 148, checksum(bytes).unsigned.toString(8).padStart(6, "0") + "\0 ");
  return bytes;
}

/** What is too long is cut; a cut that would end in a slash would look like a folder's. */
function putText(bytes: Uint8Array, at: number, length: number, text: string): void {
  writeText(bytes, at, text.slice(0, length));
  if (text.length > length && text[length - 1] === "/") {
    bytes[at + text.slice(0, length).replace(/\/+$/, "").length] = 0;
  }
}

/** What does not fit is in a record, and 0 here. */
function putNumber(bytes: Uint8Array, at: number, length: number, value: number): void {
  writeText(bytes, at, (fits(value, length) ? value : 0).toString(8).padStart(length - 1, "0"));
}

function fits(value: number, length: number): boolean {
  return value >= 0 && value < 8 ** (length - 1);
}

function isPlain(text: string, length: number): boolean {
  return text.length <= length && isAscii(text);
}

function splitName(name: string): { prefix: string; name: string } | undefined {
  if (name.length <= NAME_BYTES || !isAscii(name)) return undefined;
  const length = name.length > PREFIX_BYTES + 1
    ? PREFIX_BYTES + 1
    : name.endsWith("/")
    ? name.length - 1
    : name.length;
  const slash = name.slice(0, length).lastIndexOf("/");
  const tail = name.length - slash - 1;
  if (slash <= 0 || slash > PREFIX_BYTES || tail > NAME_BYTES || tail === 0) return undefined;
  return { prefix: name.slice(0, slash), name: name.slice(slash + 1) };
}

function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) >= 128 || text[at] === "\0") return false;
  return true;
}

function asciiOf(text: string): string {
  // deno-lint-ignore no-control-regex -- NUL is what is left out
  return text.replace(/[\x00\x80-\xff]/g, "");
}

/** As Go's path.Clean. */
function cleaned(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === ".." && parts.length > 0 && parts.at(-1) !== "..") parts.pop();
    else if (part !== ".." || !path.startsWith("/")) parts.push(part);
  }
  return `${path.startsWith("/") ? "/" : ""}${parts.join("/")}`;
}
