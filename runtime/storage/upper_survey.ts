/** How much an upper folder holds, and whether its user may read and copy all of it without being root of a namespace. */

import { bytesOf, byteString, byteStringOf } from "../archive/byte_string.ts";
import { SyscallError } from "../../ffi/errno.ts";
import { Fd, fstat, open, openat, readdir, type Stat, statx } from "../../ffi/file.ts";
import { lgetxattr, llistxattr } from "../../ffi/xattr.ts";
import { AT_SYMLINK_NOFOLLOW } from "../../ffi/constants/fcntl.ts";
import { S_IFBLK, S_IFCHR, S_IFMT, S_IFREG } from "../../ffi/constants/stat.ts";
import { isFolder, isWhiteout, OPEN_FOLDER } from "./layered_folder.ts";
import type { Owner } from "./capture_changes.ts";

export interface UpperSurvey {
  entries: number;
  /** About as much as its archive will have. */
  bytes: number;
  /** Nothing in it is another's, closed to its owner, a device, or else outside of the namespace, as ACLs are. */
  isOwn: boolean;
}

/** Entries after which it is not looked further: nothing is done in between. */
const LIMIT_ENTRIES = 1000;
/** A folder of more has more names than that, and all are read at once. */
const LIMIT_FOLDER_BYTES = 1 << 18;
/** Of a member's headers. */
const HEADER_BYTES = 1536;

/** Looks at the tree as the user does; undefined where it is large or cannot be read by him. */
export function surveyUpper(path: string, { uid, gid }: Owner, limitBytes: number): UpperSurvey | undefined {
  const found: UpperSurvey = { entries: 0, bytes: 0, isOwn: true };
  const look = (stat: Stat, attributesOf: string) => {
    const type = stat.mode & S_IFMT;
    found.bytes += HEADER_BYTES + (type === S_IFREG ? stat.size : 0);
    const isDevice = (type === S_IFCHR && !isWhiteout(stat)) || type === S_IFBLK;
    found.isOwn &&= stat.uid === uid && stat.gid === gid && !isDevice && isOpenToOwner(stat);
    lookAtAttributes(bytesOf(attributesOf));
    return ++found.entries <= LIMIT_ENTRIES && found.bytes <= limitBytes &&
      (!isFolder(stat) || stat.size <= LIMIT_FOLDER_BYTES);
  };
  const lookAtAttributes = (path: Uint8Array<ArrayBuffer>) => {
    for (const name of llistxattr(path)) {
      found.isOwn &&= byteString(name).startsWith("user.");
      if (found.bytes <= limitBytes) found.bytes += name.length + (lgetxattr(path, name)?.length ?? 0);
    }
  };
  const folder = (fd: number): boolean =>
    readdir(fd).every(({ name }) => {
      const stat = statx(fd, name, AT_SYMLINK_NOFOLLOW);
      if (!look(stat, `/proc/self/fd/${fd}/${byteString(name)}`)) return false;
      if (!isFolder(stat)) return true;
      using inner = new Fd(openat(fd, name, OPEN_FOLDER));
      return folder(inner.number);
    });
  try {
    using root = new Fd(open(path, OPEN_FOLDER));
    const isSmall = look(fstat(root.number), byteStringOf(path)) && folder(root.number);
    return isSmall ? found : undefined;
  } catch (error) {
    if (error instanceof SyscallError) return undefined;
    throw error;
  }
}

function isOpenToOwner(stat: Stat): boolean {
  const needed = isFolder(stat) ? 0o700 : (stat.mode & S_IFMT) === S_IFREG ? 0o400 : 0;
  return (stat.mode & needed) === needed;
}
