/** What a monitor starts when its container has ended: plugins have mounts to take back, which is no work for it. */

import { closeAllExcept } from "../../ffi/file.ts";
import { forkChild } from "../../ffi/fork.ts";
import { execve, setsid } from "../../ffi/process.ts";
import { setSignalMask } from "../../ffi/signal.ts";
import type { EndProgram } from "./plan.ts";

/** Its standard streams are the monitor's, which lead nowhere. What comes of it nobody is told. */
export function startAtEnd({ path, argv, env }: EndProgram): void {
  try {
    forkChild(() => {
      setsid();
      closeAllExcept([]);
      setSignalMask([]);
      execve(path, argv, env);
    });
  } catch {
    // No memory for it: the next command does the same.
  }
}
