/** `--cidfile`, `--pod-id-file`: a file that tells the id of one container or pod. */

import { ConflictError, hostReason, InvalidArgumentError } from "../errors.ts";

/** The file must be new, so that two containers never share one. */
export function reserveCidfile(
  path: string,
  kind: "container" | "pod" = "container",
): { write(id: string): void; discard(): void } {
  let file: Deno.FsFile;
  try {
    file = Deno.openSync(path, { write: true, createNew: true, mode: 0o644 });
  } catch (cause) {
    if (cause instanceof Deno.errors.AlreadyExists) {
      throw new ConflictError(
        kind === "pod"
          ? `pod id file exists. Ensure another pod is not using it or delete ${path}`
          : `write container id to "${path}": container ID file found, make sure the other container isn't running or delete it`,
        { cause },
      );
    }
    throw new InvalidArgumentError(`write ${kind} id to "${path}": ${hostReason(cause)}`, { cause });
  }
  return {
    write(id) {
      file.writeSync(new TextEncoder().encode(id));
      file.close();
    },
    // somebody may have removed it; why there is no container is what counts
    discard() {
      attempt(() => file.close());
      attempt(() => Deno.removeSync(path));
    },
  };
}

function attempt(action: () => void): void {
  try {
    action();
  } catch {
    // done already
  }
}
