/**
 * Every call of libc and the kernel that skiff makes, with its C prototype beside it. The only caller of
 * `Deno.dlopen`.
 *
 * A function costs 0.1 to 0.3 ms when it is opened and first called, and a container's start makes eighty
 * different calls. So calls that are plain system calls (`nr`) go through one function, syscall(2), at 1 to
 * 4 microseconds each; one that is made often gets a compiled function of its own. What libc itself does
 * (fork, posix_spawn, …) is opened by family, at first use. A forked child opens nothing that its parent
 * could have opened before: `openFamilies`.
 *
 * A size_t that never exceeds 2 GiB is declared u32, which Deno passes on its fast path.
 */

import { SYSCALL } from "./arch.ts";

/** A C function; `nr` is its system call, where the function is no more than that. */
interface Definition extends Deno.ForeignFunction {
  nr?: number;
}

/** By family, each made when it is opened: most processes need a few. */
const FAMILIES = {
  fork: () => ({
    madvise: { nr: SYSCALL.madvise, parameters: ["pointer", "usize", "i32"], result: "i32" }, // int madvise(void *, size_t, int)
    _exit: { nr: SYSCALL.exit_group, parameters: ["i32"], result: "void" }, // void _exit(int)
    waitpid: { nr: SYSCALL.wait4, parameters: ["i32", "buffer", "i32"], result: "i32" }, // pid_t waitpid(pid_t, int *, int)
    waitpidAsync: {
      name: "waitpid",
      parameters: ["i32", "buffer", "i32"],
      result: "i32",
      nonblocking: true,
    }, // the same, on a thread of its own
  } as const),
  sync: () => ({
    fsyncAsync: { name: "fsync", parameters: ["i32"], result: "i32", nonblocking: true }, // int fsync(int)
  } as const),
  spawn: () => ({
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
  } as const),
  process: () => ({
    getpid: { nr: SYSCALL.getpid, parameters: [], result: "i32" }, // pid_t getpid(void)
    getppid: { nr: SYSCALL.getppid, parameters: [], result: "i32" }, // pid_t getppid(void)
    setsid: { nr: SYSCALL.setsid, parameters: [], result: "i32" }, // pid_t setsid(void)
    // int prctl(int, unsigned long, unsigned long, unsigned long, unsigned long)
    prctl: { nr: SYSCALL.prctl, parameters: ["i32", "usize", "usize", "usize", "usize"], result: "i32" },
    prctlBuffer: {
      nr: SYSCALL.prctl,
      name: "prctl",
      parameters: ["i32", "buffer", "usize", "usize", "usize"],
      result: "i32",
    },
    kill: { nr: SYSCALL.kill, parameters: ["i32", "i32"], result: "i32" }, // int kill(pid_t, int)
    // long syscall(SYS_pidfd_open, pid_t, unsigned)
    pidfd_open: { name: "syscall", parameters: ["i32", "i32", "u32"], result: "i32" },
    // long syscall(SYS_pidfd_send_signal, int, int, siginfo_t *, unsigned)
    pidfd_send_signal: {
      name: "syscall",
      parameters: ["i32", "i32", "i32", "pointer", "u32"],
      result: "i32",
    },
    // int execve(const char *, char *const[], char *const[])
    execve: { nr: SYSCALL.execve, parameters: ["buffer", "buffer", "buffer"], result: "i32" },
    // long syscall(SYS_execveat, int, const char *, char *const[], char *const[], int)
    execveat: {
      name: "syscall",
      parameters: ["i32", "i32", "buffer", "buffer", "buffer", "i32"],
      result: "i32",
    },
    umask: { nr: SYSCALL.umask, parameters: ["u32"], result: "u32" }, // mode_t umask(mode_t)
    personality: { nr: SYSCALL.personality, parameters: ["u32"], result: "i32" }, // int personality(unsigned long)
    chdir: { nr: SYSCALL.chdir, parameters: ["buffer"], result: "i32" }, // int chdir(const char *)
    fchdir: { nr: SYSCALL.fchdir, parameters: ["i32"], result: "i32" }, // int fchdir(int)
    chroot: { nr: SYSCALL.chroot, parameters: ["buffer"], result: "i32" }, // int chroot(const char *)
    sethostname: { nr: SYSCALL.sethostname, parameters: ["buffer", "usize"], result: "i32" }, // int sethostname(const char *, size_t)
    setdomainname: { nr: SYSCALL.setdomainname, parameters: ["buffer", "usize"], result: "i32" },
    // int prlimit(pid_t, int resource, const struct rlimit *, struct rlimit *)
    prlimit: { nr: SYSCALL.prlimit64, parameters: ["i32", "i32", "buffer", "buffer"], result: "i32" },
    // long syscall(SYS_keyctl, int, const char *)
    keyctl: { name: "syscall", parameters: ["i32", "i32", "pointer"], result: "i32" },
    // long syscall(SYS_seccomp, unsigned op, unsigned flags, void *)
    seccomp: { name: "syscall", parameters: ["i32", "u32", "u32", "buffer"], result: "i32" },
  } as const),
  credentials: () => ({
    getuid: { nr: SYSCALL.getuid, parameters: [], result: "u32" }, // uid_t getuid(void)
    geteuid: { nr: SYSCALL.geteuid, parameters: [], result: "u32" },
    getgid: { nr: SYSCALL.getgid, parameters: [], result: "u32" },
    getegid: { nr: SYSCALL.getegid, parameters: [], result: "u32" },
    // The raw calls: glibc's wrappers signal every thread it believes there is.
    // long syscall(SYS_setresuid, uid_t, uid_t, uid_t)
    setresuid: { name: "syscall", parameters: ["i32", "u32", "u32", "u32"], result: "i32" },
    setresgid: { name: "syscall", parameters: ["i32", "u32", "u32", "u32"], result: "i32" },
    // long syscall(SYS_setfsuid, uid_t), which never fails
    setfsuid: { name: "syscall", parameters: ["i32", "u32"], result: "i32" },
    setfsgid: { name: "syscall", parameters: ["i32", "u32"], result: "i32" },
    // long syscall(SYS_setgroups, size_t, const gid_t *)
    setgroups: { name: "syscall", parameters: ["i32", "usize", "buffer"], result: "i32" },
    // long syscall(SYS_capset, cap_user_header_t, const cap_user_data_t)
    capset: { name: "syscall", parameters: ["i32", "buffer", "buffer"], result: "i32" },
  } as const),
  namespaces: () => ({
    unshare: { nr: SYSCALL.unshare, parameters: ["i32"], result: "i32" }, // int unshare(int)
    setns: { nr: SYSCALL.setns, parameters: ["i32", "i32"], result: "i32" }, // int setns(int, int)
  } as const),
  file: () => ({
    // int openat(int, const char *, int, mode_t)
    openat: { nr: SYSCALL.openat, parameters: ["i32", "buffer", "i32", "u32"], result: "i32" },
    // long syscall(SYS_openat2, int, const char *, struct open_how *, size_t)
    openat2: { name: "syscall", parameters: ["i32", "i32", "buffer", "buffer", "usize"], result: "i32" },
    close: { nr: SYSCALL.close, parameters: ["i32"], result: "i32" }, // int close(int)
    // long syscall(SYS_close_range, unsigned, unsigned, unsigned)
    close_range: { name: "syscall", parameters: ["i32", "u32", "u32", "u32"], result: "i32" },
    read: { nr: SYSCALL.read, parameters: ["i32", "buffer", "u32"], result: "i32" }, // ssize_t read(int, void *, size_t)
    write: { nr: SYSCALL.write, parameters: ["i32", "buffer", "u32"], result: "i32" }, // ssize_t write(int, const void *, size_t)
    readAsync: { name: "read", parameters: ["i32", "buffer", "u32"], result: "i32", nonblocking: true },
    writeAsync: { name: "write", parameters: ["i32", "buffer", "u32"], result: "i32", nonblocking: true },
    // ssize_t pread(int, void *, size_t, off_t)
    pread: { nr: SYSCALL.pread64, parameters: ["i32", "buffer", "u32", "i64"], result: "i32" },
    pwrite: { nr: SYSCALL.pwrite64, parameters: ["i32", "buffer", "u32", "i64"], result: "i32" },
    lseek: { parameters: ["i32", "i64", "i32"], result: "i64" }, // off_t lseek(int, off_t, int)
    ftruncate: { nr: SYSCALL.ftruncate, parameters: ["i32", "i64"], result: "i32" }, // int ftruncate(int, off_t)
    fsync: { nr: SYSCALL.fsync, parameters: ["i32"], result: "i32" }, // int fsync(int)
    syncfs: { nr: SYSCALL.syncfs, parameters: ["i32"], result: "i32" },
    // int statx(int, const char *, int flags, unsigned mask, struct statx *)
    statx: { nr: SYSCALL.statx, parameters: ["i32", "buffer", "i32", "u32", "buffer"], result: "i32" },
    mkdirat: { nr: SYSCALL.mkdirat, parameters: ["i32", "buffer", "u32"], result: "i32" }, // int mkdirat(int, const char *, mode_t)
    // int mknodat(int, const char *, mode_t, dev_t)
    mknodat: { nr: SYSCALL.mknodat, parameters: ["i32", "buffer", "u32", "u64"], result: "i32" },
    symlinkat: { nr: SYSCALL.symlinkat, parameters: ["buffer", "i32", "buffer"], result: "i32" }, // int symlinkat(const char *, int, const char *)
    // int linkat(int, const char *, int, const char *, int)
    linkat: { nr: SYSCALL.linkat, parameters: ["i32", "buffer", "i32", "buffer", "i32"], result: "i32" },
    unlinkat: { nr: SYSCALL.unlinkat, parameters: ["i32", "buffer", "i32"], result: "i32" }, // int unlinkat(int, const char *, int)
    // int renameat2(int, const char *, int, const char *, unsigned)
    renameat2: {
      nr: SYSCALL.renameat2,
      parameters: ["i32", "buffer", "i32", "buffer", "u32"],
      result: "i32",
    },
    // ssize_t readlinkat(int, const char *, char *, size_t)
    readlinkat: { nr: SYSCALL.readlinkat, parameters: ["i32", "buffer", "buffer", "u32"], result: "i32" },
    fchmod: { nr: SYSCALL.fchmod, parameters: ["i32", "u32"], result: "i32" }, // int fchmod(int, mode_t)
    // int fchmodat(int, const char *, mode_t, int)
    fchmodat: { nr: SYSCALL.fchmodat, parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
    // int fchownat(int, const char *, uid_t, gid_t, int)
    fchownat: { nr: SYSCALL.fchownat, parameters: ["i32", "buffer", "u32", "u32", "i32"], result: "i32" },
    // int utimensat(int, const char *, const struct timespec[2], int)
    utimensat: { nr: SYSCALL.utimensat, parameters: ["i32", "buffer", "buffer", "i32"], result: "i32" },
    faccessat: { nr: SYSCALL.faccessat2, parameters: ["i32", "buffer", "i32", "i32"], result: "i32" }, // int faccessat(int, const char *, int, int)
    dup3: { nr: SYSCALL.dup3, parameters: ["i32", "i32", "i32"], result: "i32" }, // int dup3(int, int, int)
    dup2: { parameters: ["i32", "i32"], result: "i32" }, // int dup2(int, int); no system call of aarch64
    pipe2: { nr: SYSCALL.pipe2, parameters: ["buffer", "i32"], result: "i32" }, // int pipe2(int[2], int)
    fcntl: { nr: SYSCALL.fcntl, parameters: ["i32", "i32", "i32"], result: "i32" }, // int fcntl(int, int, int)
    fcntlBuffer: { nr: SYSCALL.fcntl, name: "fcntl", parameters: ["i32", "i32", "buffer"], result: "i32" },
    flock: { nr: SYSCALL.flock, parameters: ["i32", "i32"], result: "i32" }, // int flock(int, int)
    flockAsync: { name: "flock", parameters: ["i32", "i32"], result: "i32", nonblocking: true },
    memfd_create: { nr: SYSCALL.memfd_create, parameters: ["buffer", "u32"], result: "i32" }, // int memfd_create(const char *, unsigned)
    ioctl: { nr: SYSCALL.ioctl, parameters: ["i32", "usize", "i32"], result: "i32" }, // int ioctl(int, unsigned long, int)
    ioctlBuffer: { nr: SYSCALL.ioctl, name: "ioctl", parameters: ["i32", "usize", "buffer"], result: "i32" },
    // int quotactl_fd(unsigned, int, qid_t, void *)
    quotactl_fd: { nr: SYSCALL.quotactl_fd, parameters: ["u32", "i32", "u32", "buffer"], result: "i32" },
    // ssize_t copy_file_range(int, off_t *, int, off_t *, size_t, unsigned)
    copy_file_range: {
      nr: SYSCALL.copy_file_range,
      parameters: ["i32", "pointer", "i32", "pointer", "u32", "u32"],
      result: "i32",
    },
    // ssize_t splice(int, off_t *, int, off_t *, size_t, unsigned)
    splice: {
      nr: SYSCALL.splice,
      parameters: ["i32", "pointer", "i32", "pointer", "u32", "u32"],
      result: "i32",
    },
    // int fallocate(int, int mode, off_t, off_t)
    fallocate: { nr: SYSCALL.fallocate, parameters: ["i32", "i32", "i64", "i64"], result: "i32" },
    // ssize_t getdents64(int, void *, size_t)
    getdents64: { nr: SYSCALL.getdents64, parameters: ["i32", "buffer", "u32"], result: "i32" },
  } as const),
  memory: () => ({
    // void *mmap(void *, size_t, int prot, int flags, int fd, off_t)
    mmap: { parameters: ["pointer", "usize", "i32", "i32", "i32", "i64"], result: "pointer" },
    malloc_trim: { parameters: ["usize"], result: "i32" }, // int malloc_trim(size_t)
    getcontext: { parameters: ["buffer"], result: "i32" }, // int getcontext(ucontext_t *)
  } as const),
  // what a process is stopped by, to be brought back from a file: once a boot, never on the way of a command
  frozen: () => ({
    // long syscall(long number, ...)
    syscall: { name: "syscall", parameters: ["i32", "usize", "usize", "usize", "usize"], result: "i32" },
    dlsym: { parameters: ["pointer", "buffer"], result: "pointer" }, // void *dlsym(void *handle, const char *symbol)
    execv: { parameters: ["buffer", "buffer"], result: "i32" }, // int execv(const char *path, char *const argv[])
    usleep: { parameters: ["u32"], result: "i32" }, // int usleep(useconds_t)
  } as const),
  xattr: () => ({
    // int lsetxattr(const char *path, const char *name, const void *value, size_t, int flags)
    lsetxattr: {
      nr: SYSCALL.lsetxattr,
      parameters: ["buffer", "buffer", "buffer", "u32", "i32"],
      result: "i32",
    },
    fsetxattr: {
      nr: SYSCALL.fsetxattr,
      parameters: ["i32", "buffer", "buffer", "u32", "i32"],
      result: "i32",
    },
    // ssize_t lgetxattr(const char *path, const char *name, void *value, size_t)
    lgetxattr: { nr: SYSCALL.lgetxattr, parameters: ["buffer", "buffer", "buffer", "u32"], result: "i32" },
    fgetxattr: { nr: SYSCALL.fgetxattr, parameters: ["i32", "buffer", "buffer", "u32"], result: "i32" },
    llistxattr: { nr: SYSCALL.llistxattr, parameters: ["buffer", "buffer", "u32"], result: "i32" }, // ssize_t llistxattr(const char *, char *, size_t)
    flistxattr: { nr: SYSCALL.flistxattr, parameters: ["i32", "buffer", "u32"], result: "i32" },
    lremovexattr: { nr: SYSCALL.lremovexattr, parameters: ["buffer", "buffer"], result: "i32" }, // int lremovexattr(const char *, const char *)
    // the same of what a link leads to
    setxattr: {
      nr: SYSCALL.setxattr,
      parameters: ["buffer", "buffer", "buffer", "u32", "i32"],
      result: "i32",
    },
    getxattr: { nr: SYSCALL.getxattr, parameters: ["buffer", "buffer", "buffer", "u32"], result: "i32" },
    listxattr: { nr: SYSCALL.listxattr, parameters: ["buffer", "buffer", "u32"], result: "i32" },
    removexattr: { nr: SYSCALL.removexattr, parameters: ["buffer", "buffer"], result: "i32" },
  } as const),
  mount: () => ({
    // int mount(const char *, const char *, const char *, unsigned long, const void *)
    mount: {
      nr: SYSCALL.mount,
      parameters: ["buffer", "buffer", "buffer", "usize", "buffer"],
      result: "i32",
    },
    umount2: { nr: SYSCALL.umount2, parameters: ["buffer", "i32"], result: "i32" }, // int umount2(const char *, int)
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
    fstatfs: { nr: SYSCALL.fstatfs, parameters: ["i32", "buffer"], result: "i32" }, // int fstatfs(int, struct statfs *)
  } as const),
  clock: () => ({
    clock_gettime: { parameters: ["i32", "buffer"], result: "i32" }, // int clock_gettime(clockid_t, struct timespec *)
  } as const),
  signal: () => ({
    // long syscall(SYS_rt_sigaction, int, const struct kernel_sigaction *, struct kernel_sigaction *, size_t)
    rt_sigaction: { nr: SYSCALL.rt_sigaction, parameters: ["i32", "buffer", "buffer", "u32"], result: "i32" },
    // long syscall(SYS_rt_sigprocmask, int, const kernel_sigset_t *, kernel_sigset_t *, size_t)
    rt_sigprocmask: {
      nr: SYSCALL.rt_sigprocmask,
      parameters: ["i32", "buffer", "buffer", "u32"],
      result: "i32",
    },
    // long syscall(SYS_signalfd4, int, const kernel_sigset_t *, size_t, int)
    signalfd4: { nr: SYSCALL.signalfd4, parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
  } as const),
  poll: () => ({
    epoll_create1: { nr: SYSCALL.epoll_create1, parameters: ["i32"], result: "i32" }, // int epoll_create1(int)
    // int epoll_ctl(int, int, int, struct epoll_event *)
    epoll_ctl: { nr: SYSCALL.epoll_ctl, parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
    // int epoll_pwait(int, struct epoll_event *, int, int, const sigset_t *)
    epoll_pwait: {
      nr: SYSCALL.epoll_pwait,
      parameters: ["i32", "buffer", "i32", "i32", "pointer"],
      result: "i32",
    },
    // int ppoll(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *)
    ppoll: { nr: SYSCALL.ppoll, parameters: ["buffer", "u32", "buffer", "pointer"], result: "i32" },
    timerfd_create: { nr: SYSCALL.timerfd_create, parameters: ["i32", "i32"], result: "i32" }, // int timerfd_create(int, int)
    // int timerfd_settime(int, int, const struct itimerspec *, struct itimerspec *)
    timerfd_settime: {
      nr: SYSCALL.timerfd_settime,
      parameters: ["i32", "i32", "buffer", "pointer"],
      result: "i32",
    },
    eventfd: { nr: SYSCALL.eventfd2, parameters: ["u32", "i32"], result: "i32" }, // int eventfd(unsigned, int)
    inotify_init1: { nr: SYSCALL.inotify_init1, parameters: ["i32"], result: "i32" }, // int inotify_init1(int)
    inotify_add_watch: { nr: SYSCALL.inotify_add_watch, parameters: ["i32", "buffer", "u32"], result: "i32" }, // int inotify_add_watch(int, const char *, uint32_t)
    inotify_rm_watch: { nr: SYSCALL.inotify_rm_watch, parameters: ["i32", "i32"], result: "i32" }, // int inotify_rm_watch(int, int)
  } as const),
  socket: () => ({
    socket: { nr: SYSCALL.socket, parameters: ["i32", "i32", "i32"], result: "i32" }, // int socket(int, int, int)
    socketpair: { nr: SYSCALL.socketpair, parameters: ["i32", "i32", "i32", "buffer"], result: "i32" }, // int socketpair(int, int, int, int[2])
    bind: { nr: SYSCALL.bind, parameters: ["i32", "buffer", "u32"], result: "i32" }, // int bind(int, const struct sockaddr *, socklen_t)
    listen: { nr: SYSCALL.listen, parameters: ["i32", "i32"], result: "i32" }, // int listen(int, int)
    accept4: { nr: SYSCALL.accept4, parameters: ["i32", "pointer", "pointer", "i32"], result: "i32" }, // int accept4(int, struct sockaddr *, socklen_t *, int)
    connect: { nr: SYSCALL.connect, parameters: ["i32", "buffer", "u32"], result: "i32" }, // int connect(int, const struct sockaddr *, socklen_t)
    sendmsg: { nr: SYSCALL.sendmsg, parameters: ["i32", "buffer", "i32"], result: "i32" }, // ssize_t sendmsg(int, const struct msghdr *, int)
    recvmsg: { nr: SYSCALL.recvmsg, parameters: ["i32", "buffer", "i32"], result: "i32" },
    send: { nr: SYSCALL.sendto, parameters: ["i32", "buffer", "u32", "i32"], result: "i32" }, // ssize_t send(int, const void *, size_t, int)
    recv: { nr: SYSCALL.recvfrom, parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
    // int getsockopt(int, int, int, void *, socklen_t *)
    getsockopt: {
      nr: SYSCALL.getsockopt,
      parameters: ["i32", "i32", "i32", "buffer", "buffer"],
      result: "i32",
    },
    // int setsockopt(int, int, int, const void *, socklen_t)
    setsockopt: {
      nr: SYSCALL.setsockopt,
      parameters: ["i32", "i32", "i32", "buffer", "u32"],
      result: "i32",
    },
    shutdown: { nr: SYSCALL.shutdown, parameters: ["i32", "i32"], result: "i32" }, // int shutdown(int, int)
  } as const),
  // What the user-mode network stack calls for packets and connections; memory by pointers that are made once.
  inet: () => ({
    readInto: {
      nr: SYSCALL.read,
      name: "read",
      parameters: ["i32", "pointer", "u32"],
      result: "i32",
    }, // ssize_t read(int, void *, size_t)
    writeFrom: {
      nr: SYSCALL.write,
      name: "write",
      parameters: ["i32", "pointer", "u32"],
      result: "i32",
    }, // ssize_t write(int, const void *, size_t)
    recvInto: {
      nr: SYSCALL.recvfrom,
      name: "recv",
      parameters: ["i32", "pointer", "u32", "i32"],
      result: "i32",
    }, // ssize_t recv(int, void *, size_t, int)
    sendFrom: {
      nr: SYSCALL.sendto,
      name: "send",
      parameters: ["i32", "pointer", "u32", "i32"],
      result: "i32",
    }, // ssize_t send(int, const void *, size_t, int)
    receivePieces: {
      nr: SYSCALL.recvmsg,
      name: "recvmsg",
      parameters: ["i32", "pointer", "i32"],
      result: "i32",
    }, // ssize_t recvmsg(int, struct msghdr *, int)
    // ssize_t splice(int, off_t *, int, off_t *, size_t, unsigned)
    splice: {
      nr: SYSCALL.splice,
      parameters: ["i32", "pointer", "i32", "pointer", "u32", "u32"],
      result: "i32",
    },
    // int epoll_wait(int, struct epoll_event *, int, int)
    waitEvents: {
      nr: SYSCALL.epoll_pwait,
      name: "epoll_wait",
      parameters: ["i32", "pointer", "i32", "i32"],
      result: "i32",
    },
    // int clock_gettime(clockid_t, struct timespec *), by the vdso
    clock: {
      nr: SYSCALL.clock_gettime,
      name: "clock_gettime",
      parameters: ["i32", "pointer"],
      result: "i32",
    },
    // int epoll_ctl(int, int, int, struct epoll_event *)
    controlEvents: {
      nr: SYSCALL.epoll_ctl,
      name: "epoll_ctl",
      parameters: ["i32", "i32", "i32", "pointer"],
      result: "i32",
    },
    // int accept4(int, struct sockaddr *, socklen_t *, int)
    acceptFrom: {
      nr: SYSCALL.accept4,
      name: "accept4",
      parameters: ["i32", "pointer", "pointer", "i32"],
      result: "i32",
    },
    openSocket: {
      nr: SYSCALL.socket,
      name: "socket",
      parameters: ["i32", "i32", "i32"],
      result: "i32",
    }, // int socket(int, int, int)
    connectTo: {
      nr: SYSCALL.connect,
      name: "connect",
      parameters: ["i32", "pointer", "u32"],
      result: "i32",
    }, // int connect(int, const struct sockaddr *, socklen_t)
    // int setsockopt(int, int, int, const void *, socklen_t)
    setOption: {
      nr: SYSCALL.setsockopt,
      name: "setsockopt",
      parameters: ["i32", "i32", "i32", "pointer", "u32"],
      result: "i32",
    },
    closeSocket: { nr: SYSCALL.close, name: "close", parameters: ["i32"], result: "i32" }, // int close(int)
    // ssize_t sendto(int, const void *, size_t, int, const struct sockaddr *, socklen_t)
    sendto: {
      nr: SYSCALL.sendto,
      parameters: ["i32", "buffer", "u32", "i32", "buffer", "u32"],
      result: "i32",
    },
    // ssize_t recvfrom(int, void *, size_t, int, struct sockaddr *, socklen_t *)
    recvfrom: {
      nr: SYSCALL.recvfrom,
      parameters: ["i32", "buffer", "u32", "i32", "buffer", "buffer"],
      result: "i32",
    },
    // int shutdown(int, int)
    shutdownSocket: {
      nr: SYSCALL.shutdown,
      name: "shutdown",
      parameters: ["i32", "i32"],
      result: "i32",
    },
    getsockname: { nr: SYSCALL.getsockname, parameters: ["i32", "buffer", "buffer"], result: "i32" }, // int getsockname(int, struct sockaddr *, socklen_t *)
    getpeername: { nr: SYSCALL.getpeername, parameters: ["i32", "buffer", "buffer"], result: "i32" },
  } as const),
} satisfies Record<string, () => Record<string, Definition>>;

/** A group of symbols that is opened together. */
export type Family = keyof typeof FAMILIES;
type Symbols<F extends Family> = Deno.DynamicLibrary<ReturnType<(typeof FAMILIES)[F]>>["symbols"];

const opened: Partial<Record<Family, unknown>> = {};

/**
 * errno. V8's compilers and its collector set it too, and may run whenever a function is entered or left: so who calls a
 * function takes `word[0]` in the very function that saw it fail. Those of `libc` leave it in `last` themselves; who uses
 * compiled functions looks at `word` himself.
 *
 * @see errno(3)
 */
export const failure = {
  /** Of the call of `libc` that failed last. */
  last: 0,
  /** The main thread's own, which a forked child keeps; not there before a function is opened. */
  word: new Int32Array(1),
};

/** int *__errno_location(void) */
const ERRNO_LOCATION = { parameters: [], result: "pointer" } as const;
let isErrnoFound = false;

function findErrno(location: () => Deno.PointerValue): void {
  const pointer = location();
  if (pointer === null) throw new Error("errno has no address");
  failure.word = new Int32Array(Deno.UnsafePointerView.getArrayBuffer(pointer, 4));
  isErrnoFound = true;
}

/** As `Deno.dlopen`, for functions whose errno can be told. */
function openLibrary(wanted: Record<string, Deno.ForeignFunction>): Record<string, Call> {
  if (isErrnoFound) return Deno.dlopen("libc.so.6", wanted).symbols as Record<string, Call>;
  const { __errno_location, ...symbols } = Deno.dlopen("libc.so.6", {
    ...wanted,
    __errno_location: ERRNO_LOCATION,
  }).symbols;
  findErrno(__errno_location);
  return symbols as Record<string, Call>;
}

/** Calls after which a function is worth the milliseconds that compiling its own fast path takes. */
const COMPILE_AFTER_CALLS = 2000;

type Call = (...args: unknown[]) => unknown;

/** The functions of one family, opened at first use. Throws where libc lacks one of them. */
export function libc<F extends Family>(family: F): Symbols<F> {
  return (opened[family] ??= open(FAMILIES[family]())) as Symbols<F>;
}

/** Opens families ahead of a fork. */
export function openFamilies(...families: Family[]): void {
  for (const family of families) libc(family);
  systemCall ??= openSystemCall();
}

/** Opens all families, in a process that many others will be copies of. */
export function openAllFamilies(): void {
  openFamilies(...Object.keys(FAMILIES) as Family[]);
}

function open(table: Record<string, Definition>): Record<string, Call> {
  const wanted: Record<string, Deno.ForeignFunction> = {};
  for (const name in table) {
    const { nr: _nr, ...definition } = table[name]!;
    if (isSystemCall(table[name]!)) continue;
    // what runs on a thread of its own is never compiled
    wanted[name] = definition.nonblocking ? definition : uncompiled(definition);
  }
  const own = Object.keys(wanted).length > 0 ? openLibrary(wanted) : {};
  const functions: Record<string, Call> = {};
  for (const name in table) {
    const definition = table[name]!;
    functions[name] = isSystemCall(definition)
      ? callBySyscall(name, definition)
      : definition.nonblocking
      ? own[name] as Call
      : callUncompiled(name, definition, own[name] as Call);
  }
  return functions;
}

/** What is called on a thread of its own must be a function of its own. */
function isSystemCall(definition: Definition): boolean {
  return !definition.nonblocking && (definition.nr !== undefined || definition.name === "syscall");
}

/**
 * An argument more than the function takes. Where one is a struct, Deno compiles no code for the function, which takes
 * it half a millisecond and gains nothing in a process that makes a few hundred calls.
 */
const UNCOMPILED = { type: { struct: ["u8"] }, value: new Uint8Array(1) } as const;

type SystemCall = (
  number: number,
  a: number | bigint,
  b: number | bigint,
  c: number | bigint,
  d: number | bigint,
  e: number | bigint,
  f: number | bigint,
  uncompiled: Uint8Array<ArrayBuffer>,
) => number;
let systemCall: SystemCall | undefined;

/** A call by its name here and the values of its arguments; `make` makes it. */
export type KernelCall = (name: string, args: readonly (number | bigint)[], make: () => unknown) => unknown;
let substitute: KernelCall | undefined;

/** From here on `kernel` answers all calls, until there is none. @see paper_kernel.ts */
export function replaceKernel(kernel: KernelCall | undefined): void {
  substitute = kernel;
}

function uncompiled(definition: Deno.ForeignFunction): Deno.ForeignFunction {
  return { ...definition, parameters: [...definition.parameters, UNCOMPILED.type] };
}

/** long syscall(long number, ...), whose result fits an int for every call made through it. */
function openSystemCall(): SystemCall {
  const parameters: Deno.NativeType[] = ["i32", "i64", "i64", "i64", "i64", "i64", "i64"];
  return compile("syscall", uncompiled({ parameters, result: "i32" })) as SystemCall;
}

/**
 * What makes the calls around a fork: plain functions that nothing was ever compiled for, called without anything between
 * that allocates.
 */
export interface ForkCalls {
  madvise(start: bigint, length: bigint, advice: number): number;
  fork(): number;
}

/** `ForkCalls`, opened at first use. */
export function openForkCalls(): ForkCalls {
  return forkCalls ??= makeForkCalls();
}

let forkCalls: ForkCalls | undefined;

function makeForkCalls(): ForkCalls {
  const call = systemCall ??= openSystemCall();
  const { value } = UNCOMPILED;
  // pid_t fork(void)
  const fork = compile("fork", uncompiled({ parameters: [], result: "i32" }));
  return {
    // int madvise(void *, size_t, int)
    madvise: (start, length, advice) => call(SYSCALL.madvise, start, length, advice, 0, 0, 0, value),
    fork() {
      if (substitute !== undefined) return substitute("fork", [], () => 0) as number;
      const pid = fork(value) as number;
      if (pid === -1) failure.last = failure.word[0]!;
      return pid;
    },
  };
}

function callBySyscall(name: string, definition: Definition): Call {
  const { nr } = definition;
  const after = OWN_FUNCTION.has(name) ? COMPILE_AFTER_CALLS : Infinity;
  let calls = 0;
  let compiled: Call | undefined;
  const at = nr === undefined ? 1 : 0;
  const make = (args: unknown[]) => {
    const call = systemCall ??= openSystemCall();
    const result = call(
      nr ?? args[0] as number,
      word(args[at]),
      word(args[at + 1]),
      word(args[at + 2]),
      word(args[at + 3]),
      word(args[at + 4]),
      word(args[at + 5]),
      UNCOMPILED.value,
    );
    if (result === -1) failure.last = failure.word[0]!;
    return result;
  };
  return (...args) => {
    if (substitute !== undefined) return substitute(name, args.slice(at).map(word), () => make(args));
    if (compiled === undefined) {
      if (nr === undefined || ++calls <= after) return make(args);
      compiled = compile(name, definition);
    }
    const result = compiled(...args);
    if (result === -1) failure.last = failure.word[0]!;
    return result;
  };
}

/** Calls that move data or walk trees, whose libc function has the system call's very arguments. */
const OWN_FUNCTION: ReadonlySet<string> = new Set([
  "read",
  "write",
  "openat",
  "close",
  "mkdirat",
  "symlinkat",
  "linkat",
  "fchmod",
  "fchownat",
  "utimensat",
  "statx",
  "fsetxattr",
  "copy_file_range",
]);

/** An argument as the register's value. A buffer must outlive the call, which it does as its argument. */
function word(value: unknown): number | bigint {
  if (typeof value === "number" || typeof value === "bigint") return value;
  if (value === null || value === undefined) return 0;
  const pointer = ArrayBuffer.isView(value)
    ? Deno.UnsafePointer.of(value as Uint8Array<ArrayBuffer>)
    : value as Deno.PointerObject;
  return Deno.UnsafePointer.value(pointer);
}

/** A function of libc's own, until it is called so often that compiling it pays. */
function callUncompiled(name: string, definition: Definition, call: Call): Call {
  let calls = 0;
  let compiled: Call | undefined;
  return (...args) => {
    if (substitute !== undefined) {
      return substitute(name, args.map(word), () => call(...args, UNCOMPILED.value));
    }
    if (compiled === undefined && ++calls > COMPILE_AFTER_CALLS) compiled = compile(name, definition);
    const result = compiled === undefined ? call(...args, UNCOMPILED.value) : compiled(...args);
    // a pointer or a long is not told apart here
    if (result === -1 || typeof result !== "number") failure.last = failure.word[0]!;
    return result;
  };
}

/**
 * The functions of a family, each compiled for itself: 0.1 ms a function, once. Called from one place each, they cost what
 * the system call costs; those of `libc` go through a closure that V8 cannot see through.
 */
export function compileFamily<F extends Family>(family: F): Symbols<F> {
  const table: Record<string, Definition> = FAMILIES[family]();
  const plain: Record<string, Deno.ForeignFunction> = {};
  for (const name in table) {
    const { nr: _nr, ...definition } = table[name]!;
    plain[name] = definition;
  }
  return openLibrary(plain) as Symbols<F>;
}

/** One function of a family, compiled: as `compileFamily`. */
export function compileFunction<F extends Family, N extends keyof Symbols<F> & string>(
  family: F,
  name: N,
): Symbols<F>[N] {
  return compile(name, (FAMILIES[family]() as Record<string, Definition>)[name]!) as Symbols<F>[N];
}

function compile(name: string, definition: Definition): Call {
  const { nr: _nr, ...plain } = definition;
  return openLibrary({ [name]: plain })[name]!;
}

export { SYSCALL };
