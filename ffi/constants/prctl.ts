/** @see prctl(2), capabilities(7), keyctl(2), seccomp(2); linux/prctl.h, linux/capability.h, linux/seccomp.h */
export const PR_SET_PDEATHSIG = 1;
export const PR_SET_DUMPABLE = 4;
export const PR_SET_KEEPCAPS = 8;
export const PR_SET_NAME = 15;
export const PR_CAPBSET_READ = 23;
export const PR_CAPBSET_DROP = 24;
export const PR_SET_SECCOMP = 22;
export const PR_SET_SECUREBITS = 28;
export const SECBIT_NO_SETUID_FIXUP = 1 << 2;
export const PR_SET_CHILD_SUBREAPER = 36;
export const PR_SET_NO_NEW_PRIVS = 38;
export const PR_CAP_AMBIENT = 47;
export const PR_CAP_AMBIENT_RAISE = 2;
export const PR_CAP_AMBIENT_CLEAR_ALL = 4;

export const _LINUX_CAPABILITY_VERSION_3 = 0x20080522;
export const KEYCTL_JOIN_SESSION_KEYRING = 1;

export const SECCOMP_SET_MODE_FILTER = 1;
export const SECCOMP_FILTER_FLAG_TSYNC = 1;
export const SECCOMP_FILTER_FLAG_LOG = 2;
export const SECCOMP_FILTER_FLAG_SPEC_ALLOW = 4;
