/**
 * Writes runtime/security/precompiled/: the seccomp programs of the usual containers. To be run whenever the rules,
 * the compiler or the syscall numbers change; a test says when it was forgotten.
 *
 *     deno run -A scripts/generate_seccomp_programs.ts
 */

import { DEFAULT_CAPABILITIES } from "../runtime/security/capabilities.ts";
import type { PrecompiledVariant, SeccompRequest } from "../runtime/security/seccomp.ts";
import { compileRequest } from "../runtime/security/seccomp_request.ts";

export const VARIANTS: Record<PrecompiledVariant, Omit<SeccompRequest, "machine" | "kernelRelease">> = {
  default: { profile: { kind: "default" }, capabilities: DEFAULT_CAPABILITIES, fakeOwnership: false },
  default_fake: { profile: { kind: "default" }, capabilities: DEFAULT_CAPABILITIES, fakeOwnership: true },
  no_chroot: { profile: { kind: "default" }, capabilities: [], fakeOwnership: false },
  unconfined_fake: { profile: { kind: "unconfined" }, capabilities: [], fakeOwnership: true },
};

/** File names below runtime/security/precompiled and their texts. */
export async function renderPrecompiled(): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const machine of ["x86_64", "aarch64"] as const) {
    for (const [variant, request] of Object.entries(VARIANTS)) {
      const { program } = await compileRequest({ ...request, machine, kernelRelease: "6.0" });
      files.set(
        `${machine}_${variant}.ts`,
        `/** Made by scripts/generate_seccomp_programs.ts. */\nexport default "${program}";\n`,
      );
    }
  }
  return files;
}

if (import.meta.main) {
  const folder = new URL("../runtime/security/precompiled/", import.meta.url);
  await Deno.mkdir(folder, { recursive: true });
  for (const [name, text] of await renderPrecompiled()) await Deno.writeTextFile(new URL(name, folder), text);
}
