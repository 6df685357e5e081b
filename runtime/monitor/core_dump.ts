/** No core of a monitor: it would hold the container's environment, and with it whatever secrets `-e` brought. */

import { getrlimit, setrlimit } from "../../ffi/process.ts";

/** @see RLIMIT_CORE in getrlimit(2), asm-generic/resource.h */
const RLIMIT_CORE = 4;

/** For this process and what it forks from here on; the program was forked before and keeps the caller's limit. */
export function forbidCoreDump(): void {
  setrlimit(RLIMIT_CORE, { soft: 0, hard: getrlimit(RLIMIT_CORE).hard });
}
