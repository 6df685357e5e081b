/** What a monitor starts when its container has ended: skiff again, with a word of its own (cli/internal.ts). */

import { takeLaunch } from "../config/launch.ts";
import type { EndProgram } from "../monitor/plan.ts";
import { UNSHARE_VARIABLE } from "../namespaces/context.ts";
import type { Folders } from "../state/folders.ts";

/** Within the user's namespace it sees itself as root, and is told that 0 is the user, as a session of `unshare` is. */
export function endProgram({ data, run }: Folders, verb: string, ...args: string[]): EndProgram {
  const { command } = takeLaunch();
  const env = { ...Deno.env.toObject(), [UNSHARE_VARIABLE]: "1" };
  return {
    path: command[0]!,
    argv: [...command, verb, data, run, ...args],
    env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
  };
}
