/** The other end of remote.ts: performs one request in a skiff of its own. */

import { type Engine, openEngine } from "./engine.ts";
import type { CreateOptions, ExecOptions } from "./options.ts";
import type { PullOptions } from "./pull.ts";
import {
  type RemoteAnswer,
  type RemoteHooks,
  type RemoteRequest,
  type RemoteVerb,
  toRemoteError,
} from "./remote.ts";
import type { RmOptions } from "./rm.ts";
import type { RmiOptions } from "./rmi.ts";
import type { StartOptions } from "./start.ts";

type Perform = (engine: Engine, args: unknown[], hooks: RemoteHooks) => Promise<unknown>;

const VERBS: Record<RemoteVerb, Perform> = {
  pull: async (engine, [reference, options], hooks) =>
    (await import("./pull.ts")).pull(engine, reference as string, { ...options as PullOptions, ...hooks }),
  create: async (engine, [options], hooks) => {
    const created = await (await import("./create.ts")).create(engine, options as CreateOptions, hooks);
    for (const warning of created.warnings) hooks.warn?.(warning);
    return created;
  },
  start: async (engine, [text, options]) =>
    (await import("./start.ts")).start(engine, text as string, options as StartOptions),
  run: async (engine, [options, how], hooks) =>
    (await import("./run.ts")).run(engine, options as CreateOptions, {
      ...how as { foreground?: boolean },
      ...hooks,
    }),
  exec: async (engine, [text, options]) =>
    (await import("./exec.ts")).exec(engine, text as string, options as ExecOptions),
  rm: async (engine, [text, options]) =>
    (await import("./rm.ts")).rm(engine, text as string, options as RmOptions),
  rmi: async (engine, [images, options]) => {
    const result = await (await import("./rmi.ts")).rmi(engine, images as string[], options as RmiOptions);
    return { ...result, errors: result.errors.map(toRemoteError) };
  },
};

/** Reads one request, performs it, answers, and returns when the asker has closed its end. */
export async function serveRequest(
  input: ReadableStream<Uint8Array>,
  send: (answer: RemoteAnswer) => void,
): Promise<void> {
  const reader = input.pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>)
    .getReader();
  let text = "";
  while (!text.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
  }
  try {
    const request: RemoteRequest = JSON.parse(text);
    const hooks = {
      progress: (progress: NonNullable<Parameters<NonNullable<RemoteHooks["progress"]>>[0]>) =>
        send({ progress }),
      warn: (warning: string) => send({ warning }),
    };
    const engine = openEngine(request.engine);
    const result = await VERBS[request.verb](engine, request.args, hooks);
    send({ result: result ?? null });
  } catch (error) {
    send({ error: toRemoteError(error) });
  }
  // a foreground start is given up when its parent goes before a client has come
  while (!(await reader.read()).done);
}
