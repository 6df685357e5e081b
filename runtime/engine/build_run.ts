/**
 * RUN: a container of the engine over the step's layers, started by a skiff of its own (build_container.ts), followed by
 * attach; what it has changed becomes a layer before the container goes.
 */

import { BuildError, SkiffError } from "../errors.ts";
import { openCacheMounts } from "../build/run/cache_mounts.ts";
import { readSecrets } from "../build/run/secrets.ts";
import { openAgent } from "../build/run/ssh_agent.ts";
import type { SshAgents } from "../build/run/ssh_sources.ts";
import type { BuildOptions } from "../build/options.ts";
import type { BuildServices, SolvedMount } from "../build/services.ts";
import type { BuiltLayer, RunStep, Snapshot, SourceTree, StepContext } from "../build/step.ts";
import type { ContainerMount } from "../container/mount_options.ts";
import { toBase64 } from "../spec/base64.ts";
import { goQuote } from "../spec/go_quote.ts";
import { captureUpper } from "../storage/capture.ts";
import { attachTo } from "./attach.ts";
import type { BuildContainerRequest, BuildContainerStarted } from "./build_container.ts";
import type { Engine } from "./engine.ts";
import { callRemote, ownCommand, type RemoteReply } from "./remote.ts";

/** As BuildKit; a random one would differ from build to build. */
const HOSTNAME = "buildkitsandbox";
/** What the error of a failed step repeats of its output. */
const TAIL_BYTES = 4096, TAIL_LINES = 20;

type Services = Pick<BuildServices, "folders" | "namespaces" | "storageDriver">;

/** @see BuildServices.runStep */
export async function runBuildStep(
  engine: Engine,
  options: BuildOptions,
  agents: SshAgents,
  work: StepWork,
): Promise<BuiltLayer | null> {
  const { step, base, context } = work;
  await using held = new AsyncDisposableStack();
  const request = await makeRequest(engine, options, agents, work, held);
  const container = startContainer(engine, request, options, context.signal);
  held.defer(() => container.release());
  const { socketPath, rootfs, mountPoints } = await container.started;
  const tail = new OutputTail();
  const sink = (stream: 1 | 2) => (bytes: Uint8Array) => {
    const copy = bytes.slice();
    tail.add(copy);
    context.log(stream, copy);
  };
  const exitCode = await followToEnd(socketPath, { stdout: sink(1), stderr: sink(2) }, step, context.signal);
  await container.ended;
  context.signal.throwIfAborted();
  if (exitCode !== 0) {
    throw new BuildError(
      `process ${goQuote(step.argv.join(" "))} did not complete successfully: exit code: ${exitCode}`,
      { output: tail.text() },
    );
  }
  return await captureUpper(engine, { plan: rootfs, layers: base.layers }, {
    omit: mountPoints,
    keepBlob: context.keepBlob && "later",
    times: context.times,
    signal: context.signal,
  });
}

interface StepWork {
  step: RunStep;
  base: Snapshot;
  mounts: SolvedMount[];
  context: StepContext;
}

/** What the mounts need is held until `held` is disposed of. */
async function makeRequest(
  engine: Engine,
  options: BuildOptions,
  agents: SshAgents,
  { step, base, mounts, context }: StepWork,
  held: AsyncDisposableStack,
): Promise<BuildContainerRequest> {
  if (step.security === "insecure" && !options.allow.includes("security.insecure")) {
    throw new BuildError("security.insecure is not allowed", { hint: "use --allow security.insecure" });
  }
  const secrets = await readSecrets(mounts.filter((mount) => mount.type === "secret"), options.secrets);
  const env = [...step.env, ...secrets.env];
  const bound: ContainerMount[] = [];
  for (const mount of mounts) {
    if (mount.type === "bind") bound.push(await bindMount(engine, mount, context));
    else if (mount.type === "tmpfs") bound.push(tmpfsMount(mount));
    else if (mount.type === "ssh") {
      const agent = await openAgent(engine, mount, agents);
      if (agent === null) continue;
      held.use(agent);
      bound.push(bindOf(agent.path, mount.target));
      if (!env.some((word) => word.startsWith("SSH_AUTH_SOCK="))) env.push(`SSH_AUTH_SOCK=${mount.target}`);
    }
  }
  const caches = mounts.filter((mount) => mount.type === "cache");
  const initial = await Promise.all(caches.map(async (mount) => ({
    ...mount,
    tree: mount.tree &&
      { kind: "snapshot" as const, snapshot: await snapshotOf(engine, mount.tree, context) },
  })));
  for (const cache of await openCacheMounts(engine, initial, context.signal)) {
    held.use(cache);
    const { target, source, readOnly } = cache.mount;
    bound.push({ ...bindOf(cache.path, target), readOnly, subpath: subpath(source) });
  }
  const tell = (line: string) => context.log(2, new TextEncoder().encode(line));
  const devices = step.devices
    ? await (await import("./build_devices.ts")).findStepDevices(step, options, tell)
    : [];
  const files = step.scripts.map(({ path, content, mode }) => ({
    path,
    base64: toBase64(new TextEncoder().encode(content)),
    mode,
    uid: 0,
    gid: 0,
  }));
  return {
    options: { ...containerOptions(options, step), devices: some([...options.devices, ...devices]) },
    diffIds: base.layers.map(({ diffId }) => diffId),
    mounts: bound,
    env,
    files: [...files, ...secrets.files],
  };
}

function containerOptions(options: BuildOptions, step: RunStep): BuildContainerRequest["options"] {
  const network = step.network === "default" ? undefined : step.network;
  return {
    image: "",
    // /etc/hosts has it: a random one would be another for each build
    name: HOSTNAME,
    entrypoint: [],
    command: step.argv,
    workdir: step.workdir,
    user: step.user,
    network,
    privileged: step.security === "insecure",
    hostname: network === "host" || options.uts !== undefined ? undefined : step.hostname ?? HOSTNAME,
    // the layer shall have what the step has written
    passwd: false,
    httpProxy: false,
    logDriver: "none",
    addHosts: some(step.hosts),
    noHosts: options.noHosts || undefined,
    noHostname: options.noHostname || undefined,
    dns: some(options.dns),
    dnsSearch: some(options.dnsSearch),
    dnsOptions: some(options.dnsOptions),
    ulimits: options.ulimits,
    shmSize: options.shmSize === undefined ? undefined : String(options.shmSize),
    capAdd: options.capAdd,
    capDrop: options.capDrop,
    securityOpt: options.securityOpt,
    volumes: options.volumes,
    groupAdd: options.groupAdd,
    pid: options.pid,
    ipc: options.ipc,
    uts: options.uts,
    cgroupns: options.cgroupns,
  };
}

function some(list: string[]): string[] | undefined {
  return list.length === 0 ? undefined : list;
}

/** Shown by an overlay of its own: what is written there, where it may be, goes with the container. */
async function bindMount(
  services: Services,
  mount: SolvedMount & { type: "bind" },
  context: StepContext,
): Promise<ContainerMount> {
  const { layers } = mount.tree ? await snapshotOf(services, mount.tree, context) : { layers: [] };
  return {
    kind: "image",
    image: "",
    diffIds: layers.map(({ diffId }) => diffId),
    destination: mount.target,
    readOnly: !mount.readWrite,
    options: [],
    subpath: subpath(mount.source),
  };
}

/**
 * A folder of the host becomes a layer first, as COPY makes it: a step never sees the folder itself, nor what its
 * .dockerignore leaves out.
 */
async function snapshotOf(services: Services, tree: SourceTree, context: StepContext): Promise<Snapshot> {
  if (tree.kind === "snapshot") return tree.snapshot;
  const { performCopy } = await import("../build/copy/copy.ts");
  const layer = await performCopy(
    services,
    {
      kind: "copy",
      base: { kind: "scratch" },
      add: false,
      sources: [],
      destination: "/",
      link: false,
      parents: false,
      exclude: [],
    },
    { layers: [] },
    [{ tree, pattern: "/" }],
    { ...context, keepBlob: false },
  );
  return { layers: layer === null ? [] : [layer] };
}

function tmpfsMount({ target, sizeBytes }: SolvedMount & { type: "tmpfs" }): ContainerMount {
  const size = sizeBytes === undefined ? [] : [`size=${sizeBytes}`];
  return { kind: "tmpfs", destination: target, readOnly: false, options: ["nosuid", "nodev", ...size] };
}

function bindOf(source: string, destination: string): ContainerMount & { kind: "bind" } {
  return { kind: "bind", source, destination, readOnly: false, options: ["nosuid", "nodev"] };
}

/** Resolved inside what is mounted. */
function subpath(source: string): string | undefined {
  return source === "" || source === "/" ? undefined : source;
}

interface StepContainer {
  started: Promise<BuildContainerStarted>;
  /** The program has ended, and nothing of its root is mounted any more. */
  ended: Promise<void>;
  /** Kills it where it still runs; what is left is removed meanwhile. */
  release(): Promise<void>;
}

function startContainer(
  engine: Engine,
  request: BuildContainerRequest,
  { secrets }: BuildOptions,
  signal: AbortSignal,
): StepContainer {
  signal.throwIfAborted();
  const { folders, storageDriver } = engine;
  const started = Promise.withResolvers<BuildContainerStarted>();
  const hangUp = new AbortController();
  const giveUp = () => hangUp.abort();
  signal.addEventListener("abort", giveUp);
  const reply = callRemote<null>(ownCommand(), {
    verb: "buildRun",
    engine: { dataFolder: folders.data, runtimeFolder: folders.run, storageDriver },
    args: [request],
  }, {
    event: (event) => started.resolve(event as BuildContainerStarted),
    hangUp: hangUp.signal,
    withoutEnv: secrets.flatMap(({ from }) => from.kind === "env" ? [from.name] : []),
  });
  reply.then(() => started.reject(new SkiffError("run step: it ended before it began")), started.reject);
  started.promise.catch(() => {});
  const ended = reply.then(() => {});
  ended.catch(() => {});
  return {
    started: started.promise.catch((error) => {
      signal.throwIfAborted();
      throw error;
    }),
    ended,
    async release() {
      signal.removeEventListener("abort", giveUp);
      hangUp.abort();
      const ready: RemoteReply<null> | undefined = await reply.catch(() => undefined);
      await ready?.release();
    },
  };
}

/** @throws {BuildError} where the program never ran */
async function followToEnd(
  socketPath: string,
  streams: { stdout: (bytes: Uint8Array) => void; stderr: (bytes: Uint8Array) => void },
  step: RunStep,
  signal: AbortSignal,
): Promise<number> {
  try {
    const attached = await attachTo(socketPath, streams);
    const outcome = await attached.outcome;
    if (outcome.kind === "exited") return outcome.record.exitCode;
    throw new SkiffError("run step: detached before its end");
  } catch (error) {
    // hung up: its monitor is gone
    signal.throwIfAborted();
    if (!(error instanceof SkiffError)) throw error;
    throw new BuildError(`process ${goQuote(step.argv.join(" "))} could not be run: ${error.message}`, {
      cause: error,
      hint: error.hint,
    });
  }
}

/** The end of what a program has written. */
class OutputTail {
  #bytes = new Uint8Array();

  add(bytes: Uint8Array): void {
    const joined = new Uint8Array(this.#bytes.length + bytes.length);
    joined.set(this.#bytes);
    joined.set(bytes, this.#bytes.length);
    this.#bytes = joined.slice(-TAIL_BYTES);
  }

  text(): string {
    return new TextDecoder().decode(this.#bytes).split("\n").slice(-TAIL_LINES - 1).join("\n");
  }
}
