/** @see podman-build(1), docs.docker.com/reference/cli/docker/buildx/build */

import { build, type BuildEvent } from "../../runtime/engine/build.ts";
import { BuildError, hostReason, InvalidArgumentError, UnsupportedError } from "../../runtime/errors.ts";
import { callerFacts } from "../caller.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { BUILD_FLAGS } from "../flags/build.ts";
import { callOf, toBuildOptions } from "../flags/build_options.ts";
import { sourceExcerpt } from "../output/build_error.ts";
import { type BuildDisplay, openDisplay, type ProgressMode } from "../output/build_progress.ts";
import { print, printError } from "../output/print.ts";
import { streaming } from "../output/stream.ts";
import { Interruption } from "../terminal/interruption.ts";

export const command = defineCommand({
  usage: "[options] [CONTEXT]",
  description:
    "Makes an image of a Dockerfile. CONTEXT is what COPY and ADD take files from: a folder (default .), the\n" +
    "address of a tar or of a git repository, or - for a tar or a Dockerfile on stdin. Steps run in parallel; one\n" +
    "whose instruction and files are as before is taken from the cache. See 'skiff help building'.",
  examples: [
    "skiff build -t web .",
    "skiff build -f docker/Dockerfile --target test --build-arg VERSION=2 .",
    "skiff build -o out --secret id=token,src=token.txt .",
    "skiff build --check .",
    "echo 'FROM docker.io/library/debian' | skiff build -t plain -",
  ],
  flags: BUILD_FLAGS,
  arity: { max: 1 },
  async run({ options, given, args, global }) {
    const facts = { ...callerFacts(), isFile };
    const asked = toBuildOptions(options, given, args, facts);
    if (options.creds !== undefined) asked.credentials = credentialsOf(options.creds);
    if (writesToStdout(asked.outputs) && Deno.stdout.isTerminal()) {
      throw new InvalidArgumentError("refusing to write an archive to the terminal. Use dest= or redirect");
    }
    if (asked.context.kind === "stdin" && Deno.stdin.isTerminal()) {
      throw new InvalidArgumentError("cannot read the context from the terminal, use redirection");
    }
    const { describe, isJson } = callOf(options.call);
    if (describe !== undefined) {
      const { printOutline } = await import("../output/build_outline.ts");
      return await printOutline(engineFor(global), asked, describe, isJson);
    }
    if (asked.checkOnly) {
      const { checkBuild } = await import("../output/build_check.ts");
      return await checkBuild(engineFor(global), asked, isJson);
    }
    using log = options.logfile === undefined ? undefined : openLog(options.logfile);
    const display = await openDisplay(modeOf(options.quiet, options.progress, log !== undefined), log?.write);
    using interruption = new Interruption();
    const result = await shown(
      display,
      interruption,
      (emit) => streaming(() => build(engineFor(global), asked, { signal: interruption.signal, emit })),
    );
    if (options.iidfile && result.imageId !== undefined) {
      writeFile(options.iidfile, `sha256:${result.imageId}`);
    }
    if (options["metadata-file"]) {
      writeFile(options["metadata-file"], JSON.stringify(result.metadata, undefined, 2));
    }
    if (options.quiet && result.imageId !== undefined && !writesToStdout(asked.outputs)) {
      print(`sha256:${result.imageId}\n`);
    }
  },
});

/** Shows what happens; what is wrong with the Dockerfile is shown with its lines, before the error. */
async function shown<T>(
  display: BuildDisplay,
  interruption: Interruption,
  action: (emit: (event: BuildEvent) => void) => Promise<T>,
): Promise<T> {
  try {
    const result = await action((event) => display.update(event));
    display.finish();
    return result;
  } catch (error) {
    display.finish(error);
    interruption.signal.throwIfAborted();
    if (error instanceof BuildError && error.source !== undefined) printError(sourceExcerpt(error.source));
    throw error;
  }
}

function modeOf(quiet: boolean, progress: string | undefined, toFile: boolean): ProgressMode {
  if (quiet) return "quiet";
  const asked = progress ?? Deno.env.get("BUILDKIT_PROGRESS") ?? "auto";
  if (asked === "rawjson" || asked === "quiet" || asked === "none") return asked;
  return toFile ? "plain" : asked === "plain" || asked === "tty" ? asked : "auto";
}

function writesToStdout(outputs: readonly object[]): boolean {
  return outputs.some((output) => "dest" in output && output.dest === "-");
}

function isFile(path: string): boolean {
  try {
    return !Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}

function credentialsOf(text: string): { username: string; password: string } {
  const colon = text.indexOf(":");
  if (colon < 1) {
    throw new UnsupportedError("--creds needs NAME:PASSWORD", { hint: "or log in with 'skiff login'" });
  }
  return { username: text.slice(0, colon), password: text.slice(colon + 1) };
}

function openLog(path: string): { write: (text: string) => void } & Disposable {
  const file = explained(path, () => Deno.openSync(path, { write: true, create: true, truncate: true }));
  const encoder = new TextEncoder();
  return {
    write(text) {
      const bytes = encoder.encode(text);
      for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
    },
    [Symbol.dispose]: () => file.close(),
  };
}

function writeFile(path: string, text: string): void {
  explained(path, () => Deno.writeTextFileSync(path, text));
}

function explained<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    throw new InvalidArgumentError(`write "${path}": ${hostReason(cause)}`, { cause });
  }
}
