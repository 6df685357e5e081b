/** Verbs for programs, not for people: the library asks through them for what needs a fork. */

import { UnsupportedError } from "../runtime/errors.ts";

/** Runs `__engine`. Gives the exit code. */
export async function runInternal(verb: string, words: readonly string[]): Promise<number> {
  if (verb !== "__engine" || words.length > 0) {
    throw new UnsupportedError(`run internal verb "${verb}": unknown`);
  }
  const { serveRequest } = await import("../runtime/engine/serve_request.ts");
  const encoder = new TextEncoder();
  await serveRequest(Deno.stdin.readable, (answer) => {
    const line = encoder.encode(JSON.stringify(answer) + "\n");
    for (let at = 0; at < line.length;) at += Deno.stdout.writeSync(line.subarray(at));
  });
  return 0;
}
