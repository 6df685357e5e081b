/** Commands that skiff gives itself; their names begin with `__` and are no part of the command line. */

import { InvalidArgumentError } from "../runtime/errors.ts";
import { print } from "./output/print.ts";

const INTERNAL: Record<string, (args: readonly string[]) => Promise<void>> = {
  /** One request of a library program on stdin, answers on stdout. @see runtime/engine/remote.ts */
  __engine: async () => {
    const { serveRequest } = await import("../runtime/engine/serve_request.ts");
    await serveRequest(Deno.stdin.readable, (answer) => print(JSON.stringify(answer) + "\n"));
  },
  /** Serves layers that are fetched as they are read. @see runtime/engine/lazy_serve.ts */
  __lazy: async () => {
    const { serveLazily } = await import("../runtime/engine/lazy_serve.ts");
    await serveLazily();
  },
  /** Of a monitor whose container has ended. @see runtime/engine/volume_plugins/mounts.ts */
  __release_volumes: async ([data, run]) => {
    const [{ releaseEnded }, { openFolders }] = await Promise.all([
      import("../runtime/engine/volume_plugins/mounts.ts"),
      import("../runtime/state/folders.ts"),
    ]);
    await releaseEnded(openFolders({ data, run }));
  },
  /** Of a monitor whose container was in a pod that ends with its last one. @see runtime/engine/pods/change.ts */
  __stop_idle_pod: async ([data, run, pod]) => {
    const [{ stopIdlePod }, { openEngine }, { releaseEnded }] = await Promise.all([
      import("../runtime/engine/pods/change.ts"),
      import("../runtime/engine/engine.ts"),
      import("../runtime/engine/volume_plugins/mounts.ts"),
    ]);
    const engine = openEngine({ dataFolder: data, runtimeFolder: run });
    await releaseEnded(engine.folders);
    await stopIdlePod(engine, pod!);
  },
  /** Of a container that got its restart policy while it ran. @see runtime/engine/keeper.ts */
  __keep: async ([data, run, id]) => {
    const [{ keep }, { openEngine }] = await Promise.all([
      import("../runtime/engine/keeper.ts"),
      import("../runtime/engine/engine.ts"),
    ]);
    await keep(openEngine({ dataFolder: data, runtimeFolder: run }), id!);
  },
  /** Tells whether a command starts from a frozen process, and what was rehearsed. @see runtime/frozen/freeze.ts */
  __thawed: async () => {
    const { rehearsedCommands } = await import("./rehearse.ts");
    const { containers, pushes } = rehearsedCommands();
    print(`${Deno.execPath()} ${containers}+${pushes} ${Deno.pid}\n`);
  },
  /** What a shell's completion asks. @see completion/complete.ts */
  __complete: async (args) => {
    const [{ complete }, { openEngine }] = await Promise.all([
      import("./completion/complete.ts"),
      import("../runtime/engine/engine.ts"),
    ]);
    print(await complete(args, openEngine));
  },
};

export async function runInternal(name: string, args: readonly string[]): Promise<number> {
  const perform = INTERNAL[name];
  if (!perform) throw new InvalidArgumentError(`unrecognized command \`skiff ${name}\``);
  await perform(args);
  return 0;
}
