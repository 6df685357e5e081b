/**
 * Every symbol of libc that skiff calls, with its C prototype beside it. The only caller of `Deno.dlopen`.
 *
 * A symbol costs about 0.1 ms when it is opened, so symbols are opened by family, at first use. What a
 * forked child calls must be open before the fork: `openFamilies`.
 *
 * `long syscall(long number, ...)` stands in for calls that older glibc has no wrapper for. A size_t that
 * never exceeds 2 GiB is declared u32, which Deno passes on its fast path (usize is twice as slow).
 */

import { SYSCALL } from "./arch.ts";

const FAMILIES = {
  errno: {
    __errno_location: { parameters: [], result: "pointer" }, // int *__errno_location(void)
  },
  fork: {
    fork: { parameters: [], result: "i32" }, // pid_t fork(void)
    madvise: { parameters: ["pointer", "usize", "i32"], result: "i32" }, // int madvise(void *, size_t, int)
    _exit: { parameters: ["i32"], result: "void" }, // void _exit(int)
    waitpid: { parameters: ["i32", "buffer", "i32"], result: "i32" }, // pid_t waitpid(pid_t, int *, int)
    // int waitid(idtype_t, id_t, siginfo_t *, int)
    waitid: { parameters: ["i32", "i32", "buffer", "i32"], result: "i32" },
    waitpidAsync: {
      name: "waitpid",
      parameters: ["i32", "buffer", "i32"],
      result: "i32",
      nonblocking: true,
    }, // the same, on a thread of its own
  },
  spawn: {
    // int posix_spawn(pid_t *, const char *path, const posix_spawn_file_actions_t *,
    //                 const posix_spawnattr_t *, char *const argv[], char *const envp[])
    posix_spawn: {
      parameters: ["buffer", "buffer", "buffer", "buffer", "buffer", "buffer"],
      result: "i32",
    },
    posix_spawn_file_actions_init: { parameters: ["buffer"], result: "i32" },
    posix_spawn_file_actions_destroy: { parameters: ["buffer"], result: "i32" },
    // int posix_spawn_file_actions_adddup2(posix_spawn_file_actions_t *, int, int)
    posix_spawn_file_actions_adddup2: { parameters: ["buffer", "i32", "i32"], result: "i32" },
    posix_spawnattr_init: { parameters: ["buffer"], result: "i32" },
    posix_spawnattr_destroy: { parameters: ["buffer"], result: "i32" },
    // int posix_spawnattr_setflags(posix_spawnattr_t *, short)
    posix_spawnattr_setflags: { parameters: ["buffer", "i16"], result: "i32" },
    // int posix_spawnattr_setsigdefault(posix_spawnattr_t *, const sigset_t *)
    posix_spawnattr_setsigdefault: { parameters: ["buffer", "buffer"], result: "i32" },
    posix_spawnattr_setsigmask: { parameters: ["buffer", "buffer"], result: "i32" },
  },
  process: {
    getpid: { parameters: [], result: "i32" }, // pid_t getpid(void)
    getppid: { parameters: [], result: "i32" }, // pid_t getppid(void)
    setsid: { parameters: [], result: "i32" }, // pid_t setsid(void)
    // int prctl(int, unsigned long, unsigned long, unsigned long, unsigned long)
    prctl: { parameters: ["i32", "usize", "usize", "usize", "usize"], result: "i32" },
    prctlBuffer: { name: "prctl", parameters: ["i32", "buffer", "usize", "usize", "usize"], result: "i32" },
    kill: { parameters: ["i32", "i32"], result: "i32" }, // int kill(pid_t, int)
    // long syscall(SYS_pidfd_open, pid_t, unsigned)
    pidfd_open: { name: "syscall", parameters: ["i32", "i32", "u32"], result: "i32" },
    // long syscall(SYS_pidfd_send_signal, int, int, siginfo_t *, unsigned)
    pidfd_send_signal: {
      name: "syscall",
      parameters: ["i32", "i32", "i32", "pointer", "u32"],
      result: "i32",
    },
    // int execve(const char *, char *const[], char *const[])
    execve: { parameters: ["buffer", "buffer", "buffer"], result: "i32" },
    // long syscall(SYS_execveat, int, const char *, char *const[], char *const[], int)
    execveat: {
      name: "syscall",
      parameters: ["i32", "i32", "buffer", "buffer", "buffer", "i32"],
      result: "i32",
    },
    umask: { parameters: ["u32"], result: "u32" }, // mode_t umask(mode_t)
    chdir: { parameters: ["buffer"], result: "i32" }, // int chdir(const char *)
    fchdir: { parameters: ["i32"], result: "i32" }, // int fchdir(int)
    chroot: { parameters: ["buffer"], result: "i32" }, // int chroot(const char *)
    sethostname: { parameters: ["buffer", "usize"], result: "i32" }, // int sethostname(const char *, size_t)
    setdomainname: { parameters: ["buffer", "usize"], result: "i32" },
    // int prlimit(pid_t, int resource, const struct rlimit *, struct rlimit *)
    prlimit: { parameters: ["i32", "i32", "buffer", "buffer"], result: "i32" },
    // long syscall(SYS_keyctl, int, const char *)
    keyctl: { name: "syscall", parameters: ["i32", "i32", "pointer"], result: "i32" },
    // long syscall(SYS_seccomp, unsigned op, unsigned flags, void *)
    seccomp: { name: "syscall", parameters: ["i32", "u32", "u32", "buffer"], result: "i32" },
  },
  credentials: {
    getuid: { parameters: [], result: "u32" }, // uid_t getuid(void)
    geteuid: { parameters: [], result: "u32" },
    getgid: { parameters: [], result: "u32" },
    getegid: { parameters: [], result: "u32" },
    // The raw calls: glibc's wrappers signal every thread it believes there is.
    // long syscall(SYS_setresuid, uid_t, uid_t, uid_t)
    setresuid: { name: "syscall", parameters: ["i32", "u32", "u32", "u32"], result: "i32" },
    setresgid: { name: "syscall", parameters: ["i32", "u32", "u32", "u32"], result: "i32" },
    // long syscall(SYS_setgroups, size_t, const gid_t *)
    setgroups: { name: "syscall", parameters: ["i32", "usize", "buffer"], result: "i32" },
    // long syscall(SYS_capset, cap_user_header_t, const cap_user_data_t)
    capset: { name: "syscall", parameters: ["i32", "buffer", "buffer"], result: "i32" },
  },
  namespaces: {
    unshare: { parameters: ["i32"], result: "i32" }, // int unshare(int)
    setns: { parameters: ["i32", "i32"], result: "i32" }, // int setns(int, int)
  },
  file: {
    // int openat(int, const char *, int, mode_t)
    openat: { parameters: ["i32", "buffer", "i32", "u32"], result: "i32" },
    // long syscall(SYS_openat2, int, const char *, struct open_how *, size_t)
    openat2: { name: "syscall", parameters: ["i32", "i32", "buffer", "buffer", "usize"], result: "i32" },
    close: { parameters: ["i32"], result: "i32" }, // int close(int)
    // long syscall(SYS_close_range, unsigned, unsigned, unsigned)
    close_range: { name: "syscall", parameters: ["i32", "u32", "u32", "u32"], result: "i32" },
    read: { parameters: ["i32", "buffer", "u32"], result: "i32" }, // ssize_t read(int, void *, size_t)
    write: { parameters: ["i32", "buffer", "u32"], result: "i32" }, // ssize_t write(int, const void *, size_t)
    readPointer: { name: "read", parameters: ["i32", "pointer", "u32"], result: "i32" },
    writePointer: { name: "write", parameters: ["i32", "pointer", "u32"], result: "i32" },
    readAsync: { name: "read", parameters: ["i32", "buffer", "u32"], result: "i32", nonblocking: true },
    // ssize_t pread(int, void *, size_t, off_t)
    pread: { parameters: ["i32", "buffer", "u32", "i64"], result: "i32" },
    pwrite: { parameters: ["i32", "buffer", "u32", "i64"], result: "i32" },
    lseek: { parameters: ["i32", "i64", "i32"], result: "i64" }, // off_t lseek(int, off_t, int)
    ftruncate: { parameters: ["i32", "i64"], result: "i32" }, // int ftruncate(int, off_t)
    fsync: { parameters: ["i32"], result: "i32" }, // int fsync(int)
    fdatasync: { parameters: ["i32"], result: "i32" },
    syncfs: { parameters: ["i32"], result: "i32" },
    // int statx(int, const char *, int flags, unsigned mask, struct statx *)
    statx: { parameters: ["i32", "buffer", "i32", "u32", "buffer"], result: "i32" },
    mkdirat: { parameters: ["i32", "buffer", "u32"], result: "i32" }, // int mkdirat(int, const char *, mode_t)
    // int mknodat(int, const char *, mode_t, dev_t)
    mknodat: { parameters: ["i32", "buffer", "u32", "u64"], result: "i32" },
    symlinkat: { parameters: ["buffer", "i32", "buffer"], result: "i32" }, // int symlinkat(const char *, int, const char *)
    // int linkat(int, const char *, int, const char *, int)
    linkat: { parameters: ["i32", "buffer", "i32", "buffer", "i32"], result: "i32" },
    unlinkat: { parameters: ["i32", "buffer", "i32"], result: "i32" }, // int unlinkat(int, const char *, int)
    // int renameat2(int, const char *, int, const char *, unsigned)
    renameat2: { parameters: ["i32", "buffer", "i32", "buffer", "u32"], result: "i32" },
    // ssize_t readlinkat(int, const char *, char *, size_t)
    readlinkat: { parameters: ["i32", "buffer", "buffer", "u32"], result: "i32" },
    fchmod: { parameters: ["i32", "u32"], result: "i32" }, // int fchmod(int, mode_t)
    // int fchmodat(int, const char *, mode_t, int)
    fchmodat: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
    fchown: { parameters: ["i32", "u32", "u32"], result: "i32" }, // int fchown(int, uid_t, gid_t)
    // int fchownat(int, const char *, uid_t, gid_t, int)
    fchownat: { parameters: ["i32", "buffer", "u32", "u32", "i32"], result: "i32" },
    // int utimensat(int, const char *, const struct timespec[2], int)
    utimensat: { parameters: ["i32", "buffer", "buffer", "i32"], result: "i32" },
    faccessat: { parameters: ["i32", "buffer", "i32", "i32"], result: "i32" }, // int faccessat(int, const char *, int, int)
    dup: { parameters: ["i32"], result: "i32" }, // int dup(int)
    dup3: { parameters: ["i32", "i32", "i32"], result: "i32" }, // int dup3(int, int, int)
    dup2: { parameters: ["i32", "i32"], result: "i32" }, // int dup2(int, int)
    pipe2: { parameters: ["buffer", "i32"], result: "i32" }, // int pipe2(int[2], int)
    fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" }, // int fcntl(int, int, int)
    flock: { parameters: ["i32", "i32"], result: "i32" }, // int flock(int, int)
    flockAsync: { name: "flock", parameters: ["i32", "i32"], result: "i32", nonblocking: true },
    memfd_create: { parameters: ["buffer", "u32"], result: "i32" }, // int memfd_create(const char *, unsigned)
    ioctl: { parameters: ["i32", "usize", "i32"], result: "i32" }, // int ioctl(int, unsigned long, int)
    ioctlBuffer: { name: "ioctl", parameters: ["i32", "usize", "buffer"], result: "i32" },
    // ssize_t copy_file_range(int, off_t *, int, off_t *, size_t, unsigned)
    copy_file_range: {
      parameters: ["i32", "pointer", "i32", "pointer", "u32", "u32"],
      result: "i32",
    },
    // ssize_t getdents64(int, void *, size_t)
    getdents64: { parameters: ["i32", "buffer", "u32"], result: "i32" },
    posix_fallocate: { parameters: ["i32", "i64", "i64"], result: "i32" }, // int posix_fallocate(int, off_t, off_t)
    sync_file_range: { parameters: ["i32", "i64", "i64", "u32"], result: "i32" },
  },
  memory: {
    // void *mmap(void *, size_t, int prot, int flags, int fd, off_t)
    mmap: { parameters: ["pointer", "usize", "i32", "i32", "i32", "i64"], result: "pointer" },
    munmap: { parameters: ["pointer", "usize"], result: "i32" }, // int munmap(void *, size_t)
  },
  xattr: {
    // int lsetxattr(const char *path, const char *name, const void *value, size_t, int flags)
    lsetxattr: { parameters: ["buffer", "buffer", "buffer", "u32", "i32"], result: "i32" },
    fsetxattr: { parameters: ["i32", "buffer", "buffer", "u32", "i32"], result: "i32" },
    // ssize_t lgetxattr(const char *path, const char *name, void *value, size_t)
    lgetxattr: { parameters: ["buffer", "buffer", "buffer", "u32"], result: "i32" },
    fgetxattr: { parameters: ["i32", "buffer", "buffer", "u32"], result: "i32" },
    llistxattr: { parameters: ["buffer", "buffer", "u32"], result: "i32" }, // ssize_t llistxattr(const char *, char *, size_t)
    flistxattr: { parameters: ["i32", "buffer", "u32"], result: "i32" },
    lremovexattr: { parameters: ["buffer", "buffer"], result: "i32" }, // int lremovexattr(const char *, const char *)
  },
  mount: {
    // int mount(const char *, const char *, const char *, unsigned long, const void *)
    mount: { parameters: ["buffer", "buffer", "buffer", "usize", "buffer"], result: "i32" },
    umount2: { parameters: ["buffer", "i32"], result: "i32" }, // int umount2(const char *, int)
    // long syscall(SYS_pivot_root, const char *, const char *)
    pivot_root: { name: "syscall", parameters: ["i32", "buffer", "buffer"], result: "i32" },
    // long syscall(SYS_open_tree, int, const char *, unsigned)
    open_tree: { name: "syscall", parameters: ["i32", "i32", "buffer", "u32"], result: "i32" },
    // long syscall(SYS_move_mount, int, const char *, int, const char *, unsigned)
    move_mount: {
      name: "syscall",
      parameters: ["i32", "i32", "buffer", "i32", "buffer", "u32"],
      result: "i32",
    },
    fsopen: { name: "syscall", parameters: ["i32", "buffer", "u32"], result: "i32" }, // long syscall(SYS_fsopen, const char *, unsigned)
    // long syscall(SYS_fsconfig, int, unsigned cmd, const char *key, const void *value, int aux)
    fsconfig: {
      name: "syscall",
      parameters: ["i32", "i32", "u32", "buffer", "buffer", "i32"],
      result: "i32",
    },
    fsmount: { name: "syscall", parameters: ["i32", "i32", "u32", "u32"], result: "i32" }, // long syscall(SYS_fsmount, int, unsigned, unsigned)
    // long syscall(SYS_mount_setattr, int, const char *, unsigned, struct mount_attr *, size_t)
    mount_setattr: {
      name: "syscall",
      parameters: ["i32", "i32", "buffer", "u32", "buffer", "usize"],
      result: "i32",
    },
    fstatfs: { parameters: ["i32", "buffer"], result: "i32" }, // int fstatfs(int, struct statfs *)
  },
  clock: {
    clock_gettime: { parameters: ["i32", "buffer"], result: "i32" }, // int clock_gettime(clockid_t, struct timespec *)
  },
  signal: {
    signal: { parameters: ["i32", "pointer"], result: "pointer" }, // sighandler_t signal(int, sighandler_t)
    // int sigprocmask(int, const sigset_t *, sigset_t *)
    sigprocmask: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
    signalfd: { parameters: ["i32", "buffer", "i32"], result: "i32" }, // int signalfd(int, const sigset_t *, int)
  },
  poll: {
    epoll_create1: { parameters: ["i32"], result: "i32" }, // int epoll_create1(int)
    // int epoll_ctl(int, int, int, struct epoll_event *)
    epoll_ctl: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
    // int epoll_wait(int, struct epoll_event *, int, int)
    epoll_wait: { parameters: ["i32", "buffer", "i32", "i32"], result: "i32" },
    poll: { parameters: ["buffer", "u32", "i32"], result: "i32" }, // int poll(struct pollfd *, nfds_t, int)
    timerfd_create: { parameters: ["i32", "i32"], result: "i32" }, // int timerfd_create(int, int)
    // int timerfd_settime(int, int, const struct itimerspec *, struct itimerspec *)
    timerfd_settime: { parameters: ["i32", "i32", "buffer", "pointer"], result: "i32" },
    eventfd: { parameters: ["u32", "i32"], result: "i32" }, // int eventfd(unsigned, int)
    inotify_init1: { parameters: ["i32"], result: "i32" }, // int inotify_init1(int)
    inotify_add_watch: { parameters: ["i32", "buffer", "u32"], result: "i32" }, // int inotify_add_watch(int, const char *, uint32_t)
  },
  socket: {
    socket: { parameters: ["i32", "i32", "i32"], result: "i32" }, // int socket(int, int, int)
    socketpair: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" }, // int socketpair(int, int, int, int[2])
    bind: { parameters: ["i32", "buffer", "u32"], result: "i32" }, // int bind(int, const struct sockaddr *, socklen_t)
    listen: { parameters: ["i32", "i32"], result: "i32" }, // int listen(int, int)
    accept4: { parameters: ["i32", "pointer", "pointer", "i32"], result: "i32" }, // int accept4(int, struct sockaddr *, socklen_t *, int)
    connect: { parameters: ["i32", "buffer", "u32"], result: "i32" }, // int connect(int, const struct sockaddr *, socklen_t)
    sendmsg: { parameters: ["i32", "buffer", "i32"], result: "i32" }, // ssize_t sendmsg(int, const struct msghdr *, int)
    recvmsg: { parameters: ["i32", "buffer", "i32"], result: "i32" },
    send: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" }, // ssize_t send(int, const void *, size_t, int)
    recv: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
    // int getsockopt(int, int, int, void *, socklen_t *)
    getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
    setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
    shutdown: { parameters: ["i32", "i32"], result: "i32" }, // int shutdown(int, int)
  },
} as const satisfies Record<string, Deno.ForeignLibraryInterface>;

/** A group of symbols that is opened together. */
export type Family = keyof typeof FAMILIES;
type Symbols<F extends Family> = Deno.DynamicLibrary<(typeof FAMILIES)[F]>["symbols"];

const opened: Partial<Record<Family, unknown>> = {};

/** Nothing may allocate between madvise(2) and fork(2), so these are compiled ahead of their first call. */
const COMPILED_AT_ONCE: ReadonlySet<string> = new Set(["fork", "madvise"]);

/** Calls after which a symbol is worth its compiled fast path. */
const PROMOTE_AFTER_CALLS = 100;

/** The symbols of one family, opened at first use. Throws where libc lacks one of them. */
export function libc<F extends Family>(family: F): Symbols<F> {
  return (opened[family] ??= openByPointer(FAMILIES[family])) as Symbols<F>;
}

type Call = (...args: unknown[]) => unknown;

/**
 * Opens a family at 0.01 ms a symbol: addresses only, called through UnsafeFnPointer (1 to 4 microseconds a
 * call). Deno.dlopen compiles a fast path for each function, which takes 0.12 ms and more; a symbol gets it
 * once it has been called often, in a forked child as well (glibc makes the loader's lock anew there).
 */
function openByPointer(table: Record<string, Deno.ForeignFunction>): Record<string, Call> {
  const statics: Record<string, { name: string; type: "pointer" }> = {};
  for (const symbol in table) {
    statics[symbol] = { name: table[symbol]!.name ?? symbol, type: "pointer" };
  }
  const addresses = Deno.dlopen("libc.so.6", statics).symbols;
  const symbols: Record<string, Call> = {};
  for (const symbol in table) {
    if (COMPILED_AT_ONCE.has(symbol)) {
      symbols[symbol] = compile(symbol, table[symbol]!);
      continue;
    }
    let calls = 0;
    let pointer: { call: unknown } | undefined;
    let compiled: Call | undefined;
    symbols[symbol] = (...args) => {
      if (compiled !== undefined) return compiled(...args);
      const definition = table[symbol]!;
      if (++calls > PROMOTE_AFTER_CALLS && !definition.nonblocking) {
        symbols[symbol] = compiled = compile(symbol, definition);
        return compiled(...args);
      }
      pointer ??= new Deno.UnsafeFnPointer(addresses[symbol] as Deno.PointerObject<never>, definition);
      return (pointer.call as Call)(...args);
    };
  }
  return symbols;
}

function compile(symbol: string, definition: Deno.ForeignFunction): Call {
  return Deno.dlopen("libc.so.6", { [symbol]: definition }).symbols[symbol] as Call;
}

/** Opens families ahead of a fork, after which `Deno.dlopen` must not be called. */
export function openFamilies(...families: Family[]): void {
  for (const family of families) libc(family);
}

export { SYSCALL };
