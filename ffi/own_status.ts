/** What the kernel says of this process in one file, which saves a call for each signal and capability. */

import { close, open, read } from "./file.ts";
import { O_CLOEXEC, O_RDONLY } from "./constants/fcntl.ts";

export interface OwnStatus {
  /** Bit n - 1 is signal n. */
  ignoredSignals: bigint;
  /** Bit n is capability n. */
  boundingSet: bigint;
}

const buffer = new Uint8Array(4096);

/** Reads SigIgn and CapBnd. @see proc_pid_status(5) */
export function ownStatus(): OwnStatus {
  const fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
  const length = read(fd, buffer);
  close(fd);
  const text = new TextDecoder().decode(buffer.subarray(0, length));
  const mask = (name: string) =>
    BigInt(`0x${new RegExp(`^${name}:\\s*([0-9a-f]+)$`, "m").exec(text)?.[1] ?? "0"}`);
  return { ignoredSignals: mask("SigIgn"), boundingSet: mask("CapBnd") };
}
