/** `pod start`, `stop`, `restart`, `kill`, `pause`, `unpause`: what is done to all containers of a pod. */

import { isHeld, isLive, type Observed } from "../../container/state.ts";
import { NotFoundError, SkiffError } from "../../errors.ts";
import { recordEvent } from "../../state/events.ts";
import { loadConfig } from "../containers.ts";
import type { Engine } from "../engine.ts";
import { kill } from "../kill.ts";
import { pause, unpause } from "../pause.ts";
import { allowMount, restart } from "../restart.ts";
import { rm } from "../rm.ts";
import { start } from "../start.ts";
import { stop } from "../stop.ts";
import { wait } from "../wait.ts";
import { findPod, type ObservedPod, observePod, type Pod } from "./find.ts";
import { lockJoining } from "./infra.ts";

export interface PodStopOptions {
  /** Of each container, before SIGKILL; by default its own. */
  timeoutSeconds?: number;
  /** No error where there is no such pod. */
  ignore?: boolean;
  signal?: AbortSignal;
}

/** Starts all its containers, the infra container first. Returns the id. */
export async function podStart(engine: Engine, text: string, signal?: AbortSignal): Promise<string> {
  const { pod, members, inits } = await observePod(engine, text);
  if (members.length === 0) {
    throw new NotFoundError("container", pod.name, {
      message: `no containers in pod ${pod.id} have no dependencies, cannot start pod: no such container`,
    });
  }
  // one after another: each start forks, and a fork wants this process at rest
  for (const { row } of members.filter(({ row }) => inits.has(row.id))) await runInit(engine, row.id, signal);
  await each(
    infraFirst(pod, members.filter(({ row }) => !inits.has(row.id))),
    ({ row, status }) => isLive(status.status) ? Promise.resolve() : start(engine, row.id, { signal }),
    1,
  );
  return tell(engine, pod, "start");
}

/** Where it fails the others are not started. */
async function runInit(engine: Engine, id: string, signal?: AbortSignal): Promise<void> {
  const { pod } = loadConfig(engine, id);
  await start(engine, id, { signal });
  const code = await wait(engine, id, { signal });
  if (code !== 0) throw new SkiffError(`init container ${id} exited with code ${code}`);
  if (pod?.init === "once") await rm(engine, id, { force: true, ignore: true });
}

/** Returns when all its containers have ended, the infra container last. The id; undefined where it is ignored. */
export async function podStop(
  engine: Engine,
  text: string,
  options: PodStopOptions = {},
): Promise<string | undefined> {
  let found: ObservedPod;
  try {
    found = await observePod(engine, text);
  } catch (error) {
    if (options.ignore && error instanceof NotFoundError) return undefined;
    throw error;
  }
  const { pod, members } = found;
  const { timeoutSeconds, signal } = options;
  const end = ({ row }: Observed) => stop(engine, row.id, { timeoutSeconds, signal, ignore: true });
  await each(members.filter(({ row }) => row.id !== pod.infraId), end);
  await each(members.filter(({ row }) => row.id === pod.infraId), end);
  return tell(engine, pod, "stop");
}

/** Stops what runs, and starts all. */
export async function podRestart(
  engine: Engine,
  text: string,
  options: Pick<PodStopOptions, "timeoutSeconds" | "signal"> = {},
): Promise<string> {
  const { pod, members: all, inits } = await observePod(engine, text);
  const members = all.filter(({ row }) => !inits.has(row.id));
  const others = members.filter(({ row }) => row.id !== pod.infraId);
  // who has joined the infra container's namespaces ends before it and starts after it
  await each(others.filter(({ status }) => isLive(status.status)), async ({ row }) => {
    await stop(engine, row.id, { ...options, keep: true });
    allowMount(engine.containerDir(row.id));
  });
  await each(
    infraFirst(pod, members),
    ({ row }) => restart(engine, row.id, options),
    1,
  );
  return tell(engine, pod, "restart");
}

/** Signals the programs of all containers that run. */
export async function podKill(engine: Engine, text: string, signal = "KILL"): Promise<string> {
  const { pod, members } = await observePod(engine, text);
  const live = members.filter(({ status }) => isLive(status.status) && status.status !== "restarting");
  await each(live, ({ row }) => kill(engine, row.id, signal));
  return tell(engine, pod, "kill");
}

/** Holds still all that run. `warning` is for stderr. */
export async function podPause(
  engine: Engine,
  text: string,
): Promise<{ id: string; warning?: string }> {
  const { pod, members } = await observePod(engine, text);
  let warning: string | undefined;
  await each(members.filter(({ status }) => status.status === "running"), async ({ row }) => {
    warning = (await pause(engine, row.id)).warning ?? warning;
  });
  return { id: tell(engine, pod, "pause"), warning };
}

/** Lets those that are paused go on. The id; undefined where none is, as podman tells nothing then. */
export async function podUnpause(engine: Engine, text: string): Promise<string | undefined> {
  const { pod, members } = await observePod(engine, text);
  const paused = members.filter(({ status }) => status.status === "paused");
  if (paused.length === 0) return undefined;
  await each(infraFirst(pod, paused), ({ row }) => unpause(engine, row.id));
  return tell(engine, pod, "unpause");
}

/** How long who ends a pod that is left alone waits for what may be a start, and looks again. */
const [STARTING_MS, LOOK_MS] = [60_000, 50];

/** Of the exit policy `stop`: ends the pod where no container but the one that holds its namespaces runs. */
export async function stopIdlePod(engine: Engine, id: string): Promise<void> {
  const { infraId } = findPod(await engine.database(), id);
  if (infraId === undefined) return;
  for (const end = Date.now() + STARTING_MS; Date.now() < end;) {
    if (await stopUnlessJoined(engine, id, infraId)) return;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** Whether it is known who is in the pod: a container that is held may be about to start, or to be removed. */
async function stopUnlessJoined(engine: Engine, id: string, infraId: string): Promise<boolean> {
  // who has not yet joined finds it ended, and starts it
  using _joining = await lockJoining(engine, infraId);
  const { pod, members } = await observePod(engine, id);
  const others = members.filter(({ row }) => row.id !== infraId);
  if (others.some(({ status }) => isLive(status.status))) return true;
  if (others.some(({ row }) => isHeld(engine.containerDir(row.id)))) return false;
  await stop(engine, infraId, { ignore: true });
  tell(engine, pod, "stop");
  return true;
}

function infraFirst(pod: Pod, members: readonly Observed[]): Observed[] {
  return members.toSorted((a, b) => Number(b.row.id === pod.infraId) - Number(a.row.id === pod.infraId));
}

/** All are tried. @throws {SkiffError} where one fails */
async function each(
  members: readonly Observed[],
  action: (member: Observed) => Promise<unknown>,
  atOnce = 8,
): Promise<void> {
  const errors: SkiffError[] = [];
  for (let at = 0; at < members.length; at += atOnce) {
    const results = await Promise.allSettled(members.slice(at, at + atOnce).map(action));
    for (const result of results) if (result.status === "rejected") errors.push(result.reason);
  }
  if (errors.length === 1) throw errors[0];
  if (errors.length > 1) {
    throw new SkiffError(errors.map(({ message }) => message).join("; "));
  }
}

function tell(engine: Engine, { id, name }: Pod, action: string): string {
  recordEvent(engine.folders, { type: "pod", action, id, name });
  return id;
}
