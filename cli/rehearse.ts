/**
 * What a process does before it is kept as a file (runtime/frozen/freeze.ts): commands, in a folder of its own, until their
 * code is compiled and V8 has learnt what it works on. A command then finds that done: it saves a tenth of a container's
 * start.
 */

import { O_CLOEXEC, O_DIRECTORY, O_PATH } from "../ffi/constants/fcntl.ts";
import { Fd, open } from "../ffi/file.ts";
import { PAPER_PROGRAM } from "../ffi/paper_kernel.ts";
import { Stage } from "../runtime/engine/rehearse.ts";
import { forgetLaunch, takeLaunch } from "../runtime/config/launch.ts";
import { isThere } from "../runtime/state/listing.ts";
import { dispatch } from "./dispatch.ts";

/** Of the loopback, where a registry is asked in plain words, and without the event loop. */
const PUSHED = "127.0.0.1:5000/rehearsal:1";

/** What the process was in that is now thawed: containers that have lived on paper, and images that were pushed. */
const rehearsed = { containers: 0, pushes: 0 };
export const rehearsedCommands = (): Readonly<typeof rehearsed> => rehearsed;

/**
 * Rehearses in a new folder below `folder`, and removes it. Nothing of it waits for the event loop, which would start
 * threads.
 */
export async function rehearse(folder: string): Promise<void> {
  const scratch = `${folder}/rehearsal`;
  // One before this came to no end, and what stopped it (a directory service that does not answer) may stop each: without.
  if (isThere(scratch)) return Deno.removeSync(scratch, { recursive: true });
  const root = `${scratch}/root`;
  Deno.mkdirSync(root, { recursive: true, mode: 0o700 });
  using held = new Fd(open(scratch, O_PATH | O_DIRECTORY | O_CLOEXEC));
  // short, for a socket's path is no longer than 107 bytes
  const [dataFolder, runtimeFolder] = [`${scratch}/data`, `/proc/self/fd/${held.number}/run`];
  const usual = ["--root", dataFolder, "--runroot", runtimeFolder];
  const run = ["run", "--rm", "--network", "none", "--rootfs", root, PAPER_PROGRAM];
  using _launch = asPacked(`${folder}/skiff`);
  using _silence = withoutWarnings();
  try {
    using stage = await Stage.set({ dataFolder, runtimeFolder }, scratch);
    // Once: what was called more often V8 would optimize in the middle of a command, which takes longer than it gains.
    stage.prepareStart(run);
    const perform = (words: string[]) => dispatch([...usual, ...words], () => {}).catch(() => undefined);
    // ends where its container would begin
    await perform(run);
    await perform(["ps", "--all"]);
    rehearsed.containers = stage.lives;
    await stage.preparePush(PUSHED);
    if (await perform(["push", "--quiet", "--tls-verify=false", PUSHED]) === 0) rehearsed.pushes++;
  } finally {
    Deno.removeSync(scratch, { recursive: true });
  }
}

/**
 * The header's variables are those of a command in the packed form. What it takes out is put back: the runtime that is booted
 * once more, where this process cannot be kept, is to have it.
 */
function asPacked(file: string): Disposable {
  const variables = { SKIFF_FORM: "packed", SKIFF_FILE: file };
  const before = Object.entries(Deno.env.toObject());
  forgetLaunch();
  for (const [name, value] of Object.entries(variables)) Deno.env.set(name, value);
  takeLaunch();
  return {
    [Symbol.dispose]: () => {
      for (const name of Object.keys(Deno.env.toObject())) Deno.env.delete(name);
      for (const [name, value] of before) Deno.env.set(name, value);
      forgetLaunch();
    },
  };
}

/** On stderr is what stands against keeping the process, for which a rehearsal's warnings must not be taken. */
function withoutWarnings(): Disposable {
  Object.assign(Deno.stderr, { writeSync: (bytes: Uint8Array) => bytes.length });
  return { [Symbol.dispose]: () => void Reflect.deleteProperty(Deno.stderr, "writeSync") };
}
