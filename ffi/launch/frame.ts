/**
 * What the parts of the launching program share: registers, the frame on its stack, the numbers of the kernel.
 *
 * ```
 *  rbx   the stack at the start: argc, argv, envp, auxv      r12        the user
 *  rbp   the frame (AT), and the buffers below it            r13        where the next pointer of a vector goes;
 *                                                                       of the folders, a descriptor
 *                                                            r14, r15   end of the room for texts; of what is in it
 * ```
 */

import { type Code, lines, SYSCALL_INSTRUCTION } from "../assembler.ts";
import { add, lea, load, load32, mov, type Register, store, when } from "../x86_instructions.ts";

/** Numbers of x86-64: the machine that builds may be another. @see asm/unistd_64.h, asm-generic/fcntl.h */
export const SYS = {
  read: 0,
  write: 1,
  close: 3,
  rt_sigaction: 13,
  rt_sigprocmask: 14,
  access: 21,
  execve: 59,
  getcwd: 79,
  readlink: 89,
  getuid: 102,
  geteuid: 107,
  exit_group: 231,
  openat: 257,
  newfstatat: 262,
  prlimit64: 302,
} as const;
export const AT_FDCWD = -100, AT_SYMLINK_NOFOLLOW = 0x100, AT_EMPTY_PATH = 0x1000;
export const O_NONBLOCK = 0o4000, O_DIRECTORY = 0o200000, O_NOFOLLOW = 0o400000;
export const O_CLOEXEC = 0o2000000, O_PATH = 0o10000000;
export const S_IFDIR = 0o40000, S_IFREG = 0o100000, S_IFMT = 0o170000;
export const S_ISVTX = 0o1000, S_ISGID = 0o2000, WRITABLE_FOR_OTHERS = 0o22;
export const AT_EXECFN = 31;
export const X_OK = 1, EFAULT = 14, E2BIG = 7;
export const SIGCHLD = 17, SIG_SETMASK = 2, SIGSET_SIZE = 8;
/** struct stat */
export const ST_DEV = 0, ST_INO = 8, ST_MODE = 24, ST_UID = 28, ST_SIZE = 48;
export const PATH_MAX = 4096;

/** The frame: words, by their distance from rbp, and what system calls fill. */
export const AT = {
  // values of variables; the distance is in `names`, too
  cacheHome: 3 * 8,
  home: 4 * 8,
  runtimeDir: 5 * 8,
  pwd: 6 * 8,
  path: 7 * 8,
  /** The path by which this file was executed. */
  name: 8 * 8,
  envp: 9 * 8,
  /** The new environment, and its end while it is made. */
  variables: 10 * 8,
  variablesEnd: 11 * 8,
  rootOwner: 12 * 8,
  nofile: 13 * 8,
  // texts
  folder: 14 * 8,
  frozen: 15 * 8,
  runtime: 16 * 8,
  main: 17 * 8,
  codeCache: 18 * 8,
  file: 19 * 8,
  nofileText: 20 * 8,
  number: 21 * 8,
  numberEnd: 24 * 8,
  boot: 25 * 8,
  limit: 33 * 8,
  stat: 36 * 8,
  link: 64 * 8,
} as const;
export const FRAME_SIZE = AT.link + PATH_MAX;
/** Below the frame: the current folder, before it the name that makes a variable of it, and room for texts. */
export const FOLDER_NAME = "PWD=";
export const CURRENT = -PATH_MAX, TEXTS_SIZE = 8 * PATH_MAX;
export const TEXTS = CURRENT - 8 - TEXTS_SIZE, BUFFERS_SIZE = -TEXTS;
export const BOOT_ID_LENGTH = 36;

/** What the table `names` says of a variable; of `VALUES`: where in the frame the value's address goes. */
export const END = 0, HEADERS = 1, DROPPED = 2, PUT_ASIDE = 3;
/** What stands before the name of one that is put aside. */
export const ASIDE = "SKIFF_CALLER_";
export const VALUES = {
  XDG_CACHE_HOME: AT.cacheHome,
  HOME: AT.home,
  XDG_RUNTIME_DIR: AT.runtimeDir,
  PWD: AT.pwd,
  PATH: AT.path,
} as const;

export const kernel = (number: number): Code => [...mov("rax", number), ...SYSCALL_INSTRUCTION];
export const character = (text: string) => text.charCodeAt(0);
/** Eight characters as they are loaded into a register. */
export const eight = (text: string) =>
  new DataView(new TextEncoder().encode(text).buffer).getBigUint64(0, true);

/** openat(2) of the path that rsi points to, to rax. */
export const openAt = (folder: Register | number, flags: number, failed: string): Code =>
  lines(mov("rdi", folder), mov("rdx", flags), kernel(SYS.openat), when("rax", "<", 0, failed));

/** stat(2) of the path that rsi points to, into the frame. */
export const statAt = (folder: Register | number, flags: number, failed: string): Code =>
  lines(
    mov("rdi", folder),
    lea("rdx", "rbp", AT.stat),
    mov("r10", flags),
    kernel(SYS.newfstatat),
    when("rax", "!=", 0, failed),
  );

/** Makes room for a text: from here on `put` begins a new one, where those before are not needed any more. */
export const roomForTexts: Code = lines(lea("r15", "rbp", TEXTS), lea("r14", "rbp", TEXTS + TEXTS_SIZE));

/** Goes on at `other` unless what stat told is the user's, of this mode (with its type) and size. */
export const expectFile = (mode: Register | number, size: Register, other: string): Code =>
  lines(
    load32("rax", "rbp", AT.stat + ST_UID),
    when("rax", "!=", "r12", other),
    load32("rax", "rbp", AT.stat + ST_MODE),
    when("rax", "!=", mode, other),
    load("rax", "rbp", AT.stat + ST_SIZE),
    when("rax", "!=", size, other),
  );

/** Puts what rax points to at the end of the vector at r13. */
export const append: Code = lines(store("r13", 0, "rax"), add("r13", 8));
