/** Numbers of the FUSE protocol. @see linux/fuse.h */

/** Opcodes of requests by the names of linux/fuse.h, without FUSE_. */
export const OPCODES = {
  LOOKUP: 1,
  FORGET: 2,
  GETATTR: 3,
  SETATTR: 4,
  READLINK: 5,
  SYMLINK: 6,
  MKNOD: 8,
  MKDIR: 9,
  UNLINK: 10,
  RMDIR: 11,
  RENAME: 12,
  LINK: 13,
  OPEN: 14,
  READ: 15,
  WRITE: 16,
  STATFS: 17,
  RELEASE: 18,
  FSYNC: 20,
  SETXATTR: 21,
  GETXATTR: 22,
  LISTXATTR: 23,
  REMOVEXATTR: 24,
  FLUSH: 25,
  INIT: 26,
  OPENDIR: 27,
  READDIR: 28,
  RELEASEDIR: 29,
  FSYNCDIR: 30,
  GETLK: 31,
  SETLK: 32,
  SETLKW: 33,
  ACCESS: 34,
  CREATE: 35,
  INTERRUPT: 36,
  DESTROY: 38,
  BATCH_FORGET: 42,
  FALLOCATE: 43,
  READDIRPLUS: 44,
  RENAME2: 45,
  LSEEK: 46,
  COPY_FILE_RANGE: 47,
  SYNCFS: 50,
  TMPFILE: 51,
} as const;

/** The protocol that is spoken here; an older kernel's minor number is answered with that number. */
export const KERNEL_VERSION = 7;
export const KERNEL_MINOR_VERSION = 45;
/** Linux 5.4: before it there is no max_pages and no copy_file_range. */
export const OLDEST_MINOR_VERSION = 31;

export const ROOT_ID = 1;

// What both sides can, bits of flags and (from 32 on, as powers of two) of flags2
export const FUSE_ASYNC_READ = 2 ** 0;
export const FUSE_POSIX_LOCKS = 2 ** 1;
export const FUSE_ATOMIC_O_TRUNC = 2 ** 3;
export const FUSE_BIG_WRITES = 2 ** 5;
export const FUSE_FLOCK_LOCKS = 2 ** 10;
export const FUSE_AUTO_INVAL_DATA = 2 ** 12;
export const FUSE_DO_READDIRPLUS = 2 ** 13;
export const FUSE_READDIRPLUS_AUTO = 2 ** 14;
export const FUSE_ASYNC_DIO = 2 ** 15;
export const FUSE_WRITEBACK_CACHE = 2 ** 16;
export const FUSE_NO_OPEN_SUPPORT = 2 ** 17;
export const FUSE_PARALLEL_DIROPS = 2 ** 18;
export const FUSE_MAX_PAGES = 2 ** 22;
export const FUSE_CACHE_SYMLINKS = 2 ** 23;
export const FUSE_NO_OPENDIR_SUPPORT = 2 ** 24;
export const FUSE_HANDLE_KILLPRIV_V2 = 2 ** 28;
export const FUSE_INIT_EXT = 2 ** 30;
/** Linux 6.6: a file that is read past the cache may be mapped shared as well. */
export const FUSE_DIRECT_IO_ALLOW_MMAP = 2 ** 36;
export const FUSE_PASSTHROUGH = 2 ** 37;

// open_flags of a reply to OPEN, CREATE and OPENDIR
export const FOPEN_DIRECT_IO = 1 << 0;
export const FOPEN_KEEP_CACHE = 1 << 1;
export const FOPEN_NONSEEKABLE = 1 << 2;
export const FOPEN_CACHE_DIR = 1 << 3;
export const FOPEN_NOFLUSH = 1 << 5;
export const FOPEN_PASSTHROUGH = 1 << 7;

// which fields of SETATTR count
export const FATTR_MODE = 1 << 0;
export const FATTR_UID = 1 << 1;
export const FATTR_GID = 1 << 2;
export const FATTR_SIZE = 1 << 3;
export const FATTR_ATIME = 1 << 4;
export const FATTR_MTIME = 1 << 5;
export const FATTR_FH = 1 << 6;
export const FATTR_ATIME_NOW = 1 << 7;
export const FATTR_MTIME_NOW = 1 << 8;
export const FATTR_KILL_SUIDGID = 1 << 11;

export const FUSE_GETATTR_FH = 1 << 0;
/** Of a page of a shared mapping, by way of any file that is open for writing. */
export const FUSE_WRITE_CACHE = 1 << 0;
export const FUSE_WRITE_KILL_SUIDGID = 1 << 2;
export const FUSE_OPEN_KILL_SUIDGID = 1 << 0;
export const FUSE_FSYNC_FDATASYNC = 1 << 0;
export const FUSE_LK_FLOCK = 1 << 0;

/** Of an entry: it is asked for again before it is used. Linux 6.2. */
export const FUSE_EXPIRE_ONLY = 1 << 0;
/** The minor version that has it. */
export const EXPIRE_ONLY_MINOR_VERSION = 38;

/** What the kernel is told unasked, in the error field of a message without a request. */
export const NOTIFICATIONS = { INVAL_INODE: 2, INVAL_ENTRY: 3, STORE: 4 } as const;
