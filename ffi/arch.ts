/**
 * The numbers that differ by machine. Everything else in `ffi` is the same on x86-64 and aarch64.
 *
 * @see syscall(2), asm/unistd_64.h, asm-generic/unistd.h
 */

/** Machine names as Deno gives them. */
export type Machine = "x86_64" | "aarch64";

/** The machine that this process runs on. */
export const MACHINE: Machine = Deno.build.arch === "aarch64" ? "aarch64" : "x86_64";

/** Numbers on x86-64 and on aarch64. */
const SYSCALL_NUMBERS = {
  accept4: [288, 242],
  bind: [49, 200],
  capset: [126, 91],
  chdir: [80, 49],
  chroot: [161, 51],
  close: [3, 57],
  connect: [42, 203],
  copy_file_range: [326, 285],
  quotactl_fd: [443, 443],
  dup3: [292, 24],
  epoll_create1: [291, 20],
  epoll_ctl: [233, 21],
  clock_gettime: [228, 113],
  epoll_pwait: [281, 22],
  eventfd2: [290, 19],
  execve: [59, 221],
  execveat: [322, 281],
  exit_group: [231, 94],
  fallocate: [285, 47],
  fchdir: [81, 50],
  fchmod: [91, 52],
  fchmodat: [268, 53],
  fchownat: [260, 54],
  fcntl: [72, 25],
  fgetxattr: [193, 10],
  flistxattr: [196, 13],
  flock: [73, 32],
  fsetxattr: [190, 7],
  fstatfs: [138, 44],
  fsync: [74, 82],
  ftruncate: [77, 46],
  getdents64: [217, 61],
  getegid: [108, 177],
  geteuid: [107, 175],
  getgid: [104, 176],
  getpeername: [52, 205],
  getpid: [39, 172],
  getppid: [110, 173],
  getsockname: [51, 204],
  getsockopt: [55, 209],
  getuid: [102, 174],
  getxattr: [191, 8],
  inotify_add_watch: [254, 27],
  inotify_init1: [294, 26],
  inotify_rm_watch: [255, 28],
  ioctl: [16, 29],
  keyctl: [250, 219],
  kill: [62, 129],
  lgetxattr: [192, 9],
  linkat: [265, 37],
  listen: [50, 201],
  listxattr: [194, 11],
  llistxattr: [195, 12],
  lremovexattr: [198, 15],
  lsetxattr: [189, 6],
  madvise: [28, 233],
  memfd_create: [319, 279],
  mkdirat: [258, 34],
  mknodat: [259, 33],
  mount: [165, 40],
  openat: [257, 56],
  personality: [135, 92],
  pipe2: [293, 59],
  pivot_root: [155, 41],
  ppoll: [271, 73],
  prctl: [157, 167],
  pread64: [17, 67],
  prlimit64: [302, 261],
  pwrite64: [18, 68],
  read: [0, 63],
  readlinkat: [267, 78],
  recvfrom: [45, 207],
  recvmsg: [47, 212],
  removexattr: [197, 14],
  renameat2: [316, 276],
  rt_sigaction: [13, 134],
  rt_sigprocmask: [14, 135],
  seccomp: [317, 277],
  sendmsg: [46, 211],
  sendto: [44, 206],
  setdomainname: [171, 162],
  setfsgid: [123, 152],
  setfsuid: [122, 151],
  setgroups: [116, 159],
  sethostname: [170, 161],
  setns: [308, 268],
  setresgid: [119, 149],
  setresuid: [117, 147],
  setsid: [112, 157],
  setsockopt: [54, 208],
  setxattr: [188, 5],
  shutdown: [48, 210],
  signalfd4: [289, 74],
  socket: [41, 198],
  socketpair: [53, 199],
  splice: [275, 76],
  statx: [332, 291],
  symlinkat: [266, 36],
  syncfs: [306, 267],
  timerfd_create: [283, 85],
  timerfd_settime: [286, 86],
  umask: [95, 166],
  umount2: [166, 39],
  unlinkat: [263, 35],
  unshare: [272, 97],
  utimensat: [280, 88],
  wait4: [61, 260],
  write: [1, 64],
} as const satisfies Record<string, readonly [x86_64: number, aarch64: number]>;

/** Calls that came after the numbers were unified (Linux 5.1 and later), with their one number. */
const UNIFIED_SYSCALL_NUMBERS = {
  pidfd_send_signal: 424,
  open_tree: 428,
  move_mount: 429,
  fsopen: 430,
  fsconfig: 431,
  fsmount: 432,
  pidfd_open: 434,
  close_range: 436,
  openat2: 437,
  faccessat2: 439,
  mount_setattr: 442,
} as const;

type SyscallName = keyof typeof SYSCALL_NUMBERS | keyof typeof UNIFIED_SYSCALL_NUMBERS;

/** The numbers of this machine. */
export const SYSCALL = {
  ...Object.fromEntries(
    Object.entries(SYSCALL_NUMBERS).map(([name, [x86, arm]]) => [name, MACHINE === "x86_64" ? x86 : arm]),
  ),
  ...UNIFIED_SYSCALL_NUMBERS,
} as Record<SyscallName, number>;

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

/** Where ucontext_t keeps the stack pointer: gregs[REG_RSP], uc_mcontext.sp. @see getcontext(3), sys/ucontext.h */
export const UCONTEXT_STACK_POINTER_OFFSET = MACHINE === "x86_64" ? 160 : 432;
