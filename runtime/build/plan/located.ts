/** Errors with the place in the Dockerfile that they are about. */

import { BuildError, SkiffError } from "../../errors.ts";
import type { Dockerfile, Location } from "../dockerfile/ast.ts";

/** What `action` throws gets the place; what has one keeps it. */
export function locate<T>(dockerfile: Dockerfile, location: Location, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw located(dockerfile, location, error);
  }
}

export function located(dockerfile: Dockerfile, location: Location, error: unknown): unknown {
  if (!(error instanceof SkiffError) || (error instanceof BuildError && error.source !== undefined)) {
    return error;
  }
  const { fileName, lines } = dockerfile;
  const { hint } = error;
  // what a failed program has written, and its exit code, stay with it
  const { exitCode, output } = error instanceof BuildError ? error : {};
  const source = { fileName, lines, location };
  return new BuildError(error.message, { cause: error, hint, exitCode, output, source });
}
