/**
 * The last steps before a program runs, in the one order that works: what needs privileges first, then
 * the ids, then the capabilities, then what must come after every change of credentials.
 *
 * @see capabilities(7), seccomp(2), PR_SET_PDEATHSIG(2const)
 */

import { ENOSYS, EPERM, isErrno } from "../../ffi/errno.ts";
import {
  capset,
  getppid,
  joinNewSessionKeyring,
  personality,
  prctl,
  seccompSetFilter,
  setgroups,
  setresgid,
  setresuid,
  setrlimit,
  umask,
} from "../../ffi/process.ts";
import {
  PR_CAP_AMBIENT,
  PR_CAP_AMBIENT_CLEAR_ALL,
  PR_CAP_AMBIENT_RAISE,
  PR_CAPBSET_DROP,
  PR_SET_DUMPABLE,
  PR_SET_KEEPCAPS,
  PR_SET_NO_NEW_PRIVS,
  PR_SET_PDEATHSIG,
} from "../../ffi/constants/prctl.ts";
import { PER_LINUX, PER_LINUX32 } from "../../ffi/constants/personality.ts";
import { SIGKILL } from "../../ffi/constants/signal.ts";
import { SkiffError } from "../errors.ts";
import { capabilityMask, capabilityNumber } from "../security/capabilities.ts";
import type { PersonalitySpec, ProcessSpec, RlimitSpec } from "../spec/runtime.ts";
import type { ResolvedUser } from "../spec/passwd.ts";

/** The default umask of a container, as docker and podman set it. */
const DEFAULT_UMASK = 0o022;

/** Highest capability number that is looked for; the kernel says EINVAL past its own last one. */
const LAST_CAPABILITY_BIT = 63;

/** A compiled filter and its SECCOMP_FILTER_FLAG_* bits. */
export interface SeccompFilter {
  program: Uint8Array<ArrayBuffer>;
  flags: number;
}

export interface Credentials {
  process: ProcessSpec;
  user: ResolvedUser;
  seccomp?: SeccompFilter;
  /** setgroups(2) is forbidden where the id map is single. */
  canSetGroups: boolean;
  personality?: PersonalitySpec;
  /** The bounding set so far, of which the program keeps what the spec allows. */
  boundingSet: bigint;
}

/** @see OCI runtime-spec config-linux.md, personality */
const PERSONAS: Record<PersonalitySpec["domain"], number> = { LINUX: PER_LINUX, LINUX32: PER_LINUX32 };

/** Becomes the program's user with exactly the privileges of the spec. */
export function assumeCredentials(credentials: Credentials): void {
  const { process, user, seccomp, canSetGroups, boundingSet } = credentials;
  // before a filter that may not let it through
  if (credentials.personality) personality(PERSONAS[credentials.personality.domain]);
  freshSessionKeyring();
  umask(process.user.umask ?? DEFAULT_UMASK);
  for (const limit of process.rlimits ?? []) applyRlimit(limit);

  const sets = process.capabilities;
  const [bounding, permitted, effective, inheritable, ambient] = [
    capabilityMask(sets?.bounding ?? []),
    capabilityMask(sets?.permitted ?? []),
    capabilityMask(sets?.effective ?? []),
    capabilityMask(sets?.inheritable ?? []),
    sets?.ambient ?? [],
  ];
  // Without no_new_privs a filter needs CAP_SYS_ADMIN, so it comes before that is gone.
  if (seccomp && !process.noNewPrivileges) installFilter(seccomp);
  dropBoundingSet(boundingSet, bounding);
  prctl(PR_SET_KEEPCAPS, 1);
  setresgid(user.gid);
  // The primary group is in the list as well, or a setgid program could leave it: a file's mode may deny more
  // to a group than to others (CVE-2022-2989, CVE-2022-36109).
  if (canSetGroups) setgroups([...new Set([user.gid, ...user.additionalGids])]);
  setresuid(user.uid);
  prctl(PR_SET_KEEPCAPS, 0);
  // A machine may keep capabilities from root itself, and capset(2) refuses a set that asks for one of them.
  capset(effective & boundingSet, permitted & boundingSet, inheritable & boundingSet);
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL);
  for (const name of ambient) prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capabilityNumber(name));
  // A change of ids made the process dumpable again: nobody in the container may look into it.
  prctl(PR_SET_DUMPABLE, 0);
  if (process.noNewPrivileges) {
    prctl(PR_SET_NO_NEW_PRIVS, 1);
    if (seccomp) installFilter(seccomp);
  }
}

/** The program dies with its monitor. Cleared by a change of credentials, so it comes after the last. */
export function dieWithParent(parentPid: number): void {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // Seen from inside a pid namespace the monitor has number 0; any other number is a new parent.
  const parent = getppid();
  if (parent !== 0 && parent !== parentPid) throw new SkiffError("the monitor has ended");
}

function installFilter({ program, flags }: SeccompFilter): void {
  try {
    seccompSetFilter(program, flags);
  } catch (error) {
    throw new SkiffError(`install seccomp filter: ${(error as Error).message}`, { cause: error });
  }
}

/** The caller's session keyring stays the caller's (CVE-2014-9529 and its kin). */
function freshSessionKeyring(): void {
  try {
    joinNewSessionKeyring();
  } catch (error) {
    // A kernel without keyrings, or an outer filter that hides them, has nothing to share.
    if (!isErrno(error, ENOSYS, EPERM)) throw error;
  }
}

/** @see asm-generic/resource.h; the same on both machines */
const RLIMITS: Record<string, number> = {
  RLIMIT_CPU: 0,
  RLIMIT_FSIZE: 1,
  RLIMIT_DATA: 2,
  RLIMIT_STACK: 3,
  RLIMIT_CORE: 4,
  RLIMIT_RSS: 5,
  RLIMIT_NPROC: 6,
  RLIMIT_NOFILE: 7,
  RLIMIT_MEMLOCK: 8,
  RLIMIT_AS: 9,
  RLIMIT_LOCKS: 10,
  RLIMIT_SIGPENDING: 11,
  RLIMIT_MSGQUEUE: 12,
  RLIMIT_NICE: 13,
  RLIMIT_RTPRIO: 14,
  RLIMIT_RTTIME: 15,
};

function applyRlimit({ type, soft, hard }: RlimitSpec): void {
  const resource = Object.hasOwn(RLIMITS, type) ? RLIMITS[type] : undefined;
  if (resource === undefined) throw new SkiffError(`set limit ${type}: unknown resource`);
  const value = (number: number) => number < 0 || number >= 2 ** 63 ? Infinity : number;
  try {
    setrlimit(resource, { soft: value(soft), hard: value(hard) });
  } catch (error) {
    throw new SkiffError(`set limit ${type} to ${soft}:${hard}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** Takes out of the bounding set, which is `present`, what is not in `kept`. */
function dropBoundingSet(present: bigint, kept: bigint): void {
  for (let number = 0; number <= LAST_CAPABILITY_BIT; number++) {
    const bit = 1n << BigInt(number);
    if (present & bit && !(kept & bit)) prctl(PR_CAPBSET_DROP, number);
  }
}
