/**
 * Owners that a single-id map cannot give to files, kept beside the layer: `<uid>:<gid>:<path>\0` for each
 * entry that does not belong to 0:0.
 */

import { bytesOf, byteString } from "../archive/byte_string.ts";
import { writeAll } from "../../ffi/file.ts";

/** Writes owners to an open file, buffered. */
export class OwnerRecorder {
  #fd: number;
  #text = "";

  constructor(fd: number) {
    this.#fd = fd;
  }

  /** `path` is a byte string, relative to the layer's root. Of 0:0 it is written down only that it became so. */
  add(path: string, uid: number, gid: number, became = false): void {
    if (uid === 0 && gid === 0 && !became) return;
    this.#text += `${uid}:${gid}:${path}\0`;
    if (this.#text.length > 1 << 16) this.flush();
  }

  flush(): void {
    if (this.#text !== "") writeAll(this.#fd, bytesOf(this.#text));
    this.#text = "";
  }
}

/** Reads such a file; a later record of a path wins. */
export function parseOwners(data: Uint8Array): Map<string, { uid: number; gid: number }> {
  const owners = new Map<string, { uid: number; gid: number }>();
  for (let at = 0; at < data.length;) {
    const end = data.indexOf(0, at);
    if (end === -1) break;
    const match = /^([0-9]+):([0-9]+):([^]*)$/.exec(byteString(data, at, end));
    if (match !== null) owners.set(match[3]!, { uid: Number(match[1]), gid: Number(match[2]) });
    at = end + 1;
  }
  return owners;
}
