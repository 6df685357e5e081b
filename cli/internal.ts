/** Commands that skiff gives itself; their names begin with `__` and are no part of the command line. */

import { serveRequest } from "../runtime/engine/serve_request.ts";
import { InvalidArgumentError } from "../runtime/errors.ts";
import { print } from "./output/print.ts";

const INTERNAL: Record<string, () => Promise<void>> = {
  /** One request of a library program on stdin, answers on stdout. @see runtime/engine/remote.ts */
  __engine: () => serveRequest(Deno.stdin.readable, (answer) => print(JSON.stringify(answer) + "\n")),
};

export async function runInternal(name: string): Promise<number> {
  const perform = INTERNAL[name];
  if (!perform) throw new InvalidArgumentError(`unrecognized command \`skiff ${name}\``);
  await perform();
  return 0;
}
