/**
 * File systems of any type, made as mount(8) makes them: with NFS the version is found that the server speaks, as
 * mount.nfs(8) does.
 */

import { EPROTONOSUPPORT, isErrno } from "../../ffi/errno.ts";
import { newFilesystem } from "../../ffi/mount.ts";

/** The newest first. */
const NFS_VERSIONS = ["4.2", "4.1", "4.0", "3"];
/** Of the type `nfs4`, which is never the old protocol. */
const NFS4_VERSIONS = NFS_VERSIONS.slice(0, 3);
const NFS_VERSION_WORD = /^(vers=|nfsvers=|minorversion=|v\d)/;

/** @see nfs(5), nfsvers */
export function newTypedFilesystem(...[type, device, data, set]: Parameters<typeof newFilesystem>): number {
  let refused: unknown;
  for (const words of versionsToTry(type, data)) {
    try {
      return newFilesystem(type, device, [...words, ...data], set);
    } catch (error) {
      if (!isErrno(error, EPROTONOSUPPORT)) throw error;
      refused ??= error;
    }
  }
  throw refused;
}

/** Of each attempt the words that are added. */
export function versionsToTry(type: string, data: readonly string[]): string[][] {
  const versions = type === "nfs" ? NFS_VERSIONS : type === "nfs4" ? NFS4_VERSIONS : undefined;
  if (versions === undefined || data.some((word) => NFS_VERSION_WORD.test(word))) return [[]];
  return versions.map((version) => [`vers=${version}`]);
}
