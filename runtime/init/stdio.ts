/** The streams and environment that a program starts with. */

import { close, dup2, fcntl } from "../../ffi/file.ts";
import { setControllingTerminal } from "../../ffi/tty.ts";
import { F_DUPFD_CLOEXEC } from "../../ffi/constants/fcntl.ts";

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

/** Adds HOME where the environment has none. */
export function withHome(env: readonly string[], home: string | undefined): string[] {
  return home === undefined || env.some((entry) => entry.startsWith("HOME="))
    ? [...env]
    : [...env, `HOME=${home}`];
}
