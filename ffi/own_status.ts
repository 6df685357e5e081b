/** What the kernel says of this process in one file, which saves a call for each signal and capability. */

import { close, open, read } from "./file.ts";
import { capset } from "./process.ts";
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
  const mask = readMasks();
  return { ignoredSignals: mask("SigIgn"), boundingSet: mask("CapBnd") };
}

/** Takes a capability from this process, and with that from all that it will fork. @see capabilities(7) */
export function dropCapability(capability: number): void {
  const mask = readMasks();
  const kept = ~(1n << BigInt(capability));
  capset(mask("CapEff") & kept, mask("CapPrm") & kept, mask("CapInh") & kept);
}

function readMasks(): (name: string) => bigint {
  const fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
  const length = read(fd, buffer);
  close(fd);
  const text = new TextDecoder().decode(buffer.subarray(0, length));
  return (name) => BigInt(`0x${new RegExp(`^${name}:\\s*([0-9a-f]+)$`, "m").exec(text)?.[1] ?? "0"}`);
}
