/** @see termios(3), ioctl_tty(2); asm-generic/termbits.h, alike on x86-64 and aarch64 */
export const TCGETS = 0x5401;
/** Sets at once. */
export const TCSETS = 0x5402;
/** Input flags. */
export const IGNBRK = 0x1;
export const BRKINT = 0x2;
export const PARMRK = 0x8;
export const ISTRIP = 0x20;
export const INLCR = 0x40;
export const IGNCR = 0x80;
export const ICRNL = 0x100;
export const IXON = 0x400;
/** Output flag. */
export const OPOST = 0x1;
/** Control flags. */
export const CSIZE = 0x30;
export const CS8 = 0x30;
export const PARENB = 0x100;
/** Local flags. */
export const ISIG = 0x1;
export const ICANON = 0x2;
export const ECHO = 0x8;
export const ECHONL = 0x40;
export const IEXTEN = 0x8000;
/** Places in c_cc. */
export const VTIME = 5;
export const VMIN = 6;
