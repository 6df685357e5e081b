/**
 * Verbs that fork, for programs that must not: a library user's Deno runs V8 with threads, which no child of a
 * fork survives, and a monitor must not inherit a stranger's heap.
 *
 * ```
 *  program ── spawns ──▶ skiff __engine         (stdin: one line of JSON, stdout: lines of JSON)
 *     {"verb", "engine", "args"} ────────▶
 *     ◀───── {"progress"} {"warning"} … {"result"} or {"error"}
 *     end of stdin ──────────────────────▶  ends (until then it is the parent of what it started)
 * ```
 */

import {
  BuildError,
  type BuildSource,
  CannotInvokeError,
  CommandNotFoundError,
  ConflictError,
  HostError,
  InvalidArgumentError,
  NotFoundError,
  RegistryError,
  SkiffError,
  UnauthorizedError,
  UnsupportedError,
  VerificationError,
} from "../errors.ts";
import { takeLaunch } from "../config/launch.ts";
import type { EngineOptions } from "./engine.ts";
import type { PullProgress } from "./pull.ts";

/** What crosses the pipe to the spawned skiff. */
export interface RemoteRequest {
  verb: RemoteVerb;
  engine: EngineOptions;
  args: unknown[];
}

export type RemoteVerb =
  | ("diffBetween" | "imageDiff" | "mount" | "unmount" | "mountImage" | "unmountImage")
  | ("pull" | "create" | "start" | "run" | "exec" | "rm" | "rmi" | "restart" | "cp" | "diff" | "export")
  | (
    | "save"
    | "load"
    | "import"
    | "volumeCreate"
    | "volumeRm"
    | "volumeClone"
    | "networkRm"
    | "systemDf"
    | "clone"
    | "prune"
  )
  | ("podCreate" | "podClone" | "podStart" | "podRestart" | "podRm" | "podPrune")
  | ("volumeMount" | "volumeUnmount" | "volumeReload")
  | ("volumeSnapshot" | "volumeRestore" | "volumeSnapshotRm" | "volumeExport" | "volumeImport")
  | ("manifestCreate" | "manifestAdd" | "manifestAddFiles" | "manifestAnnotate" | "manifestRemove")
  | ("manifestRm" | "manifestPush" | "manifestInspect" | "manifestExists" | "artifactLs" | "artifactInspect")
  | (
    | "search"
    | "searchTags"
    | "login"
    | "logout"
    | "artifactAdd"
    | "artifactExtract"
    | "artifactPull"
    | "artifactPush"
    | "artifactRm"
  )
  | ("commit" | "build" | "buildRun" | "buildCache" | "buildPrune" | "push" | "info" | "systemCheck");

/** A line of its answer. */
export type RemoteAnswer =
  | { progress: PullProgress }
  | { warning: string }
  | { event: unknown }
  | { result: unknown }
  | { error: RemoteError };

export interface RemoteError {
  name: string;
  message: string;
  hint?: string;
  kind?: string;
  subject?: string;
  status?: number;
  /** Of a BuildError. */
  source?: BuildSource;
}

export interface RemoteHooks {
  signal?: AbortSignal;
  progress?: (event: PullProgress) => void;
  warn?: (text: string) => void;
  /** What a verb tells before its result. */
  event?: (event: unknown) => void;
  /** Closes this end before there is a result; the verb gives up and answers. */
  hangUp?: AbortSignal;
  /** Variables of this process that the spawned skiff, and what it forks, shall not have. */
  withoutEnv?: readonly string[];
}

/** The result, and the spawned skiff: it ends when `release` is called. */
export interface RemoteReply<T> {
  result: T;
  release(): Promise<void>;
}

/** The words that start this skiff again. */
export function ownCommand(): string[] {
  const binary = Deno.env.get("SKIFF_BINARY");
  return binary ? [binary] : takeLaunch().command;
}

/** Spawns `command __engine`, asks, and waits for the result. Throws what the verb has thrown there. */
export async function callRemote<T>(
  command: readonly string[],
  request: RemoteRequest,
  hooks: RemoteHooks = {},
): Promise<RemoteReply<T>> {
  hooks.signal?.throwIfAborted();
  const child = new Deno.Command(command[0]!, {
    args: [...command.slice(1), "__engine"],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
    signal: hooks.signal,
    ...(hooks.withoutEnv?.length ? { clearEnv: true, env: envWithout(hooks.withoutEnv) } : {}),
  }).spawn();
  const writer = child.stdin.getWriter();
  const release = async () => {
    await writer.close().catch(() => {});
    await child.status;
  };
  try {
    await writer.write(new TextEncoder().encode(JSON.stringify(request) + "\n"));
    const hangUp = () => void writer.close().catch(() => {});
    hooks.hangUp?.addEventListener("abort", hangUp);
    if (hooks.hangUp?.aborted) hangUp();
    const result = await readAnswer<T>(child.stdout, hooks);
    return { result, release };
  } catch (error) {
    await release();
    hooks.signal?.throwIfAborted();
    throw error;
  }
}

function envWithout(names: readonly string[]): Record<string, string> {
  return Object.fromEntries(Object.entries(Deno.env.toObject()).filter(([name]) => !names.includes(name)));
}

async function readAnswer<T>(stdout: ReadableStream<Uint8Array>, hooks: RemoteHooks): Promise<T> {
  let buffered = "";
  const reader = stdout.pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>)
    .getReader();
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) throw new SkiffError("ask skiff: it ended without an answer");
      buffered += value;
      const lines = buffered.split("\n");
      buffered = lines.pop()!;
      for (const line of lines) {
        const answer: RemoteAnswer = JSON.parse(line);
        if ("result" in answer) return answer.result as T;
        if ("error" in answer) throw fromRemoteError(answer.error);
        if ("progress" in answer) hooks.progress?.(answer.progress);
        else if ("event" in answer) hooks.event?.(answer.event);
        else hooks.warn?.(answer.warning);
      }
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

const ERRORS: Record<string, new (message: string, options: { hint?: string }) => SkiffError> = {
  SkiffError,
  InvalidArgumentError,
  UnsupportedError,
  ConflictError,
  VerificationError,
  HostError,
  CannotInvokeError,
  CommandNotFoundError,
};

/** An error as data. */
export function toRemoteError(error: unknown): RemoteError {
  if (!(error instanceof SkiffError)) {
    return { name: "SkiffError", message: error instanceof Error ? error.message : String(error) };
  }
  const { name, message, hint } = error;
  if (error instanceof NotFoundError) {
    return { name, message, hint, kind: error.kind, subject: error.subject };
  }
  if (error instanceof RegistryError) return { name, message, hint, status: error.status };
  if (error instanceof BuildError) return { name, message, hint, source: error.source };
  return { name, message, hint };
}

/** The error that the data stands for, with its type. */
export function fromRemoteError(error: RemoteError): SkiffError {
  const { name, message, hint } = error;
  if (name === "NotFoundError") {
    return new NotFoundError(error.kind as NotFoundError["kind"], error.subject ?? "", { message, hint });
  }
  if (name === "BuildError") return new BuildError(message, { hint, source: error.source });
  if (name === "RegistryError") return new RegistryError(message, error.status ?? 0, { hint });
  if (name === "UnauthorizedError") return new UnauthorizedError(message, error.status ?? 0, { hint });
  return new (ERRORS[name] ?? SkiffError)(message, { hint });
}
