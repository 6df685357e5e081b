/** The caller's world: variables, files, the command line as it was typed. */

import type { CallerFacts } from "./flags/create.ts";

export function callerFacts(): CallerFacts {
  return {
    env: Deno.env.toObject(),
    readFile: Deno.readTextFileSync,
    commandLine: ["skiff", ...Deno.args],
  };
}
