/**
 * What a process does before it is kept as a file (runtime/frozen/freeze.ts): commands, in a folder of its own, until their
 * code is compiled and V8 has learnt what it works on. A command then finds that done: it saves a tenth of a container's
 * start.
 */

import { O_CLOEXEC, O_DIRECTORY, O_PATH } from "../ffi/constants/fcntl.ts";
import { Fd, open } from "../ffi/file.ts";
import { Stage } from "../runtime/engine/rehearse.ts";
import { forgetLaunch, takeLaunch } from "../runtime/config/launch.ts";
import { dispatch } from "./dispatch.ts";

/** More, and V8 begins to optimize what was called so often, in the middle of a command and for longer than it gains. */
const TIMES = 4;

/** What the process was in that is now thawed: containers that have lived on paper. */
let lives = 0;
export const rehearsedContainers = () => lives;

/**
 * Rehearses in a new folder below `folder`, and removes it. Nothing of it waits for the event loop, which would start
 * threads.
 */
export async function rehearse(folder: string): Promise<void> {
  const scratch = `${folder}/rehearsal`;
  const root = `${scratch}/root`;
  Deno.mkdirSync(root, { recursive: true, mode: 0o700 });
  using held = new Fd(open(scratch, O_PATH | O_DIRECTORY | O_CLOEXEC));
  // short, for a socket's path is no longer than 107 bytes
  const [dataFolder, runtimeFolder] = [`${scratch}/data`, `/proc/self/fd/${held.number}/run`];
  const usual = ["--root", dataFolder, "--runroot", runtimeFolder];
  const run = ["run", "--rm", "--network", "none", "--rootfs", root, "true"];
  using _launch = asPacked(`${folder}/skiff`);
  try {
    using stage = await Stage.set({ dataFolder, runtimeFolder }, scratch);
    for (let time = 0; time < TIMES; time++) {
      stage.prepareStart(run);
      for (const words of [run, ["ps", "--all"]]) {
        // the first ends where its container would begin
        await dispatch([...usual, ...words], () => {}).catch(() => {});
      }
    }
    lives = stage.lives;
  } finally {
    Deno.removeSync(scratch, { recursive: true });
  }
}

/** The header's variables are those of a command in the packed form. */
function asPacked(file: string): Disposable {
  const variables = { SKIFF_FORM: "packed", SKIFF_FILE: file };
  const [names, values] = [Object.keys(variables), Object.entries(variables)];
  forgetLaunch();
  for (const [name, value] of values) Deno.env.set(name, value);
  takeLaunch();
  return {
    [Symbol.dispose]: () => {
      for (const name of names) Deno.env.delete(name);
      forgetLaunch();
    },
  };
}
