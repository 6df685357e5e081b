/**
 * The files of an archive by name, for archives that are looked into and never unpacked: image archives. Links
 * lead to other members and nowhere else, so that no name ever becomes a path.
 */

import { byteStringOf } from "../byte_string.ts";
import type { ChunkSource } from "../chunks.ts";
import { TarError } from "./header.ts";
import { TarReader } from "./reader.ts";

/** A file: where `place` finds its bytes, and how many they are. */
export interface TarFile {
  kind: "file";
  place: number;
  size: number;
}

export type TarContent = TarFile | { kind: "link"; target: string };

/** Members by their plain names, as pairs, so that a list of them crosses a pipe. */
export type TarContentList = [name: string, content: TarContent][];

/** An image archive has a few members a layer. */
const MAX_MEMBERS = 50_000;
const MAX_LINKS = 8;

/**
 * Reads through the archive's headers.
 *
 * @param place what to note for a file whose data comes next; by default its offset in the archive
 * @throws {TarError} on what is no archive, or one with too many members
 */
export function listContents(
  chunks: ChunkSource,
  place: (reader: TarReader, size: number) => number = (reader) => reader.position,
): TarContentList {
  const reader = new TarReader(chunks);
  const list: TarContentList = [];
  for (let entry = reader.next(); entry !== null; entry = reader.next()) {
    const name = plainName(entry.name);
    if (name === null) continue;
    if (list.length === MAX_MEMBERS) throw new TarError(`it has more than ${MAX_MEMBERS} members`);
    if (entry.type === "file" && entry.sparse === undefined) {
      list.push([name, { kind: "file", place: place(reader, entry.size), size: entry.size }]);
    } else if (entry.type === "symlink" || entry.type === "hardlink") {
      const folder = entry.type === "symlink" ? name.slice(0, name.lastIndexOf("/") + 1) : "";
      const target = entry.linkname.startsWith("/") ? null : plainName(folder + entry.linkname);
      if (target !== null) list.push([name, { kind: "link", target }]);
    }
  }
  return list;
}

/** Finds files by the names that documents in the archive give them. */
export class TarContents {
  readonly #byName: Map<string, TarContent>;

  /** Of two members with one name the later counts, as for every tar. */
  constructor(list: TarContentList) {
    this.#byName = new Map(list);
  }

  /** Follows links within the archive; undefined where there is no such file. */
  find(name: string): TarFile | undefined {
    let content = this.#get(plainName(byteStringOf(name)));
    for (let links = 0; content?.kind === "link"; links++) {
      if (links === MAX_LINKS) return undefined;
      content = this.#get(content.target);
    }
    return content;
  }

  #get(name: string | null): TarContent | undefined {
    return name === null ? undefined : this.#byName.get(name);
  }
}

/** `./a//b/../c` is `a/c`; null for a name that leads out of the archive. */
export function plainName(name: string): string | null {
  const parts: string[] = [];
  for (const part of name.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.pop() === undefined) return null;
  }
  return parts.length === 0 ? null : parts.join("/");
}
