/** A failure from inside the container as the error that the user meets. */

import { ENOEXEC, EPERM } from "../../ffi/errno.ts";
import { CannotInvokeError, CommandNotFoundError, GivenUpError, SkiffError } from "../errors.ts";
import { setupExitCode } from "../monitor/exit_code.ts";
import type { SetupFailure } from "../monitor/plan.ts";

const NO_FORMAT =
  "it is for another processor, and no emulator is registered for it (Debian: packages qemu-user-static " +
  "and binfmt-support), or a script that does not begin with #!";

export function setupError(failure: SetupFailure): SkiffError {
  if (failure.exitCode !== undefined) return new GivenUpError(failure.message, failure.exitCode);
  switch (setupExitCode(failure)) {
    case 127:
      return new CommandNotFoundError(failure.message);
    case 126:
      return new CannotInvokeError(failure.message, {
        hint: failure.errno === ENOEXEC ? NO_FORMAT : undefined,
      });
    default:
      return new SkiffError(failure.message, { hint: hintFor(failure) });
  }
}

/** Root of its own namespaces is refused only by a filter that was set before, as outer containers do. */
function hintFor({ errno }: SetupFailure): string | undefined {
  if (errno !== EPERM || !/^Seccomp:\s+2$/m.test(Deno.readTextFileSync("/proc/self/status"))) {
    return undefined;
  }
  return "a seccomp filter around skiff may forbid it: start the outer container with " +
    "--security-opt seccomp=unconfined, or the unit without SystemCallFilter=";
}
