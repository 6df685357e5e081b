/** Where the program starts: never outside the root, whatever `-w` says (CVE-2024-21626). */

import { EACCES, ENOENT, ENOTDIR, isErrno } from "../../ffi/errno.ts";
import { close, Fd } from "../../ffi/file.ts";
import { fchdir } from "../../ffi/process.ts";
import { O_DIRECTORY, O_PATH } from "../../ffi/constants/fcntl.ts";
import { SkiffError } from "../errors.ts";
import { ensureFolderInRoot, openInRoot, type Owner } from "../rootfs/in_root.ts";

/** Makes the folder where it is missing, owned by the program's user. */
export function createWorkdir(root: number, path: string, owner: Owner): void {
  try {
    close(ensureFolderInRoot(root, path, 0o755, owner));
  } catch (error) {
    throw new SkiffError(`create working directory ${path}: ${(error as Error).message}`, { cause: error });
  }
}

/**
 * Enters the folder with the program's own rights, resolved inside the root and without magic links such
 * as /proc/self/fd/7. Then looks where that is: the kernel calls a place outside `(unreachable)`.
 */
export function enterWorkdir(root: number, path: string): void {
  try {
    using folder = new Fd(openInRoot(root, path, O_PATH | O_DIRECTORY));
    fchdir(folder.number);
  } catch (error) {
    if (!isErrno(error, ENOENT, ENOTDIR, EACCES)) throw error;
    throw new SkiffError(`workdir ${path}: ${error.message}`, { cause: error });
  }
  if (!Deno.cwd().startsWith("/")) throw new SkiffError(`workdir ${path}: it is outside of the container`);
}
