/** The other end of remote.ts: performs one request in a skiff of its own. */

import type { BuildContainerRequest } from "./build_container.ts";
import type { BuildRequest } from "./build_options.ts";
import { toPlainEvent } from "./build_remote.ts";
import type { CloneOptions } from "./clone.ts";
import type { CommitOptions } from "./commit.ts";
import { InvalidArgumentError, SkiffError } from "../errors.ts";
import type { CpOptions } from "./cp.ts";
import { type Engine, openEngine } from "./engine.ts";
import type { ImportOptions } from "./import.ts";
import type { NetworkRmOptions } from "./network_rm.ts";
import type { CreateOptions, ExecOptions } from "./options.ts";
import type { PruneOptions } from "./prune.ts";
import type { PullOptions } from "./pull.ts";
import type { PushOptions } from "./push.ts";
import {
  type RemoteAnswer,
  type RemoteHooks,
  type RemoteRequest,
  type RemoteVerb,
  toRemoteError,
} from "./remote.ts";
import type { RestartOptions } from "./restart.ts";
import type { RmOptions } from "./rm.ts";
import type { RmiOptions } from "./rmi.ts";
import type { SaveOptions } from "./save.ts";
import type { StartOptions } from "./start.ts";
import type { VolumeCloneOptions } from "./volume_clone.ts";
import type { VolumeRmOptions } from "./volume_rm.ts";
import type { VolumeCreateOptions } from "./volumes.ts";

/** What a verb has here beside the asker's hooks. */
export interface ServeHooks extends RemoteHooks {
  /** Resolves when the asker has closed its end, or was killed. */
  gone: Promise<void>;
  /** Done then, before this process ends. */
  atEnd(work: () => Promise<void>): void;
}

type Perform = (engine: Engine, args: unknown[], hooks: ServeHooks) => Promise<unknown>;

const VERBS: Record<RemoteVerb, Perform> = {
  pull: async (engine, [reference, options], hooks) =>
    (await import("./pull.ts")).pull(engine, reference as string, { ...options as PullOptions, ...hooks }),
  push: async (engine, [source, destination, options], { progress }) =>
    (await import("./push.ts")).push(engine, source as string, (destination as string | null) ?? undefined, {
      ...options as PushOptions,
      progress,
    }),
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
  restart: async (engine, [text, options]) =>
    (await import("./restart.ts")).restart(engine, text as string, options as RestartOptions),
  cp: async (engine, [source, destination, options]) => {
    // standard input and output carry the request and its answer
    if (source === "-" || destination === "-") {
      throw new InvalidArgumentError('copy "-": a program gives a file, or uses export');
    }
    return await (await import("./cp.ts")).cp(
      engine,
      source as string,
      destination as string,
      options as CpOptions,
    );
  },
  diff: async (engine, [text]) => (await import("./diff.ts")).diff(engine, text as string),
  diffBetween: async (engine, [subject, other]) =>
    (await import("./diff_between.ts")).diffBetween(engine, subject as string, other as string),
  imageDiff: async (engine, [image, against]) =>
    (await import("./image_diff.ts")).imageDiff(
      engine,
      image as string,
      (against as string | null) ?? undefined,
    ),
  mount: async (engine, [text]) => (await import("./mount.ts")).mountContainer(engine, text as string),
  unmount: async (engine, [text, force]) =>
    (await import("./mount.ts")).unmountContainer(engine, text as string, force as boolean),
  mountImage: async (engine, [text]) => (await import("./image_mount.ts")).mountImage(engine, text as string),
  unmountImage: async (engine, [text, force]) =>
    (await import("./image_mount.ts")).unmountImage(engine, text as string, force as boolean),
  export: async (engine, [text, options]) =>
    (await import("./export.ts")).exportContainer(engine, text as string, options as { output: string }),
  save: async (engine, [images, options]) =>
    (await import("./save.ts")).save(engine, images as string[], options as SaveOptions),
  load: async (engine, [input], { progress }) =>
    (await import("./load.ts")).load(engine, input as string, { progress }),
  import: async (engine, [input, options]) =>
    (await import("./import.ts")).importImage(engine, input as string, options as ImportOptions),
  volumeCreate: async (engine, [name, options]) =>
    (await import("./volumes.ts")).volumeCreate(
      engine,
      (name as string | null) ?? undefined,
      options as VolumeCreateOptions,
    ),
  volumeClone: async (engine, [source, name, options]) =>
    (await import("./volume_clone.ts")).volumeClone(
      engine,
      source as string,
      name as string,
      options as VolumeCloneOptions,
    ),
  volumeSnapshot: async (engine, [text]) =>
    (await import("./volume_snapshot.ts")).volumeSnapshot(engine, text as string),
  volumeRestore: async (engine, [text]) =>
    (await import("./volume_snapshot.ts")).volumeRestore(engine, text as string),
  volumeSnapshotRm: async (engine, [text]) =>
    (await import("./volume_snapshot.ts")).volumeSnapshotRm(engine, text as string),
  volumeExport: async (engine, [text, output]) =>
    (await import("./volume_transfer.ts")).volumeExport(engine, text as string, { output: output as string }),
  volumeImport: async (engine, [text, path]) =>
    (await import("./volume_transfer.ts")).volumeImport(engine, text as string, path as string),
  volumeRm: async (engine, [name, options]) =>
    (await import("./volume_rm.ts")).volumeRm(engine, name as string, options as VolumeRmOptions),
  networkRm: async (engine, [name, options]) =>
    (await import("./network_rm.ts")).networkRm(engine, name as string, options as NetworkRmOptions),
  clone: async (engine, [text, options], hooks) =>
    (await import("./clone.ts")).clone(engine, text as string, options as CloneOptions, hooks),
  buildRun: async (engine, [request], hooks) =>
    await (await import("./build_container.ts")).runBuildContainer(
      engine,
      request as BuildContainerRequest,
      hooks,
    ),
  build: async (engine, [request], { gone, event }) => {
    const [{ build }, { completeBuildOptions }] = await Promise.all([
      import("./build.ts"),
      import("./build_options.ts"),
    ]);
    const given = new AbortController();
    void gone.then(() => given.abort(new SkiffError("build: it was given up")));
    return await build(engine, completeBuildOptions(request as BuildRequest), {
      signal: given.signal,
      emit: (told) => event?.(toPlainEvent(told)),
    });
  },
  commit: async (engine, [text, options]) =>
    (await import("./commit.ts")).commit(engine, text as string, options as CommitOptions),
  prune: async (engine, [options]) => (await import("./prune.ts")).prune(engine, options as PruneOptions),
  systemDf: async (engine) => (await import("./system_df.ts")).systemDf(engine),
};

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
