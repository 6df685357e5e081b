/** The command line: parse, dispatch, render the error. The only exit of the program. */

import { dispatch } from "./dispatch.ts";
import { printError } from "./output/print.ts";
import { renderError } from "./render_error.ts";
import { takeLaunch } from "../runtime/config/launch.ts";
import { HostError } from "../runtime/errors.ts";

/**
 * V8 names its worker threads, and they are the first that a process starts.
 * Without `--single-threaded` a forked child deadlocks in its first garbage collection.
 */
function checkV8Flag(): void {
  for (const { name } of Deno.readDirSync("/proc/self/task")) {
    if (name === String(Deno.pid)) continue;
    if (!Deno.readTextFileSync(`/proc/self/task/${name}/comm`).startsWith("V8 ")) return;
    throw new HostError("start skiff: V8 runs with worker threads", {
      hint: "Start Deno with --v8-flags=--single-threaded, or use the built executable",
    });
  }
}

async function main(words: readonly string[]): Promise<number> {
  let verbose = false;
  try {
    takeLaunch();
    checkV8Flag();
    if (words[0]?.startsWith("__")) {
      const { runInternal } = await import("./internal.ts");
      return await runInternal(words[0]);
    }
    return await dispatch(words, (level) => verbose = level === "debug" || level === "trace");
  } catch (error) {
    const { text, exitCode } = renderError(error, verbose);
    printError(text);
    return exitCode;
  }
}

Deno.exit(await main(Deno.args));
