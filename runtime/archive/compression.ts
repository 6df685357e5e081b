/** How bytes are packed, told by how they begin. */

import { UnsupportedError } from "../errors.ts";

export type Compression = "none" | "gzip" | "zstd";

const MAGIC: readonly { name: string; bytes: readonly number[] }[] = [
  { name: "gzip", bytes: [0x1f, 0x8b] },
  { name: "zstd", bytes: [0x28, 0xb5, 0x2f, 0xfd] },
  { name: "bzip2", bytes: [0x42, 0x5a, 0x68] },
  { name: "xz", bytes: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00] },
];

/** @throws {UnsupportedError} `<what>: …` for what is packed in a way that nothing here unpacks */
export function sniffCompression(what: string, start: Uint8Array): Compression {
  const found = MAGIC.find(({ bytes }) => bytes.every((byte, at) => start[at] === byte))?.name ?? "none";
  if (found === "none" || found === "gzip" || found === "zstd") return found;
  throw new UnsupportedError(`${what}: it is packed with ${found}, which cannot be read here`, {
    hint: `unpack it on the way: ${found} -dc FILE | skiff …`,
  });
}
