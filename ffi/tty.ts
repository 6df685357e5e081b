/** Terminals. @see pty(7), ioctl_tty(2) */

import { ioctl, open, openat } from "./file.ts";
import { O_CLOEXEC, O_NOCTTY, O_RDWR } from "./constants/fcntl.ts";
import {
  BRKINT,
  CS8,
  CSIZE,
  ECHO,
  ECHONL,
  ICANON,
  ICRNL,
  IEXTEN,
  IGNBRK,
  IGNCR,
  INLCR,
  ISIG,
  ISTRIP,
  IXON,
  OPOST,
  PARENB,
  PARMRK,
  TCGETS,
  TCSETS,
  VMIN,
  VTIME,
} from "./constants/termios.ts";
import { TIOCGPTN, TIOCGPTPEER, TIOCSCTTY, TIOCSPTLCK, TIOCSWINSZ } from "./constants/ioctl.ts";

/** The kernel's struct termios: four u32 of flags, a line discipline, 19 control characters. */
const TERMIOS_BYTES = 36;
const CONTROL_CHARACTERS_AT = 17;

/** The modes of a terminal, opaque. @throws {SyscallError} ENOTTY where `fd` is none */
export function tcgetattr(fd: number): Uint8Array<ArrayBuffer> {
  const modes = new Uint8Array(TERMIOS_BYTES);
  ioctl(fd, TCGETS, modes);
  return modes;
}

export function tcsetattr(fd: number, modes: Uint8Array<ArrayBuffer>): void {
  ioctl(fd, TCSETS, modes);
}

/** A copy of `modes` by which every byte passes unchanged, both ways. @see cfmakeraw(3) */
export function cfmakeraw(modes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const raw = modes.slice();
  const flags = new Uint32Array(raw.buffer, 0, 4);
  flags[0]! &= ~(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
  flags[1]! &= ~OPOST;
  flags[2] = (flags[2]! & ~(CSIZE | PARENB)) | CS8;
  flags[3]! &= ~(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
  raw[CONTROL_CHARACTERS_AT + VMIN] = 1;
  raw[CONTROL_CHARACTERS_AT + VTIME] = 0;
  return raw;
}

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
