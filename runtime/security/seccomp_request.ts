/** Compiles a filter that is not among the precompiled ones, and those for scripts/generate_seccomp_programs.ts. */

import type { SeccompFilter, SeccompRequest } from "./seccomp.ts";
import { compileSeccomp, seccompFlags } from "./seccomp_compile.ts";
import { withFakeOwnership } from "./seccomp_fake_ownership.ts";
import { defaultSeccompProfile, resolveProfile } from "./seccomp_profile.ts";
import { FILTER_ARCHITECTURES } from "./syscall_table.ts";

export async function compileRequest(request: SeccompRequest): Promise<SeccompFilter> {
  const { capabilities, machine, kernelRelease, profile } = request;
  let spec;
  if (profile.kind === "default") {
    spec = defaultSeccompProfile(capabilities, machine);
  } else if (profile.kind === "profile") {
    const { parseDockerSeccomp } = await import("./seccomp_docker.ts");
    spec = resolveProfile(parseDockerSeccomp(profile.json), { capabilities, machine, kernelRelease });
  }
  if (request.fakeOwnership || !spec) {
    const architectures = FILTER_ARCHITECTURES[machine].flatMap(({ tables }) =>
      tables.map(({ name }) => name)
    );
    spec = withFakeOwnership(spec, architectures);
  }
  return { program: compileSeccomp(spec, machine).toBase64(), flags: seccompFlags(spec) };
}
