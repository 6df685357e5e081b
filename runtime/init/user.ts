/** Who the program runs as: looked up in the root's own passwd and group, from inside the root. */

import { Fd, fstat, readAll, tryOpenat2 } from "../../ffi/file.ts";
import { filesystemType } from "../../ffi/mount.ts";
import {
  O_CLOEXEC,
  O_NONBLOCK,
  O_RDONLY,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
} from "../../ffi/constants/fcntl.ts";
import { PROC_SUPER_MAGIC } from "../../ffi/constants/mount.ts";
import { S_IFMT, S_IFREG } from "../../ffi/constants/stat.ts";
import { SkiffError } from "../errors.ts";
import { ACCOUNT_FILE_LIMIT_BYTES, type ResolvedUser, resolveUser } from "../spec/passwd.ts";

/** Reads both files through `root` and resolves `user` and the added groups. */
export function resolveUserInRoot(root: number, user: string, groupAdd: readonly string[]): ResolvedUser {
  return resolveUser(user, readAccountFile(root, "etc/passwd"), readAccountFile(root, "etc/group"), groupAdd);
}

/** A regular file of bounded size, or null where there is none. A FIFO or device is never waited for. */
export function readAccountFile(root: number, path: string): string | null {
  let fd: number | undefined;
  try {
    fd = tryOpenat2(root, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
  } catch (error) {
    throw new SkiffError(`read /${path} of the container: ${(error as Error).message}`, { cause: error });
  }
  if (fd === undefined) return null;
  using file = new Fd(fd);
  if ((fstat(file.number).mode & S_IFMT) !== S_IFREG) return null;
  // A link to /proc/self/environ would make accounts of this process's own, still the caller's, environment.
  if (filesystemType(file.number) === PROC_SUPER_MAGIC) return null;
  try {
    return new TextDecoder().decode(readAll(file.number, ACCOUNT_FILE_LIMIT_BYTES));
  } catch (error) {
    throw new SkiffError(`read /${path} of the container: ${(error as Error).message}`, { cause: error });
  }
}
