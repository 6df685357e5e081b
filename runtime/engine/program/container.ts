/** One container, as a program holds it. */

import { attach, type Attached, type AttachOptions, attachTo } from "../attach.ts";
import type { CloneOptions } from "../clone.ts";
import type { CommitOptions } from "../commit.ts";
import type { CpOptions, CpResult } from "../cp.ts";
import type { CreatedContainer } from "../create.ts";
import type { Change } from "../diff.ts";
import type { ExecSession } from "../exec.ts";
import type { ExportResult } from "../export.ts";
import { type HealthAnswer, runHealthcheck } from "../healthcheck.ts";
import { type ContainerDocument, containerInspect } from "../inspect.ts";
import { kill } from "../kill.ts";
import { type LogRecord, logs, type LogsOptions } from "../logs.ts";
import type { ExecOptions } from "../options.ts";
import type { PortMapping } from "../../network/ports.ts";
import { pause, unpause } from "../pause.ts";
import { rename } from "../rename.ts";
import type { RestartOptions } from "../restart.ts";
import type { RemoteHooks } from "../remote.ts";
import type { RmOptions } from "../rm.ts";
import { stop, type StopOptions } from "../stop.ts";
import { type ProcessTable, top } from "../top.ts";
import { wait, type WaitOptions } from "../wait.ts";
import { publishedPorts, update, type UpdateOptions } from "../update.ts";
import { type Abortable, type Caller, unlessAborted } from "./caller.ts";
import { collect, type RunResult, type Streams } from "./session.ts";

export class Container {
  readonly #caller: Caller;

  /** @internal */
  constructor(readonly id: string, caller: Caller) {
    this.#caller = caller;
  }

  /** Starts it; returns when its program runs. */
  async start({ signal }: Abortable = {}): Promise<void> {
    await this.#caller.call("start", [this.id, {}], { signal });
  }

  /** Asks it to end, and kills it after its stop timeout. */
  async stop(options: StopOptions = {}): Promise<void> {
    await stop(this.#caller.engine, this.id, options);
  }

  /** Stops it where it runs, and starts it. */
  async restart({ signal, ...options }: RestartOptions = {}): Promise<void> {
    await this.#caller.call("restart", [this.id, options], { signal });
  }

  async kill(name = "KILL", { signal }: Abortable = {}): Promise<void> {
    await unlessAborted(signal, () => kill(this.#caller.engine, this.id, name));
  }

  /** Stops its processes where they are. The warning tells where that is not by a cgroup freezer. */
  async pause({ signal }: Abortable = {}): Promise<{ warning?: string }> {
    const { warning } = await unlessAborted(signal, () => pause(this.#caller.engine, this.id));
    return { warning };
  }

  async unpause({ signal }: Abortable = {}): Promise<void> {
    await unlessAborted(signal, () => unpause(this.#caller.engine, this.id));
  }

  async rename(name: string, { signal }: Abortable = {}): Promise<void> {
    await unlessAborted(signal, () => rename(this.#caller.engine, this.id, name));
  }

  /**
   * Changes what is published of it and what looks after it, at once where it runs, and for its later runs; gives what is
   * published then.
   */
  async update(options: UpdateOptions, { signal }: Abortable = {}): Promise<PortMapping[]> {
    const { ports } = await unlessAborted(signal, () => update(this.#caller.engine, this.id, options));
    return ports;
  }

  /** Its published ports, running or not. */
  ports({ signal }: Abortable = {}): Promise<PortMapping[]> {
    return unlessAborted(signal, () => publishedPorts(this.#caller.engine, this.id));
  }

  /** The exit code, once it has ended. */
  wait(options: WaitOptions = {}): Promise<number> {
    return wait(this.#caller.engine, this.id, options);
  }

  /** Runs one more program in it to its end. */
  async exec(options: ExecOptions, streams: Streams = {}): Promise<RunResult> {
    const asked = { ...options, interactive: streams.stdin !== undefined };
    const { signal } = streams;
    const reply = await this.#caller.open<ExecSession>("exec", [this.id, asked], { signal });
    try {
      return await collect((sinks) => attachTo(reply.result.socketPath, sinks), streams);
    } finally {
      await reply.release();
    }
  }

  attach(options: AttachOptions): Promise<Attached> {
    return attach(this.#caller.engine, this.id, options);
  }

  /** What it has written, line by line; with `follow` until it ends. */
  async *logs(options: LogsOptions = {}): AsyncGenerator<LogRecord> {
    for await (const records of logs(this.#caller.engine, this.id, options)) yield* records;
  }

  inspect({ signal }: Abortable = {}): Promise<ContainerDocument> {
    return unlessAborted(signal, () => containerInspect(this.#caller.engine, this.id));
  }

  /** Its processes, with the descriptors of podman-top(1). */
  top(descriptors?: string[], { signal }: Abortable = {}): Promise<ProcessTable> {
    return unlessAborted(signal, () => top(this.#caller.engine, this.id, descriptors));
  }

  /** One health check, now. */
  healthcheck({ signal }: Abortable = {}): Promise<HealthAnswer> {
    return unlessAborted(signal, () => runHealthcheck(this.#caller.engine, this.id));
  }

  /** Another container with the same configuration. */
  async clone(options: CloneOptions = {}, hooks: RemoteHooks = {}): Promise<Container> {
    const { id } = await this.#caller.call<CreatedContainer>("clone", [this.id, options], hooks);
    return new Container(id, this.#caller);
  }

  /** Makes an image of what it has changed; gives the image's id. */
  commit({ signal, ...options }: CommitOptions = {}): Promise<string> {
    return this.#caller.call<string>("commit", [this.id, options], { signal });
  }

  /** What has changed in its files since it was created, or what they differ in from another container or image. */
  diff({ against, signal }: { against?: string } & Abortable = {}): Promise<Change[]> {
    return against === undefined
      ? this.#caller.call<Change[]>("diff", [this.id], { signal })
      : this.#caller.call<Change[]>("diffBetween", [this.id, against], { signal });
  }

  /**
   * Its root filesystem as a folder; of a running one that of its init.
   *
   * @throws {ConflictError} without root, unless this program runs in a session of `skiff unshare`
   */
  mount({ signal }: Abortable = {}): Promise<string> {
    return this.#caller.call<string>("mount", [this.id], { signal });
  }

  async unmount({ force = false, signal }: { force?: boolean } & Abortable = {}): Promise<void> {
    await this.#caller.call("unmount", [this.id, force], { signal });
  }

  /** Copies a file or folder of the host to `path` in the container. */
  copyIn(source: string, path: string, { signal, ...options }: CpOptions = {}): Promise<CpResult> {
    const from = hostPath(source);
    return this.#caller.call<CpResult>("cp", [from, `${this.id}:${path}`, options], { signal });
  }

  /** Copies `path` of the container to the host. */
  copyOut(path: string, destination: string, { signal, ...options }: CpOptions = {}): Promise<CpResult> {
    const to = hostPath(destination);
    return this.#caller.call<CpResult>("cp", [`${this.id}:${path}`, to, options], { signal });
  }

  /** Writes its root filesystem to `output` as a tar archive. */
  export(output: string, { signal }: Abortable = {}): Promise<ExportResult> {
    return this.#caller.call<ExportResult>("export", [this.id, { output }], { signal });
  }

  async remove({ signal, ...options }: RmOptions & Abortable = {}): Promise<void> {
    await this.#caller.call("rm", [this.id, options], { signal });
  }
}

/** So that a name with a colon is no container's, and `-` no stream. */
function hostPath(path: string): string {
  return path.startsWith("/") || path.startsWith("./") ? path : `./${path}`;
}
