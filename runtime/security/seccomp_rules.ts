/**
 * Docker's default seccomp rules as data: what a container may call, what of it depends on its capabilities or
 * on the machine, and which arguments are looked at. Everything else answers EPERM.
 *
 * Two rules are stricter than Docker's: socketcall(2) may not open sockets (it would be a way round the list
 * of address families), and nobody types into a terminal by TIOCSTI or TIOCLINUX.
 *
 * @see moby/profiles seccomp/default_linux.go, OCI runtime-spec config-linux.md, seccomp
 */

import type { ConditionalProfile, ConditionalRule } from "./seccomp_profile.ts";

const ENOSYS = 38;

/** Allowed to everybody. */
const ALLOWED = `
  accept accept4 access adjtimex alarm bind brk cachestat capget capset chdir chmod chown chown32 clock_adjtime
  clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep
  clock_nanosleep_time64 close close_range connect copy_file_range creat dup dup2 dup3 epoll_create
  epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2
  execve execveat exit exit_group faccessat faccessat2 fadvise64 fadvise64_64 fallocate fanotify_mark fchdir
  fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock fork
  fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex
  futex_requeue futex_time64 futex_wait futex_waitv futex_wake futimesat get_robust_list get_thread_area getcpu
  getcwd getdents getdents64 getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32
  getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid getresgid32 getresuid
  getresuid32 getrlimit getrusage getsid getsockname getsockopt gettid gettimeofday getuid getuid32 getxattr
  getxattrat inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel io_destroy io_getevents
  io_pgetevents io_pgetevents_time64 io_setup io_submit ioctl ioprio_get ioprio_set ipc kill landlock_add_rule
  landlock_create_ruleset landlock_restrict_self lchown lchown32 lgetxattr link linkat listen listmount
  listxattr listxattrat llistxattr _llseek lremovexattr lseek lsetxattr lstat lstat64 madvise map_shadow_stack
  membarrier memfd_create memfd_secret mincore mkdir mkdirat mknod mknodat mlock mlock2 mlockall mmap mmap2
  mprotect mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend
  mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync munlock munlockall munmap
  name_to_handle_at nanosleep newfstatat _newselect open openat openat2 pause pidfd_open pidfd_send_signal pipe
  pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll ppoll_time64 prctl pread64 preadv preadv2 prlimit64
  process_mrelease pselect6 pselect6_time64 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv
  recv recvfrom recvmmsg recvmmsg_time64 recvmsg remap_file_pages removexattr removexattrat rename renameat
  renameat2 restart_syscall rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn
  rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_get_priority_max
  sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler
  sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam
  sched_setscheduler sched_yield seccomp select semctl semget semop semtimedop semtimedop_time64 send sendfile
  sendfile64 sendmmsg sendmsg sendto set_robust_list set_thread_area set_tid_address setfsgid setfsgid32
  setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setitimer setpgid setpriority setregid setregid32
  setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit setsid setsockopt setuid setuid32
  setxattr setxattrat shmat shmctl shmdt shmget shutdown sigaltstack signalfd signalfd4 sigprocmask sigreturn
  socketpair splice stat stat64 statfs statfs64 statmount statx symlink symlinkat sync sync_file_range syncfs
  sysinfo tee tgkill time timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime
  timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 times tkill
  truncate truncate64 ugetrlimit umask uname unlink unlinkat uretprobe utime utimensat utimensat_time64 utimes
  vfork vmsplice wait4 waitid waitpid write writev
`;

/** Allowed to a container that has the capability. */
const ALLOWED_WITH: Record<string, string> = {
  CAP_DAC_READ_SEARCH: "open_by_handle_at",
  CAP_SYS_ADMIN:
    `bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr
    lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl
    quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare`,
  CAP_SYS_BOOT: "reboot",
  CAP_SYS_CHROOT: "chroot",
  CAP_SYS_MODULE: "delete_module init_module finit_module",
  CAP_SYS_PACCT: "acct",
  CAP_SYS_PTRACE: "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace",
  CAP_SYS_RAWIO: "iopl ioperm",
  CAP_SYS_TIME: "settimeofday stime clock_settime clock_settime64",
  CAP_SYS_TTY_CONFIG: "vhangup",
  CAP_SYS_NICE: "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
  CAP_SYSLOG: "syslog",
  CAP_BPF: "bpf",
  CAP_PERFMON: "perf_event_open",
};

/** Allowed on these machines, named as Go names them. */
const ALLOWED_ON: [machines: string[], names: string][] = [
  [["amd64"], "arch_prctl modify_ldt"],
  [["arm64"], "arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls"],
];

/**
 * socket(2) takes the families 0 to 11 (AF_UNIX, AF_INET, …, AF_ROSE) and these. Left out on purpose are AF_ALG
 * (38), the kernel's cryptography with its history of holes, and AF_VSOCK (40), which reaches the hypervisor past
 * every network namespace; being a list of what is allowed, it holds for high bits of the argument as well.
 *
 * @see bits/socket.h
 */
const SOCKET_FAMILIES_BELOW = 12;
const SOCKET_FAMILIES = [
  ...[13, 14, 15, 16, 17, 18], // NETBEUI SECURITY KEY NETLINK PACKET ASH
  ...[21, 22, 24, 26, 27, 28, 29], // RDS SNA PPPOX LLC IB MPLS CAN
  ...[30, 31, 32, 33, 35, 36, 39], // TIPC BLUETOOTH IUCV RXRPC PHONET IEEE802154 NFC
  ...[41, 42, 43, 44, 45], // KCM QIPCRTR SMC XDP MCTP
];

/** PER_LINUX, PER_LINUX32, both with UNAME26, and the question for the current one. @see personality(2) */
const PERSONALITIES = [0x0, 0x8, 0x20000, 0x20008, 0xffffffff];

/** NEWNS NEWCGROUP NEWUTS NEWIPC NEWUSER NEWPID NEWNET. @see clone(2) */
const CLONE_NAMESPACE_FLAGS = 0x7e020000;
/** Puts a character into a terminal's input, as if typed. @see ioctl_tty(2) */
const TIOCSTI = 0x5412;
/** Selects and pastes on a Linux console: the same by another name. @see ioctl_console(2) */
const TIOCLINUX = 0x541c;
/** The first argument of socketcall(2) on i386. @see linux/net.h */
const SYS_SOCKET = 1;

const words = (text: string) => text.trim().split(/\s+/);
const allow = (names: string[], rest: Partial<ConditionalRule> = {}): ConditionalRule => ({
  names,
  action: "SCMP_ACT_ALLOW",
  ...rest,
});

/** The default profile. */
export const DEFAULT_PROFILE: ConditionalProfile = {
  defaultAction: "SCMP_ACT_ERRNO",
  defaultErrnoRet: 1,
  archMap: [
    { architecture: "SCMP_ARCH_X86_64", subArchitectures: ["SCMP_ARCH_X86", "SCMP_ARCH_X32"] },
    { architecture: "SCMP_ARCH_AARCH64", subArchitectures: ["SCMP_ARCH_ARM"] },
  ],
  syscalls: [
    allow(words(ALLOWED)),
    // Before Linux 4.8 ptrace was a way out of a seccomp filter.
    allow(["process_vm_readv", "process_vm_writev", "ptrace"], { includes: { minKernel: "4.8" } }),
    allow(["socket"], { args: [{ index: 0, value: SOCKET_FAMILIES_BELOW, op: "SCMP_CMP_LT" }] }),
    ...SOCKET_FAMILIES.map((family) =>
      allow(["socket"], { args: [{ index: 0, value: family, op: "SCMP_CMP_EQ" }] })
    ),
    allow(["socketcall"], { args: [{ index: 0, value: SYS_SOCKET, op: "SCMP_CMP_NE" }] }),
    ...[TIOCSTI, TIOCLINUX].map((request): ConditionalRule => ({
      names: ["ioctl"],
      action: "SCMP_ACT_ERRNO",
      errnoRet: 1,
      // The kernel looks at the low 32 bits only, so must we (CVE-2019-10063).
      args: [{ index: 1, value: 0xffffffff, valueTwo: request, op: "SCMP_CMP_MASKED_EQ" }],
    })),
    ...PERSONALITIES.map((value) =>
      allow(["personality"], { args: [{ index: 0, value, op: "SCMP_CMP_EQ" }] })
    ),
    ...ALLOWED_ON.map(([arches, names]) => allow(words(names), { includes: { arches } })),
    ...Object.entries(ALLOWED_WITH).map(([cap, names]) => allow(words(names), { includes: { caps: [cap] } })),
    allow(["clone"], {
      args: [{ index: 0, value: CLONE_NAMESPACE_FLAGS, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" }],
      excludes: { caps: ["CAP_SYS_ADMIN"] },
    }),
    // clone3 has its flags in memory, where a filter cannot look; ENOSYS makes the C library use clone.
    {
      names: ["clone3"],
      action: "SCMP_ACT_ERRNO",
      errnoRet: ENOSYS,
      excludes: { caps: ["CAP_SYS_ADMIN"] },
    },
  ],
};
