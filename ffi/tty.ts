/** Terminals. @see pty(7), ioctl_tty(2) */

import { ioctl, open, openat } from "./file.ts";
import { O_CLOEXEC, O_NOCTTY, O_RDWR } from "./constants/fcntl.ts";
import { TIOCGPTN, TIOCGPTPEER, TIOCSCTTY, TIOCSPTLCK, TIOCSWINSZ } from "./constants/ioctl.ts";

/** Opens the multiplexer of the devpts instance at `ptmx`, unlocked; the number names its slave. */
export function openTerminal(ptmx: string, dirfd?: number): { master: number; index: number } {
  const flags = O_RDWR | O_NOCTTY | O_CLOEXEC;
  const master = dirfd === undefined ? open(ptmx, flags) : openat(dirfd, ptmx, flags);
  const value = new Uint8Array(4);
  ioctl(master, TIOCSPTLCK, value);
  ioctl(master, TIOCGPTN, value);
  return { master, index: new DataView(value.buffer).getUint32(0, true) };
}

/** The slave of a master by the descriptor alone, whatever lies at its path. Linux 4.13. */
export function openTerminalPeer(master: number): number {
  return ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
}

/** Makes `fd` the controlling terminal of a session leader. */
export function setControllingTerminal(fd: number): void {
  ioctl(fd, TIOCSCTTY, 0);
}

/** Sets the window size and so signals the foreground group (SIGWINCH). */
export function setWindowSize(fd: number, rows: number, cols: number): void {
  const size = new Uint8Array(8);
  const view = new DataView(size.buffer);
  view.setUint16(0, rows, true);
  view.setUint16(2, cols, true);
  ioctl(fd, TIOCSWINSZ, size);
}
