/**
 * What a process writes about itself to /proc before its program runs. To be called while the process is dumpable:
 * afterwards these files are the machine's root's.
 *
 * @see proc_pid_oom_score_adj(5), proc_pid_attr(5)
 */

import { EACCES, EINVAL, ENOENT, isErrno } from "../../ffi/errno.ts";
import { faccessat, Fd, open, writeAll } from "../../ffi/file.ts";
import { AT_FDCWD, F_OK, O_CLOEXEC, O_WRONLY } from "../../ffi/constants/fcntl.ts";
import { SkiffError } from "../errors.ts";
import type { ProcessSpec } from "../spec/runtime.ts";

export function setOwnAttributes(process: Pick<ProcessSpec, "oomScoreAdj" | "apparmorProfile">): void {
  if (process.oomScoreAdj !== undefined) setOomScore(process.oomScoreAdj);
  if (process.apparmorProfile !== undefined) setProfile(process.apparmorProfile);
}

/** How soon a process is killed when memory runs out. Children inherit it. */
function setOomScore(value: number): void {
  try {
    write("/proc/self/oom_score_adj", `${value}`);
  } catch (cause) {
    if (!isErrno(cause, EACCES)) throw cause;
    throw new SkiffError(`set oom score ${value}: without root it cannot be below the caller's`, { cause });
  }
}

/** The next program is confined by AppArmor's profile of that name; a child made before inherits the order. */
function setProfile(name: string): void {
  const own = "/proc/self/attr/apparmor/exec";
  try {
    // before Linux 5.8 all modules of the kind shared one file
    write(faccessat(AT_FDCWD, own, F_OK) ? own : "/proc/self/attr/exec", `exec ${name}`);
  } catch (cause) {
    if (isErrno(cause, ENOENT, EINVAL)) {
      throw new SkiffError(`AppArmor profile "${name}" specified but not loaded`, { cause });
    }
    throw new SkiffError(`set AppArmor profile "${name}": ${(cause as Error).message}`, { cause });
  }
}

function write(path: string, text: string): void {
  using file = new Fd(open(path, O_WRONLY | O_CLOEXEC));
  writeAll(file.number, new TextEncoder().encode(text));
}
