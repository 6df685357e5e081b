/**
 * The seccomp filter of a container. The usual ones come compiled with the program, since compiling takes longer
 * than half a `run`; only another set of capabilities or a profile of the user's is compiled on the spot.
 */

import type { Machine } from "../../ffi/arch.ts";

export interface SeccompRequest {
  profile: { kind: "default" } | { kind: "unconfined" } | { kind: "profile"; json: string };
  /** The bounding set. */
  capabilities: readonly string[];
  /** A user namespace of one id: chown, set*id and mknod of devices succeed without effect. */
  fakeOwnership: boolean;
  machine: Machine;
  /** `Deno.osRelease()`, for profiles that ask for a kernel. */
  kernelRelease: string;
}

export interface SeccompFilter {
  /** struct sock_filter[], little endian, base64. */
  program: string;
  /** For seccomp(SECCOMP_SET_MODE_FILTER). */
  flags: number;
}

export type PrecompiledVariant = "default" | "default_fake" | "no_chroot" | "unconfined_fake";

/** What Docker's profile asks for; the other capabilities do not change it. */
export const SECCOMP_CAPABILITIES: readonly string[] = [
  ...["CAP_DAC_READ_SEARCH", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_CHROOT", "CAP_SYS_MODULE"],
  ...["CAP_SYS_PACCT", "CAP_SYS_PTRACE", "CAP_SYS_RAWIO", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG"],
  ...["CAP_SYS_NICE", "CAP_SYSLOG", "CAP_BPF", "CAP_PERFMON"],
];

const SECCOMP_FILTER_FLAG_SPEC_ALLOW = 4;

/** One module each, so that a start loads only its own. */
const PRECOMPILED: Record<Machine, Record<PrecompiledVariant, () => Promise<{ default: string }>>> = {
  x86_64: {
    default: () => import("./precompiled/x86_64_default.ts"),
    default_fake: () => import("./precompiled/x86_64_default_fake.ts"),
    no_chroot: () => import("./precompiled/x86_64_no_chroot.ts"),
    unconfined_fake: () => import("./precompiled/x86_64_unconfined_fake.ts"),
  },
  aarch64: {
    default: () => import("./precompiled/aarch64_default.ts"),
    default_fake: () => import("./precompiled/aarch64_default_fake.ts"),
    no_chroot: () => import("./precompiled/aarch64_no_chroot.ts"),
    unconfined_fake: () => import("./precompiled/aarch64_unconfined_fake.ts"),
  },
};

/** The filter, or undefined for none. Throws InvalidArgumentError on a profile that cannot be understood. */
export async function seccompFilter(request: SeccompRequest): Promise<SeccompFilter | undefined> {
  if (request.profile.kind === "unconfined" && !request.fakeOwnership) return undefined;
  const variant = precompiledVariant(request);
  if (variant) {
    const { default: program } = await PRECOMPILED[request.machine][variant]();
    return { program, flags: SECCOMP_FILTER_FLAG_SPEC_ALLOW };
  }
  const { compileRequest } = await import("./seccomp_request.ts");
  return await compileRequest(request);
}

/** Which of the programs that come compiled fits, if any. */
export function precompiledVariant(request: SeccompRequest): PrecompiledVariant | undefined {
  if (request.profile.kind === "profile") return undefined;
  if (request.profile.kind === "unconfined") return "unconfined_fake";
  const relevant = request.capabilities.filter((name) => SECCOMP_CAPABILITIES.includes(name));
  if (relevant.length === 0) return request.fakeOwnership ? undefined : "no_chroot";
  if (relevant.length > 1 || relevant[0] !== "CAP_SYS_CHROOT") return undefined;
  return request.fakeOwnership ? "default_fake" : "default";
}
