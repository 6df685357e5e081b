/** @see prlimit(2); asm-generic/resource.h */
export const RLIMIT_NOFILE = 7;
