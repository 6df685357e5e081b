/** `--cidfile`: a file that tells the id of one container. */

import { ConflictError, InvalidArgumentError } from "../errors.ts";

/** The file must be new, so that two containers never share one. */
export function reserveCidfile(path: string): { write(id: string): void; discard(): void } {
  let file: Deno.FsFile;
  try {
    file = Deno.openSync(path, { write: true, createNew: true, mode: 0o644 });
  } catch (cause) {
    if (cause instanceof Deno.errors.AlreadyExists) {
      throw new ConflictError(
        `write container id to "${path}": container ID file found, make sure the other container isn't running or delete it`,
        { cause },
      );
    }
    const reason = cause instanceof Deno.errors.NotFound
      ? "no such file or directory"
      : (cause as Error).message;
    throw new InvalidArgumentError(`write container id to "${path}": ${reason}`, { cause });
  }
  return {
    write(id) {
      file.writeSync(new TextEncoder().encode(id));
      file.close();
    },
    discard() {
      Deno.removeSync(path);
    },
  };
}
