/**
 * The numbers that differ by machine. Everything else in `ffi` is the same on x86-64 and aarch64.
 *
 * @see syscall(2), asm/unistd_64.h, asm-generic/unistd.h
 */

/** Machine names as Deno gives them. */
export type Machine = "x86_64" | "aarch64";

/** The machine that this process runs on. */
export const MACHINE: Machine = Deno.build.arch === "aarch64" ? "aarch64" : "x86_64";

const SYSCALL_NUMBERS = {
  x86_64: {
    seccomp: 317,
    keyctl: 250,
    setresuid: 117,
    setresgid: 119,
    setgroups: 116,
    capset: 126,
    pivot_root: 155,
    execveat: 322,
  },
  aarch64: {
    seccomp: 277,
    keyctl: 219,
    setresuid: 147,
    setresgid: 149,
    setgroups: 159,
    capset: 91,
    pivot_root: 41,
    execveat: 281,
  },
} as const;

/** Calls that came after the numbers were unified (Linux 5.1 and later), with their one number. */
const UNIFIED_SYSCALL_NUMBERS = {
  open_tree: 428,
  move_mount: 429,
  fsopen: 430,
  fsconfig: 431,
  fsmount: 432,
  pidfd_open: 434,
  close_range: 436,
  openat2: 437,
  mount_setattr: 442,
} as const;

/** pidfd_send_signal(2) was unified as well; it is 424 everywhere. */
export const SYSCALL = {
  ...SYSCALL_NUMBERS[MACHINE],
  ...UNIFIED_SYSCALL_NUMBERS,
  pidfd_send_signal: 424,
} as const;

/** struct epoll_event is packed on x86-64 only. @see epoll_ctl(2) */
export const EPOLL_EVENT = MACHINE === "x86_64"
  ? { size: 12, dataOffset: 4 } as const
  : { size: 16, dataOffset: 8 } as const;

/** Open flags that the architectures number differently. @see asm/fcntl.h */
export const OPEN_FLAGS = MACHINE === "x86_64"
  ? { O_DIRECTORY: 0o200000, O_NOFOLLOW: 0o400000, O_LARGEFILE: 0, O_DIRECT: 0o40000 } as const
  : { O_DIRECTORY: 0o40000, O_NOFOLLOW: 0o100000, O_LARGEFILE: 0, O_DIRECT: 0o200000 } as const;

/** The end of user space, up to which mappings can lie. @see Documentation/arch/x86/x86_64/mm.rst */
export const USER_SPACE_END = MACHINE === "x86_64" ? 0x7ffffffff000n : 0x1000000000000n;
