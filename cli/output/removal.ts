/** What became of images that were to be removed. */

import type { RmiResult } from "../../runtime/engine/rmi.ts";
import { ConflictError, NotFoundError } from "../../runtime/errors.ts";
import { renderError } from "../render_error.ts";
import { print, printError } from "./print.ts";

/** Prints it and gives the exit code. @param inUse of what cannot be removed as it is */
export function printRemoval({ untagged, deleted, errors }: RmiResult, inUse?: number): number {
  print(
    [...untagged.map((name) => `Untagged: ${name}\n`), ...deleted.map((id) => `Deleted: ${id}\n`)].join(""),
  );
  let code = 0;
  for (const error of errors) {
    const rendered = renderError(error, false);
    printError(rendered.text);
    code = Math.max(code, exitCodeFor(error, inUse) ?? rendered.exitCode);
  }
  return code;
}

/** podman's: 1 where there is no such image, 2 where one is in use. */
function exitCodeFor(error: unknown, inUse: number | undefined): number | undefined {
  if (error instanceof NotFoundError) return 1;
  return error instanceof ConflictError ? inUse : undefined;
}
