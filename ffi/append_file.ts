/** Logs that several processes append to at once, none of which keeps them open. */

import { LOCK_EX, LOCK_NB, O_APPEND, O_CLOEXEC, O_CREAT, O_WRONLY } from "./constants/fcntl.ts";
import { ENOENT, isErrno } from "./errno.ts";
import { close, flock, fstat, lseek, lstat, open, write } from "./file.ts";

/**
 * Appends `text` with one write, which O_APPEND keeps whole beside other writers. The folder (0700) and the file
 * (0600) are made where missing. A file of more than `limitBytes` becomes `path.1`, in place of the one before.
 *
 * @see open(2), O_APPEND; write(2)
 */
export function appendToLog(path: string, text: string, limitBytes: number): void {
  const fd = openLog(path);
  try {
    write(fd, new TextEncoder().encode(text));
    if (lseek(fd, 0, 1) > limitBytes) rotate(path, fd);
  } finally {
    close(fd);
  }
}

function openLog(path: string): number {
  const flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC;
  try {
    return open(path, flags, 0o600);
  } catch (error) {
    if (!isErrno(error, ENOENT)) throw error;
  }
  Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true, mode: 0o700 });
  return open(path, flags, 0o600);
}

/** Who has the lock of the full file renames it, once: somebody else may have done so before. */
function rotate(path: string, fd: number): void {
  try {
    flock(fd, LOCK_EX | LOCK_NB);
    if (lstat(path).ino === fstat(fd).ino) Deno.renameSync(path, `${path}.1`);
  } catch {
    // another writer rotates it just now; what is in excess is little
  }
}
