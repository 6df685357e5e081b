/** The streams and environment that a program starts with. */

import { EINVAL, EPERM, isErrno } from "../../ffi/errno.ts";
import { close, dup2, fchownat, fcntl, fstat } from "../../ffi/file.ts";
import { setControllingTerminal } from "../../ffi/tty.ts";
import { AT_EMPTY_PATH, F_DUPFD_CLOEXEC } from "../../ffi/constants/fcntl.ts";
import { S_IFIFO, S_IFMT } from "../../ffi/constants/stat.ts";

/** Descriptors of the standard streams, or `terminal`, for which a console is opened. */
export type InitStdio = { stdin: number; stdout: number; stderr: number } | "terminal";

/** Puts the streams on 0 to 2 and makes the terminal the session's own. */
export function placeStdio(stdio: InitStdio, terminal: number | undefined): void {
  if (stdio === "terminal") {
    setControllingTerminal(terminal!);
    for (const target of [0, 1, 2]) dup2(terminal!, target);
    close(terminal!);
    return;
  }
  // Moved out of the way first: the three may stand in each other's places.
  const moved = [stdio.stdin, stdio.stdout, stdio.stderr].map((fd) => fcntl(fd, F_DUPFD_CLOEXEC, 10));
  moved.forEach((fd, target) => dup2(fd, target));
  for (const fd of moved) close(fd);
  for (const fd of Object.values(stdio)) if (fd > 2) close(fd);
}

/**
 * Gives the pipes to the program's user, who may then open /dev/stdout again. Nothing but pipes: a stream that
 * is a file or /dev/null is the host's.
 *
 * @see runc libcontainer/init_linux.go, fixStdioPermissions
 */
export function giveStdio(stdio: InitStdio, uid: number): void {
  if (stdio === "terminal" || uid === 0) return;
  for (const fd of Object.values(stdio)) {
    if ((fstat(fd).mode & S_IFMT) !== S_IFIFO) continue;
    try {
      fchownat(fd, "", uid, -1 >>> 0, AT_EMPTY_PATH);
    } catch (error) {
      // With a single-id map there is nobody to give it to.
      if (!isErrno(error, EINVAL, EPERM)) throw error;
    }
  }
}

/** Adds HOME where the environment has none. */
export function withHome(env: readonly string[], home: string | undefined): string[] {
  return home === undefined || env.some((entry) => entry.startsWith("HOME="))
    ? [...env]
    : [...env, `HOME=${home}`];
}
