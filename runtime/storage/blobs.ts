/**
 * Content as it was downloaded, by digest: `blobs/<algorithm>/<hex>`, and `blobs/partial/<hex>` while it comes.
 *
 * A blob is there whole or not at all: it is written under another name, synced and renamed.
 */

import { VerificationError } from "../errors.ts";
import { type Digest, digestAlgorithm, digestHex, digestOf } from "../spec/digest.ts";
import type { Folders } from "../state/folders.ts";

/** Where the blob is or would be. */
export function blobPath(folders: Folders, digest: Digest): string {
  return `${folders.blobs}/${digestAlgorithm(digest)}/${digestHex(digest)}`;
}

/** Where a download of it grows. */
export function partialPath(folders: Folders, digest: Digest): string {
  return `${folders.blobs}/partial/${digestHex(digest)}`;
}

/** Whether it is there, and as long as `size` says where that is given. */
export function hasBlob(folders: Folders, digest: Digest, size?: number): boolean {
  try {
    const info = Deno.lstatSync(blobPath(folders, digest));
    return info.isFile && (size === undefined || info.size === size);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Keeps bytes as a blob and gives their digest (sha256, or what `digest` says, which is then checked). */
export async function writeBlob(folders: Folders, bytes: Uint8Array, expected?: Digest): Promise<Digest> {
  const digest = await digestOf(bytes, expected === undefined ? "sha256" : digestAlgorithm(expected));
  if (expected !== undefined && digest !== expected) {
    throw new VerificationError(`write blob ${expected}: its digest is ${digest}`);
  }
  if (hasBlob(folders, digest, bytes.length)) return digest;
  const temporary = `${folders.blobs}/partial/${digestHex(digest)}.${crypto.randomUUID()}`;
  try {
    using file = await Deno.open(temporary, { write: true, createNew: true, mode: 0o600 });
    for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
    await file.sync();
    await Deno.rename(temporary, blobPath(folders, digest));
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw error;
  }
  await syncFolder(`${folders.blobs}/${digestAlgorithm(digest)}`);
  return digest;
}

/** Reads a small blob whole, and checks that it still is what it is called. */
export async function readBlob(folders: Folders, digest: Digest): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = Deno.readFileSync(blobPath(folders, digest));
  if (await digestOf(bytes, digestAlgorithm(digest)) !== digest) {
    throw new VerificationError(`read blob ${digest}: its content was changed`);
  }
  return bytes;
}

/** Makes a finished, verified download the blob: synced, then renamed. */
export async function commitPartial(folders: Folders, digest: Digest): Promise<void> {
  await publishBlob(folders, partialPath(folders, digest), digest);
}

/** The same for content that grew in another file of `blobs/partial`. */
export async function publishBlob(folders: Folders, path: string, digest: Digest): Promise<void> {
  {
    using file = await Deno.open(path, { read: true });
    await file.sync();
  }
  await Deno.rename(path, blobPath(folders, digest));
  await syncFolder(`${folders.blobs}/${digestAlgorithm(digest)}`);
}

/** Removes the blob and what was downloaded of it; nothing where there is none. */
export async function removeBlob(folders: Folders, digest: Digest): Promise<void> {
  for (const path of [blobPath(folders, digest), partialPath(folders, digest)]) {
    await Deno.remove(path).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }
}

async function syncFolder(path: string): Promise<void> {
  using folder = await Deno.open(path, { read: true });
  await folder.sync();
}
