/** A failure from inside the container as the error that the user meets. */

import { CannotInvokeError, CommandNotFoundError, SkiffError } from "../errors.ts";
import { setupExitCode } from "../monitor/exit_code.ts";
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
