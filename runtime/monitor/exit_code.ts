/** The exit code of a container or session whose program never ran. */

import { ENOENT, ENOTDIR } from "../../ffi/errno.ts";
import type { SetupFailure } from "./plan.ts";

/** What is about the program and who runs it, not about skiff; as podman has it. */
const STAGES_OF_THE_PROGRAM = [
  "run hooks",
  "find the user",
  "prepare the working directory",
  "enter the working directory",
];

/** As shells, docker and podman have it: 127 no such program, 126 it cannot be executed, 125 anything before that. */
export function setupExitCode({ stage, errno, exitCode }: SetupFailure): number {
  if (exitCode !== undefined) return exitCode;
  if (stage === "execute") return errno === ENOENT || errno === ENOTDIR ? 127 : 126;
  if (!STAGES_OF_THE_PROGRAM.includes(stage)) return 125;
  return stage === "enter the working directory" && errno === ENOENT ? 127 : 126;
}
