/** A file of the user becomes a blob of the store. */

import { hostReason, InvalidArgumentError } from "../errors.ts";
import type { Digest } from "../spec/digest.ts";
import { printable } from "../spec/printable.ts";
import type { Folders } from "../state/folders.ts";
import { hasBlob, publishBlob } from "./blobs.ts";

export interface FileBlob {
  digest: Digest;
  size: number;
  /** Its first bytes. */
  head: Uint8Array;
}

/** Copies the file while it is hashed: what is written to it meanwhile cannot make a blob of another digest. */
export async function addFileBlob(folders: Folders, path: string, headBytes: number): Promise<FileBlob> {
  const { createHash } = await import("node:crypto");
  const hash = createHash("sha256");
  using from = await openFile(path);
  const temporary = `${folders.blobs}/partial/file-${crypto.randomUUID()}`;
  const head = new Uint8Array(headBytes);
  let size = 0;
  try {
    {
      using to = await Deno.open(temporary, { write: true, createNew: true, mode: 0o600 });
      const buffer = new Uint8Array(1 << 20);
      for (let n = await from.read(buffer); n !== null; n = await from.read(buffer)) {
        const piece = buffer.subarray(0, n);
        hash.update(piece);
        if (size < headBytes) head.set(piece.subarray(0, headBytes - size), size);
        for (let at = 0; at < n;) at += await to.write(piece.subarray(at));
        size += n;
      }
    }
    const digest = `sha256:${hash.digest("hex")}` as Digest;
    if (hasBlob(folders, digest, size)) await Deno.remove(temporary);
    else await publishBlob(folders, temporary, digest);
    return { digest, size, head: head.subarray(0, Math.min(size, headBytes)) };
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw error;
  }
}

async function openFile(path: string): Promise<Deno.FsFile> {
  try {
    const info = await Deno.stat(path);
    // a pipe without a writer would be waited for for ever
    if (!info.isFile) throw new InvalidArgumentError(`add "${printable(path)}": it is no regular file`);
    return await Deno.open(path, { read: true });
  } catch (cause) {
    if (cause instanceof InvalidArgumentError) throw cause;
    throw new InvalidArgumentError(`open ${printable(path)}: ${hostReason(cause)}`, { cause });
  }
}
