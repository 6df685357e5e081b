/**
 * skiff as a library: OCI containers without root and without a daemon, from a Deno program.
 *
 * ```ts
 * import { Skiff } from "./mod.ts";
 *
 * const skiff = new Skiff();
 * const { stdout } = await skiff.run({ image: "host", command: ["uname", "-s"] });
 * console.log(stdout); // Linux
 * ```
 *
 * A program needs no special flags: whatever has to fork is done by a skiff that is started for it.
 *
 * @module
 */

import { takeLaunch } from "./runtime/config/launch.ts";
import { attach, type Attached, type AttachOptions, attachTo } from "./runtime/engine/attach.ts";
import { containerExists } from "./runtime/engine/containers.ts";
import type { CreatedContainer } from "./runtime/engine/create.ts";
import { type Engine, type EngineOptions, openEngine } from "./runtime/engine/engine.ts";
import type { ExecSession } from "./runtime/engine/exec.ts";
import { imageExists } from "./runtime/engine/image_exists.ts";
import { type ImageListEntry, images } from "./runtime/engine/images.ts";
import {
  type ContainerDocument,
  containerInspect,
  type ImageDocument,
  imageInspect,
} from "./runtime/engine/inspect.ts";
import { kill } from "./runtime/engine/kill.ts";
import { type LogRecord, logs, type LogsOptions } from "./runtime/engine/logs.ts";
import type { CreateOptions, ExecOptions } from "./runtime/engine/options.ts";
import { type ContainerListEntry, ps } from "./runtime/engine/ps.ts";
import type { PullOptions } from "./runtime/engine/pull.ts";
import { callRemote, fromRemoteError, type RemoteHooks, type RemoteVerb } from "./runtime/engine/remote.ts";
import type { RmOptions } from "./runtime/engine/rm.ts";
import type { RmiOptions, RmiResult } from "./runtime/engine/rmi.ts";
import { settle } from "./runtime/engine/run.ts";
import type { StartedContainer } from "./runtime/engine/start.ts";
import { stop, type StopOptions } from "./runtime/engine/stop.ts";
import { tag } from "./runtime/engine/tag.ts";
import { wait, type WaitOptions } from "./runtime/engine/wait.ts";
import { SkiffError } from "./runtime/errors.ts";

export * from "./runtime/errors.ts";
export type {
  Attached,
  AttachOptions,
  ContainerDocument,
  ContainerListEntry,
  CreateOptions,
  ExecOptions,
  ImageDocument,
  ImageListEntry,
  LogRecord,
  LogsOptions,
  PullOptions,
  RmiOptions,
  RmiResult,
  RmOptions,
  StopOptions,
  WaitOptions,
};

export interface SkiffOptions extends EngineOptions {
  /**
   * The words that start skiff, such as `["/usr/local/bin/skiff"]`; by default the variable SKIFF_BINARY, else the
   * skiff that this library is part of.
   */
  executable?: string[];
}

/** How a program that ran to its end has ended. */
export interface RunResult {
  exitCode: number;
  /** Empty where a sink of the caller took it. */
  stdout: string;
  stderr: string;
}

/** Where the streams of a run go; without a sink the output is collected. */
export type Streams = Pick<AttachOptions, "stdin" | "stdout" | "stderr" | "signal">;

/** A user's images and containers. */
export class Skiff implements Disposable {
  readonly #engine: Engine;
  readonly #options: SkiffOptions;

  constructor(options: SkiffOptions = {}) {
    this.#options = options;
    this.#engine = openEngine(options);
  }

  /** Pulls an image and gives its id. */
  async pull(reference: string, options: PullOptions = {}): Promise<string> {
    const { signal, progress, ...rest } = options;
    return (await this.#call<{ id: string }>("pull", [reference, rest], { signal, progress })).id;
  }

  images(): Promise<ImageListEntry[]> {
    return images(this.#engine);
  }

  imageExists(reference: string): Promise<boolean> {
    return imageExists(this.#engine, reference);
  }

  inspectImage(reference: string): Promise<ImageDocument> {
    return imageInspect(this.#engine, reference);
  }

  /** Gives an image more names. */
  tag(reference: string, ...names: string[]): Promise<string[]> {
    return tag(this.#engine, reference, names);
  }

  /** Removes images; throws the first reason why one could not be removed. */
  async removeImages(
    references: string[],
    options: RmiOptions = {},
  ): Promise<Pick<RmiResult, "untagged" | "deleted">> {
    type Crossed = Omit<RmiResult, "errors"> & { errors: Parameters<typeof fromRemoteError>[0][] };
    const { untagged, deleted, errors } = await this.#call<Crossed>("rmi", [references, options]);
    if (errors[0]) throw fromRemoteError(errors[0]);
    return { untagged, deleted };
  }

  /** The containers that run, or with `all` all of them, newest first. */
  list(options: { all?: boolean } = {}): Promise<ContainerListEntry[]> {
    return ps(this.#engine, options);
  }

  /** A handle on a container by name or id. Throws NotFoundError where there is none. */
  async container(name: string): Promise<Container> {
    const { Id } = await containerInspect(this.#engine, name);
    return this.#container(Id);
  }

  exists(name: string): Promise<boolean> {
    return containerExists(this.#engine, name);
  }

  /** Creates a container, pulling its image where it is missing. */
  async create(options: CreateOptions, hooks: RemoteHooks = {}): Promise<Container> {
    return this.#container((await this.#call<CreatedContainer>("create", [options], hooks)).id);
  }

  /** Creates and starts a container, and leaves it running. */
  async start(options: CreateOptions, hooks: RemoteHooks = {}): Promise<Container> {
    return this.#container((await this.#call<StartedContainer>("run", [options, {}], hooks)).id);
  }

  /**
   * Runs a program in a new container to its end; the container is removed unless `autoRemove` is false.
   *
   * @throws {CommandNotFoundError} where the program is not in the image
   */
  async run(options: CreateOptions, streams: Streams = {}, hooks: RemoteHooks = {}): Promise<RunResult> {
    const asked = { autoRemove: true, ...options, interactive: streams.stdin !== undefined };
    const reply = await callRemote<StartedContainer>(
      this.#executable,
      { verb: "run", engine: this.#engineOptions, args: [asked, { foreground: true }] },
      hooks,
    );
    const { id, socketPath } = reply.result;
    try {
      return await collect((sinks) => attachTo(socketPath, sinks), streams);
    } finally {
      await reply.release();
      await settle(this.#engine, id);
    }
  }

  /** Closes the database. */
  [Symbol.dispose](): void {
    this.#engine[Symbol.dispose]();
  }

  #container(id: string): Container {
    return new Container(id, this.#engine, this.#executable, this.#engineOptions);
  }

  get #executable(): string[] {
    const binary = Deno.env.get("SKIFF_BINARY");
    return this.#options.executable ?? (binary ? [binary] : takeLaunch().command);
  }

  get #engineOptions(): EngineOptions {
    const { dataFolder, runtimeFolder, storageDriver } = this.#options;
    return { dataFolder, runtimeFolder, storageDriver };
  }

  async #call<T>(verb: RemoteVerb, args: unknown[], hooks: RemoteHooks = {}): Promise<T> {
    const request = { verb, engine: this.#engineOptions, args };
    const reply = await callRemote<T>(this.#executable, request, hooks);
    await reply.release();
    return reply.result;
  }
}

/** One container. */
export class Container {
  /** @internal */
  constructor(
    readonly id: string,
    readonly engine: Engine,
    readonly executable: string[],
    readonly engineOptions: EngineOptions,
  ) {}

  /** Starts it; returns when its program runs. */
  async start(): Promise<void> {
    await this.#call("start", [this.id, {}]);
  }

  /** Asks it to end, and kills it after its stop timeout. */
  async stop(options: StopOptions = {}): Promise<void> {
    await stop(this.engine, this.id, options);
  }

  async kill(signal = "KILL"): Promise<void> {
    await kill(this.engine, this.id, signal);
  }

  /** The exit code, once it has ended. */
  wait(options: WaitOptions = {}): Promise<number> {
    return wait(this.engine, this.id, options);
  }

  /** Runs one more program in it to its end. */
  async exec(options: ExecOptions, streams: Streams = {}): Promise<RunResult> {
    const asked = { ...options, interactive: streams.stdin !== undefined };
    const reply = await callRemote<ExecSession>(this.executable, {
      verb: "exec",
      engine: this.engineOptions,
      args: [this.id, asked],
    });
    try {
      return await collect((sinks) => attachTo(reply.result.socketPath, sinks), streams);
    } finally {
      await reply.release();
    }
  }

  attach(options: AttachOptions): Promise<Attached> {
    return attach(this.engine, this.id, options);
  }

  /** What it has written, line by line; with `follow` until it ends. */
  async *logs(options: LogsOptions = {}): AsyncGenerator<LogRecord> {
    for await (const records of logs(this.engine, this.id, options)) yield* records;
  }

  inspect(): Promise<ContainerDocument> {
    return containerInspect(this.engine, this.id);
  }

  async remove(options: RmOptions = {}): Promise<void> {
    await this.#call("rm", [this.id, options]);
  }

  async #call<T>(verb: RemoteVerb, args: unknown[]): Promise<T> {
    const reply = await callRemote<T>(this.executable, { verb, engine: this.engineOptions, args });
    await reply.release();
    return reply.result;
  }
}

/** Runs attached to the end; output without a sink is collected. */
async function collect(
  open: (options: AttachOptions) => Promise<Attached>,
  streams: Streams,
): Promise<RunResult> {
  const [stdout, stderr] = [new Collector(), new Collector()];
  const attached = await open({
    stdin: streams.stdin,
    stdout: streams.stdout ?? ((bytes) => stdout.add(bytes)),
    stderr: streams.stderr ?? ((bytes) => stderr.add(bytes)),
    signal: streams.signal,
  });
  const outcome = await attached.outcome;
  if (outcome.kind === "detached") throw new SkiffError("run: detached before the program has ended");
  return { exitCode: outcome.record.exitCode, stdout: stdout.text(), stderr: stderr.text() };
}

class Collector {
  readonly #decoder = new TextDecoder();
  #text = "";

  add(bytes: Uint8Array): void {
    this.#text += this.#decoder.decode(bytes, { stream: true });
  }

  text(): string {
    return this.#text + this.#decoder.decode();
  }
}
