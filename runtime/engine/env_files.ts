/** `--env-file`. */

import { takeLaunch } from "../config/launch.ts";
import { parseEnvFile } from "../container/env.ts";
import { hostReason, InvalidArgumentError } from "../errors.ts";

/** The variables of the files, in their order, with the caller's values where a file leaves them out. */
export function readEnvFiles(paths: string[]): string[] {
  return paths.flatMap((path) => {
    let text: string;
    try {
      text = Deno.readTextFileSync(path);
    } catch (cause) {
      throw new InvalidArgumentError(`read environment file "${path}": ${hostReason(cause)}`, { cause });
    }
    takeLaunch(); // gives the caller's variables back their names
    return parseEnvFile(text, path, (key) => Deno.env.get(key));
  });
}
