/**
 * What keeps a container running whose monitor cannot: it was started without a restart policy, and given one since. A
 * process of its own waits for its end and starts it again; the monitor of that start does the rest.
 */

import { setsid } from "../../ffi/process.ts";
import { NotFoundError } from "../errors.ts";
import { readExit } from "../monitor/records.ts";
import { loadConfig, observe } from "./containers.ts";
import type { Engine } from "./engine.ts";
import { ownCommand } from "./remote.ts";
import { start } from "./start.ts";
import { wait } from "./wait.ts";

/** As the first delay of a monitor's. */
const DELAY_MS = 100;

/** It outlives this command. */
export function spawnKeeper({ folders }: Engine, id: string): void {
  const [program, ...words] = ownCommand();
  new Deno.Command(program!, {
    args: [...words, "__keep", folders.data, folders.run, id],
    stdin: "null",
    stdout: "null",
    stderr: "null",
    cwd: "/",
  }).spawn().unref();
}

/** The process itself. */
export async function keep(engine: Engine, id: string): Promise<void> {
  setsid();
  try {
    await wait(engine, id);
    await new Promise((resolve) => setTimeout(resolve, DELAY_MS));
    const { status } = await observe(engine, id);
    // what counts is what is wanted by now
    const { restart } = loadConfig(engine, id).lifecycle ?? {};
    const exit = readExit(engine.containerDir(id));
    if (status.status !== "exited" || !restart || !exit || exit.stoppedByHand) return;
    if (restart.policy === "on-failure" && exit.exitCode === 0) return;
    await start(engine, id);
  } catch (error) {
    // removed with its end
    if (!(error instanceof NotFoundError)) throw error;
  }
}
