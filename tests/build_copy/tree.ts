/** What an image holds, as short lines, read from the tar that `export` writes: equal for skiff and podman. */

import { createHash } from "node:crypto";
import { displayName } from "../../runtime/archive/byte_string.ts";
import { chunksOf, sourceOf } from "../../runtime/archive/chunks.ts";
import { TarReader } from "../../runtime/archive/tar.ts";

export interface ImageEntry {
  /** `sub/ 755`, `file 644 5:6`, `link -> a`, `other == file` for a hard link. */
  line: string;
  mtime: number;
  text: string;
}

/** By the path without a slash in front; folders end in one. */
export function readTree(tar: Uint8Array): Map<string, ImageEntry> {
  const reader = new TarReader(chunksOf(sourceOf(tar)));
  const found = new Map<string, ImageEntry>();
  for (let entry = reader.next(); entry !== null; entry = reader.next()) {
    const path = displayName(entry.name).replace(/^\.?\/+/, "").replace(/\/+$/, "");
    const parts: Uint8Array[] = [];
    for (let piece = reader.read(); piece !== null; piece = reader.read()) parts.push(piece.slice());
    const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    const owner = entry.uid === 0 && entry.gid === 0 ? "" : ` ${entry.uid}:${entry.gid}`;
    const mode = ` ${entry.mode.toString(8)}${owner}`;
    const text = bytes.length > 200
      ? createHash("sha256").update(bytes).digest("hex")
      : new TextDecoder().decode(bytes);
    const key = entry.type === "directory" ? `${path}/` : path;
    const line = entry.type === "symlink"
      ? ` -> ${entry.linkname}${owner}`
      : entry.type === "hardlink"
      ? ` == ${entry.linkname.replace(/^\.?\/+/, "")}`
      : mode;
    found.set(key, { line, mtime: entry.mtime, text });
  }
  return found;
}

/** Lines of what lies below a folder (the folder itself is `./`), or of the one file. */
export function linesBelow(tree: Map<string, ImageEntry>, top: string): string[] {
  const lines: string[] = [];
  for (const [path, { line }] of tree) {
    const short = (text: string) => text.replace(` == ${top}/`, " == ");
    if (path === top) lines.push(`.${line}`);
    else if (path === `${top}/`) lines.push(`./${line}`);
    else if (path.startsWith(`${top}/`)) lines.push(short(path.slice(top.length + 1) + line));
  }
  return lines.sort();
}
