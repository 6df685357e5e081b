/** What hashes an archive in a forked child: loaded before the fork, and synchronous. */

export interface ArchiveHash {
  update(bytes: Uint8Array<ArrayBuffer>): unknown;
  /** In hex; nothing can be added afterwards. */
  finish(): string;
}

/** Up to here hashing in JavaScript takes less time than loading what does it faster: 30 ms. */
export const SMALL_ARCHIVE_BYTES = 4 << 20;

/** Loads what makes SHA-256 hashes of archives of about that many bytes; larger ones only take longer. */
export async function loadArchiveHash(bytes: number): Promise<() => ArchiveHash> {
  if (bytes <= SMALL_ARCHIVE_BYTES) {
    const { sha256 } = await import("@noble/hashes/sha2.js");
    return () => {
      const hash = sha256.create();
      return { update: (bytes) => hash.update(bytes), finish: () => hash.digest().toHex() };
    };
  }
  const { createHash } = await import("node:crypto");
  const start = () => {
    const hash = createHash("sha256");
    return {
      update: (bytes: Uint8Array<ArrayBuffer>) => hash.update(bytes),
      finish: () => hash.digest("hex"),
    };
  };
  // it loads the rest at its first use
  start().finish();
  return start;
}
