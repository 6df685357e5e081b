/** Programs that are in no file system. @see memfd_create(2) */

import { EINVAL, isErrno } from "./errno.ts";
import { memfd_create } from "./file.ts";
import { MFD_ALLOW_SEALING, MFD_CLOEXEC } from "./constants/memfd.ts";

/** Linux 6.3, newer than the headers that constants are checked by: may be executed where vm.memfd_noexec=1. */
const MFD_EXEC = 0x10;

/** An empty file that may be executed, and sealed. */
export function createExecutableMemfd(name: string): number {
  const flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  try {
    return memfd_create(name, flags | MFD_EXEC);
  } catch (error) {
    if (!isErrno(error, EINVAL)) throw error;
    return memfd_create(name, flags);
  }
}
