/**
 * Success without effect for calls that a user namespace of one id cannot perform: package managers chown what they
 * unpack and drop to users of their own, and would fail. The same way out as Charliecloud's.
 *
 * @see seccomp(2) (SECCOMP_RET_ERRNO with 0), user_namespaces(7); Charliecloud documentation, --seccomp
 */

import type { SeccompSpec } from "../spec/runtime.ts";
import type { SeccompRule } from "./seccomp_profile.ts";

const PRETENDED = `
  chown chown32 fchown fchown32 fchownat lchown lchown32
  setuid setuid32 setgid setgid32 setreuid setreuid32 setregid setregid32 setresuid setresuid32
  setresgid setresgid32 setfsuid setfsuid32 setfsgid setfsgid32 setgroups setgroups32
`;

/** @see inode(7) */
const S_IFMT = 0o170000, S_IFCHR = 0o020000, S_IFBLK = 0o060000;
/** Which argument of the call is the mode. */
const MKNOD_MODE_ARGUMENT: [name: string, index: number][] = [["mknod", 1], ["mknodat", 2]];

/** The rules to put before a profile's own, since the first rule without conditions counts. mknod of FIFOs, sockets and files still works; a device is not made. */
export function fakeOwnershipRules(): SeccompRule[] {
  const pretend = { action: "SCMP_ACT_ERRNO", errnoRet: 0 };
  return [
    { names: PRETENDED.trim().split(/\s+/), ...pretend },
    ...MKNOD_MODE_ARGUMENT.flatMap(([name, index]) =>
      [S_IFCHR, S_IFBLK].map((type): SeccompRule => ({
        names: [name],
        ...pretend,
        args: [{ index, value: S_IFMT, valueTwo: type, op: "SCMP_CMP_MASKED_EQ" }],
      }))
    ),
  ];
}

/** The profile with pretended ownership; without a profile everything else is allowed. */
export function withFakeOwnership(spec: SeccompSpec | undefined, architectures: string[]): SeccompSpec {
  const base = spec ?? { defaultAction: "SCMP_ACT_ALLOW", architectures, syscalls: [] };
  return { ...base, syscalls: [...fakeOwnershipRules(), ...base.syscalls] };
}
