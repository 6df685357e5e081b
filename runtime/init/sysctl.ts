/** Kernel parameters of the container's own namespaces, written to a procfs that is known to be genuine. */

import { Fd, openat2, writeAll } from "../../ffi/file.ts";
import { filesystemType } from "../../ffi/mount.ts";
import {
  O_CLOEXEC,
  O_WRONLY,
  RESOLVE_BENEATH,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
} from "../../ffi/constants/fcntl.ts";
import { PROC_SUPER_MAGIC } from "../../ffi/constants/mount.ts";
import { SkiffError } from "../errors.ts";

/** Writes each `net.ipv4.ip_forward=1` through `procfs`, a descriptor of a proc mount made here. */
export function writeSysctls(procfs: number, sysctls: Record<string, string>): void {
  for (const [name, value] of Object.entries(sysctls)) {
    if (!/^[A-Za-z0-9_./-]+$/.test(name)) throw new SkiffError(`set sysctl ${name}: not a parameter's name`);
    // `/` and `.` change places, as in sysctl(8), where a slash is written at all.
    const path = name.includes("/") ? name : name.replaceAll(".", "/");
    try {
      using file = new Fd(
        openat2(
          procfs,
          `sys/${path}`,
          O_WRONLY | O_CLOEXEC,
          RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
        ),
      );
      if (filesystemType(file.number) !== PROC_SUPER_MAGIC) throw new Error("not on procfs");
      writeAll(file.number, new TextEncoder().encode(value));
    } catch (error) {
      throw new SkiffError(`set sysctl ${name}: ${(error as Error).message}`, { cause: error });
    }
  }
}
