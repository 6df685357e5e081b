/** A failure from inside the container as the error that the user meets. */

import { ENOENT, ENOTDIR } from "../../ffi/errno.ts";
import { CannotInvokeError, CommandNotFoundError, SkiffError } from "../errors.ts";
import type { SetupFailure } from "../monitor/plan.ts";

export function setupError(failure: SetupFailure): SkiffError {
  switch (setupExitCode(failure)) {
    case 127:
      return new CommandNotFoundError(failure.message);
    case 126:
      return new CannotInvokeError(failure.message);
    default:
      return new SkiffError(failure.message);
  }
}

/** As shells and docker have it: 127 no such program, 126 it cannot be executed, 125 anything before that. */
export function setupExitCode(failure: SetupFailure): number {
  if (failure.stage !== "execute") return 125;
  return failure.errno === ENOENT || failure.errno === ENOTDIR ? 127 : 126;
}
