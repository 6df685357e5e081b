/**
 * Seccomp profiles with conditions, as Docker writes them, and what is left of one for a given container.
 *
 * @see docker docs, seccomp security profiles; moby/profiles seccomp/seccomp_linux.go
 */

import type { Machine } from "../../ffi/arch.ts";
import { InvalidArgumentError } from "../errors.ts";
import type { SeccompSpec } from "../spec/runtime.ts";
import { DEFAULT_PROFILE } from "./seccomp_rules.ts";

export type SeccompRule = SeccompSpec["syscalls"][number];

/** All that is given must hold. */
export interface RuleCondition {
  /** Every one of them, as in the bounding set. */
  caps?: readonly string[];
  /** One of them, as Go names machines: `amd64`, `arm64`. */
  arches?: readonly string[];
  /** `4.8` */
  minKernel?: string;
}

export interface ConditionalRule extends SeccompRule {
  /** The rule counts where this holds. */
  includes?: RuleCondition;
  /** The rule does not count where anything of this holds. */
  excludes?: RuleCondition;
}

export interface ConditionalProfile extends Omit<SeccompSpec, "architectures" | "syscalls"> {
  architectures?: string[];
  archMap?: { architecture: string; subArchitectures?: string[] | null }[];
  syscalls: ConditionalRule[];
}

/** What conditions are checked against. */
export interface ProfileSubject {
  /** The container's bounding set. */
  capabilities: readonly string[];
  machine: Machine;
  /** `Deno.osRelease()`; without it every minKernel holds. */
  kernelRelease?: string;
}

/** Docker's default profile for a container with these capabilities. */
export function defaultSeccompProfile(
  capabilities: readonly string[],
  machine: Machine,
  kernelRelease?: string,
): SeccompSpec {
  return resolveProfile(DEFAULT_PROFILE, { capabilities, machine, kernelRelease });
}

/** Keeps the rules whose conditions hold and expands archMap to architectures. */
export function resolveProfile(profile: ConditionalProfile, subject: ProfileSubject): SeccompSpec {
  const { archMap, syscalls, architectures, ...rest } = profile;
  const native = archMap?.find((entry) => entry.architecture === NATIVE_ARCHITECTURE[subject.machine]);
  return {
    ...rest,
    architectures: architectures?.length
      ? architectures
      : native
      ? [native.architecture, ...native.subArchitectures ?? []]
      : [],
    syscalls: syscalls
      .filter((rule) => holds(rule.includes, subject) && !excludes(rule.excludes, subject))
      .map(({ includes: _, excludes: __, ...rule }) => rule),
  };
}

/** The name of the machine in OCI documents. */
export const NATIVE_ARCHITECTURE: Record<Machine, string> = {
  x86_64: "SCMP_ARCH_X86_64",
  aarch64: "SCMP_ARCH_AARCH64",
};

const GO_MACHINE: Record<Machine, string> = { x86_64: "amd64", aarch64: "arm64" };

function holds(condition: RuleCondition | undefined, subject: ProfileSubject): boolean {
  if (condition === undefined) return true;
  const { caps = [], arches = [], minKernel } = condition;
  return caps.every((name) => subject.capabilities.includes(name)) &&
    (arches.length === 0 || arches.includes(GO_MACHINE[subject.machine])) &&
    (!minKernel || isKernelAtLeast(subject.kernelRelease, minKernel));
}

function excludes(condition: RuleCondition | undefined, subject: ProfileSubject): boolean {
  if (condition === undefined) return false;
  const { caps = [], arches = [], minKernel } = condition;
  return caps.some((name) => subject.capabilities.includes(name)) ||
    arches.includes(GO_MACHINE[subject.machine]) ||
    (!!minKernel && isKernelAtLeast(subject.kernelRelease, minKernel));
}

/** `6.1.0-18-amd64` is at least `4.8`; what follows the second number is not looked at, as in docker. */
function isKernelAtLeast(release: string | undefined, minimum: string): boolean {
  const wanted = /^(\d{1,3})\.(\d{1,3})$/.exec(minimum);
  if (!wanted) {
    throw new InvalidArgumentError(`invalid kernel version: "${minimum}", expected "<kernel>.<major>"`);
  }
  if (release === undefined) return true;
  const [major, minor] = release.split(/[.-]/).map(Number);
  return major! > Number(wanted[1]) || (major === Number(wanted[1]) && (minor ?? 0) >= Number(wanted[2]));
}
