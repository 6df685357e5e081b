/** How soon a process is killed when memory runs out. @see proc_pid_oom_score_adj(5) */

import { EACCES, isErrno } from "../../ffi/errno.ts";
import { Fd, open, writeAll } from "../../ffi/file.ts";
import { O_CLOEXEC, O_WRONLY } from "../../ffi/constants/fcntl.ts";
import { SkiffError } from "../errors.ts";

/** To be called while the process is dumpable: afterwards the file is the machine's root's. Children inherit it. */
export function setOomScore(value: number | undefined): void {
  if (value === undefined) return;
  using file = new Fd(open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
  try {
    writeAll(file.number, new TextEncoder().encode(`${value}`));
  } catch (cause) {
    if (!isErrno(cause, EACCES)) throw cause;
    throw new SkiffError(`set oom score ${value}: without root it cannot be below the caller's`, { cause });
  }
}
