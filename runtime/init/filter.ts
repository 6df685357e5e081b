/** A plan's seccomp filter, from the text that crosses the fork to the program that the kernel takes. */

import type { InitAnnex } from "../monitor/plan.ts";
import type { SeccompFilter } from "./credentials.ts";

/** The compiled filter that a plan carries as base64. */
export function decodeFilter(
  annex: Pick<InitAnnex, "seccompProgram" | "seccompFlags">,
): SeccompFilter | undefined {
  if (annex.seccompProgram === undefined) return undefined;
  const program = Uint8Array.fromBase64(annex.seccompProgram);
  return { program, flags: annex.seccompFlags ?? 0 };
}
