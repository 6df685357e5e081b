/** The command line: parse, dispatch, render the error. The only exit of the program. */

import { foldCodeCacheLogs, isCodeCacheLogLong } from "./code_cache.ts";
import { dispatch } from "./dispatch.ts";
import { coloured } from "./output/colour.ts";
import { printError } from "./output/print.ts";
import { renderError } from "./render_error.ts";
import { takeLaunch } from "../runtime/config/launch.ts";
import { HostError } from "../runtime/errors.ts";
import { foldLongLogs } from "../runtime/state/db.ts";
import { STARTING_VERBS } from "./starting_verbs.ts";

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

let verbose = false;

/** Renders the error and gives its exit code. */
function fail(error: unknown): number {
  const { text, exitCode } = renderError(error, verbose);
  printError(text.replace(/^Error:/, (word) => coloured(word, "red")));
  return exitCode;
}

/** Whether a monitor was forked: then what ends a process at once is loaded, as it is in a kept one. */
let hasForked = false;

/** Ends the command. `Deno.exit` first tells listeners that nobody is, which is not loaded: half a millisecond. */
async function leave(code: number): Promise<void> {
  const { form, isThawed } = takeLaunch();
  if (form !== "packed" || !hasForked && !isThawed) Deno.exit(code);
  const { _exit } = await import("../ffi/process.ts");
  _exit(code);
}

/** Forks a monitor before anything else is loaded, where the command will need one. */
async function plantMonitor(words: readonly string[]): Promise<void> {
  // it would look into the usual folders
  if (words.some((word) => /^--(?:run)?root\b/.test(word))) return;
  const verb = words[words[0] === "container" ? 1 : 0] ?? "";
  if (STARTING_VERBS.includes(verb)) {
    await (await import("../runtime/engine/prepare_start.ts")).prepareStart(words);
    hasForked = true;
  } else if (verb === "exec") {
    (await import("../runtime/engine/prepare_exec.ts")).prepareExec();
    hasForked = true;
  }
}

async function main(words: readonly string[]): Promise<number> {
  try {
    // What we make must be open to ourselves: with a umask of 0777 it would be to nobody, and stop each later command.
    Deno.umask(Deno.umask(0o077) & 0o077);
    // The packed form is started with the flag by its own header.
    if (takeLaunch().form !== "packed") checkV8Flag();
    if (words[0]?.startsWith("__")) {
      const { runInternal } = await import("./internal.ts");
      return await runInternal(words[0], words.slice(1));
    }
    await plantMonitor(words);
    return await dispatch(words, (level) => verbose = level === "debug" || level === "trace");
  } catch (error) {
    return fail(error);
  }
}

// What fails in a signal handler or behind the back of a command is told like any other error.
globalThis.addEventListener("unhandledrejection", (event) => {
  event.preventDefault();
  Deno.exit(fail(event.reason));
});

// no top-level await: the built file is a classic script
void main(Deno.args).then(async (code) => {
  foldLongLogs();
  if (takeLaunch().form === "packed" && isCodeCacheLogLong()) await foldCodeCacheLogs();
  await leave(code);
});
