/** @see ioctl_tty(2), ioctl_ficlone(2), ioctl_iflags(2), netdevice(7); asm-generic/ioctls.h, linux/fs.h, linux/sockios.h, linux/fuse.h */
export const TIOCSCTTY = 0x540e;
export const TIOCNOTTY = 0x5422;
export const TIOCGWINSZ = 0x5413;
export const TIOCSWINSZ = 0x5414;
export const TIOCGPTN = 0x80045430;
export const TIOCSPTLCK = 0x40045431;
export const TIOCGPTPEER = 0x5441;
export const FIONREAD = 0x541b;
export const SIOCATMARK = 0x8905;
export const FICLONE = 0x40049409;
export const FS_IOC_FSGETXATTR = 0x801c581f;
export const FS_IOC_FSSETXATTR = 0x401c5820;
/** Makes a /dev/fuse that was just opened one more of the connection of another, whose number it is given. */
export const FUSE_DEV_IOC_CLONE = 0x8004e500;
export const FS_IOC_GETFLAGS = 0x80086601;
export const FS_IOC_SETFLAGS = 0x40086602;
export const FS_TOPDIR_FL = 0x00020000;
export const SIOCGIFFLAGS = 0x8913;
export const SIOCSIFFLAGS = 0x8914;
export const IFF_UP = 0x1;
export const IFF_RUNNING = 0x40;
/** Gives the user namespace that owns a namespace file. @see ioctl_nsfs(2) */
export const NS_GET_USERNS = 0xb701;
/** Gives the user namespace around a user namespace. */
export const NS_GET_PARENT = 0xb702;
