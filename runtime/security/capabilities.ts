/**
 * Capabilities: their names and numbers, Docker's default set, and what --cap-add and --cap-drop make of it.
 *
 * @see capabilities(7), linux/capability.h
 */

import { InvalidArgumentError } from "../errors.ts";

/** In the order of their numbers: CAP_CHOWN is 0. */
export const ALL_CAPABILITIES: readonly string[] = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_DAC_READ_SEARCH",
  "CAP_FOWNER",
  "CAP_FSETID",
  "CAP_KILL",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_SETPCAP",
  "CAP_LINUX_IMMUTABLE",
  "CAP_NET_BIND_SERVICE",
  "CAP_NET_BROADCAST",
  "CAP_NET_ADMIN",
  "CAP_NET_RAW",
  "CAP_IPC_LOCK",
  "CAP_IPC_OWNER",
  "CAP_SYS_MODULE",
  "CAP_SYS_RAWIO",
  "CAP_SYS_CHROOT",
  "CAP_SYS_PTRACE",
  "CAP_SYS_PACCT",
  "CAP_SYS_ADMIN",
  "CAP_SYS_BOOT",
  "CAP_SYS_NICE",
  "CAP_SYS_RESOURCE",
  "CAP_SYS_TIME",
  "CAP_SYS_TTY_CONFIG",
  "CAP_MKNOD",
  "CAP_LEASE",
  "CAP_AUDIT_WRITE",
  "CAP_AUDIT_CONTROL",
  "CAP_SETFCAP",
  "CAP_MAC_OVERRIDE",
  "CAP_MAC_ADMIN",
  "CAP_SYSLOG",
  "CAP_WAKE_ALARM",
  "CAP_BLOCK_SUSPEND",
  "CAP_AUDIT_READ",
  "CAP_PERFMON", // Linux 5.8
  "CAP_BPF", // Linux 5.8
  "CAP_CHECKPOINT_RESTORE", // Linux 5.9
];

/** What a container has without --cap-add, --cap-drop or --privileged: Docker's fourteen. */
export const DEFAULT_CAPABILITIES: readonly string[] = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_FOWNER",
  "CAP_FSETID",
  "CAP_KILL",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_SETPCAP",
  "CAP_NET_BIND_SERVICE",
  "CAP_NET_RAW",
  "CAP_SYS_CHROOT",
  "CAP_MKNOD",
  "CAP_AUDIT_WRITE",
  "CAP_SETFCAP",
];

export interface CapabilityChoice {
  /** `--cap-add`: names in any case, with or without `CAP_`, or `ALL`. */
  add?: readonly string[];
  /** `--cap-drop`, in the same spelling. */
  drop?: readonly string[];
  /** Start from all instead of the default set. */
  privileged?: boolean;
  /** What cannot be had is left out of ALL: the highest number of this kernel, /proc/sys/kernel/cap_last_cap. */
  lastCapability?: number;
}

/**
 * The names of the capabilities a container gets, in the order of their numbers. As podman has it: dropping
 * ALL leaves what is added, adding ALL leaves what is not dropped, and the same name in both is an error.
 */
export function resolveCapabilities(choice: CapabilityChoice): string[] {
  const add = new Set((choice.add ?? []).flatMap(normalizeCapabilities));
  const drop = new Set((choice.drop ?? []).flatMap(normalizeCapabilities));
  if (add.has(ALL) && drop.has(ALL)) {
    throw new InvalidArgumentError("adding and removing all capabilities not allowed");
  }
  for (const name of drop) {
    if (name !== ALL && add.has(name)) {
      throw new InvalidArgumentError(`capability "${name}" cannot be dropped and added`);
    }
  }

  const supported = ALL_CAPABILITIES.slice(0, (choice.lastCapability ?? ALL_CAPABILITIES.length - 1) + 1);
  const base = choice.privileged || add.has(ALL) ? supported : DEFAULT_CAPABILITIES;
  const kept = new Set(drop.has(ALL) ? [] : base.filter((name) => !drop.has(name)));
  return ALL_CAPABILITIES.filter((name) => kept.has(name) || add.has(name));
}

/** The names as bits, as in /proc/PID/status CapEff. Throws on a name that is not in capabilities(7). */
export function capabilityMask(names: readonly string[]): bigint {
  return names.reduce((mask, name) => mask | (1n << BigInt(capabilityNumber(name))), 0n);
}

/** The names of the bits set, those that this table does not know left out. */
export function capabilitiesOfMask(mask: bigint): string[] {
  return ALL_CAPABILITIES.filter((_, number) => (mask >> BigInt(number)) & 1n);
}

/** CAP_CHOWN is 0. */
export function capabilityNumber(name: string): number {
  const number = ALL_CAPABILITIES.indexOf(name);
  if (number < 0) throw unknownCapability(name);
  return number;
}

const ALL = "ALL";

/** `net_raw`, `CAP_NET_RAW`, `net_raw,chown` and `all` as they are written on command lines. */
export function normalizeCapabilities(text: string): string[] {
  return text.split(",").map((word) => {
    const name = word.trim().toUpperCase();
    if (name === ALL || name === "CAP_ALL") return ALL;
    const full = name.startsWith("CAP_") ? name : `CAP_${name}`;
    if (!ALL_CAPABILITIES.includes(full)) throw unknownCapability(full);
    return full;
  });
}

function unknownCapability(name: string): InvalidArgumentError {
  return new InvalidArgumentError(`"${name}": unknown capability`);
}
