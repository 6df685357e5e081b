/** @see namespaces(7), unshare(2), setns(2) */

import { check } from "./errno.ts";
import { libc } from "./libc.ts";

/** Leaves the namespaces that `flags` (CLONE_NEW*) names, for new ones. @see unshare(2) */
export function unshare(flags: number): void {
  check("unshare", libc("namespaces").unshare(flags));
}

/** Joins by a namespace file (one flag) or by a pidfd (any flags, Linux 5.8). @see setns(2) */
export function setns(fd: number, flags: number): void {
  check("setns", libc("namespaces").setns(fd, flags));
}
