/** The other end of remote.ts: performs one request in a skiff of its own. */

import { openEngine } from "./engine.ts";
import { type RemoteAnswer, type RemoteHooks, type RemoteRequest, toRemoteError } from "./remote.ts";
import { type ServeHooks, VERBS } from "./serve_verbs.ts";

/** Reads one request, performs it, answers, and returns when the asker has closed its end. */
export async function serveRequest(
  input: ReadableStream<Uint8Array>,
  output: (answer: RemoteAnswer) => void,
): Promise<void> {
  const send = (answer: RemoteAnswer) => {
    try {
      output(answer);
    } catch {
      // The asker was killed; what is to be done at the end is done all the same.
    }
  };
  const reader = input.pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>)
    .getReader();
  let text = "";
  while (!text.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
  }
  // a foreground start is given up when its parent goes before a client has come
  const gone = drain(reader);
  const endings: (() => Promise<void>)[] = [];
  try {
    const request: RemoteRequest = JSON.parse(text);
    const hooks: ServeHooks = {
      gone,
      atEnd: (work) => void endings.push(work),
      event: (event) => send({ event }),
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
  await gone;
  for (const work of endings) await work();
}

async function drain(reader: ReadableStreamDefaultReader<string>): Promise<void> {
  while (!(await reader.read()).done);
}
