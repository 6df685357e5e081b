/** Builds for programs: they are done by a skiff of its own, and told as they go on. */

import { InvalidArgumentError } from "../errors.ts";
import type { BuildEvent, BuildRequest, BuildResult } from "./build_options.ts";
import type { RemoteHooks, RemoteReply } from "./remote.ts";

/** As JSON has it: bytes are base64. */
export type PlainBuildEvent =
  | Exclude<BuildEvent, { kind: "log" }>
  | { kind: "log"; log: Omit<Extract<BuildEvent, { kind: "log" }>["log"], "data"> & { data: string } };

export function toPlainEvent(event: BuildEvent): PlainBuildEvent {
  if (event.kind !== "log") return event;
  return { kind: "log", log: { ...event.log, data: event.log.data.toBase64() } };
}

export function fromPlainEvent(event: PlainBuildEvent): BuildEvent {
  if (event.kind !== "log") return event;
  return { kind: "log", log: { ...event.log, data: Uint8Array.fromBase64(event.log.data) } };
}

export interface BuildWatch {
  signal?: AbortSignal;
  /** Is told of every step, its output and its end. */
  progress?: (event: BuildEvent) => void;
}

type Ask = (request: BuildRequest, hooks: RemoteHooks) => Promise<RemoteReply<BuildResult>>;

/** Asks for a build and waits for its end. An abort lets it clear up, and is thrown. */
export async function askForBuild(
  ask: Ask,
  request: BuildRequest,
  { signal, progress }: BuildWatch = {},
): Promise<BuildResult> {
  signal?.throwIfAborted();
  const { context, dockerfile, outputs = [] } = request;
  const usesStdio = typeof context === "object" && context.kind === "stdin" || dockerfile?.kind === "stdin" ||
    outputs.some((output) => "dest" in output && output.dest === "-");
  // standard input and output carry the request and its answer
  if (usesStdio) throw new InvalidArgumentError("build: a program gives files, not its own stdin or stdout");
  try {
    const reply = await ask(request, {
      hangUp: signal,
      event: (event) => progress?.(fromPlainEvent(event as PlainBuildEvent)),
    });
    await reply.release();
    return reply.result;
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}

/** The same as events in their order; the result is what the generator returns. Who stops listening ends the build. */
export async function* buildEvents(
  ask: Ask,
  request: BuildRequest,
  { signal }: { signal?: AbortSignal } = {},
): AsyncGenerator<BuildEvent, BuildResult> {
  const left = new AbortController();
  const queue: BuildEvent[] = [];
  let arrived = Promise.withResolvers<void>();
  let isOver = false;
  const building = askForBuild(ask, request, {
    signal: signal === undefined ? left.signal : AbortSignal.any([signal, left.signal]),
    progress: (event) => {
      queue.push(event);
      arrived.resolve();
    },
  }).finally(() => {
    isOver = true;
    arrived.resolve();
  });
  building.catch(() => {}); // thrown below
  try {
    while (!isOver || queue.length > 0) {
      if (queue.length === 0) {
        await arrived.promise;
        arrived = Promise.withResolvers();
      } else yield queue.shift()!;
    }
    return await building;
  } finally {
    left.abort();
    await building.catch(() => {});
  }
}
