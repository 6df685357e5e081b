/** A user's images, containers and volumes, as a program holds them. */

import { attachTo } from "../attach.ts";
import type { BuildEvent, BuildRequest, BuildResult } from "../build_options.ts";
import { askForBuild, buildEvents, type BuildWatch } from "../build_remote.ts";
import type { BuildCacheEntry, BuildPruned, BuildPruneOptions } from "../build_prune.ts";
import { containerExists } from "../containers.ts";
import type { CreatedContainer } from "../create.ts";
import type { Change } from "../diff.ts";
import { type EngineEvent, events, type EventsOptions } from "../events.ts";
import { history, type HistoryStep } from "../history.ts";
import { imageExists } from "../image_exists.ts";
import type { MountedImage } from "../image_mount.ts";
import type { ImageTree } from "../image_tree.ts";
import { type ImageListEntry, images } from "../images.ts";
import type { ImportOptions } from "../import.ts";
import type { InfoDocument } from "../info.ts";
import { containerInspect, type ImageDocument, imageInspect } from "../inspect.ts";
import type { LoadedImage } from "../load.ts";
import type { LoginOptions, LoginPair } from "../login.ts";
import type { MountedContainer } from "../mount.ts";
import type { CreateOptions } from "../options.ts";
import type { Pruned, PruneOptions } from "../prune.ts";
import { type ContainerListEntry, ps, type PsOptions } from "../ps.ts";
import type { PullOptions } from "../pull.ts";
import type { PushOptions } from "../push.ts";
import { fromRemoteError, type RemoteError, type RemoteHooks } from "../remote.ts";
import type { Removal, RmiOptions, RmiResult } from "../rmi.ts";
import { settle } from "../run.ts";
import type { SaveOptions } from "../save.ts";
import type { RepositoryTags, SearchOptions, SearchResult } from "../search.ts";
import type { StartedContainer } from "../start.ts";
import type { CheckOptions, Damage } from "../system_check.ts";
import type { DiskUsage } from "../system_df.ts";
import { tag } from "../tag.ts";
import { untag } from "../untag.ts";
import { Artifacts } from "./artifacts.ts";
import { type Abortable, Caller, type SkiffOptions, unlessAborted } from "./caller.ts";
import { Container } from "./container.ts";
import { Manifests } from "./manifests.ts";
import { Networks } from "./networks.ts";
import { Pods } from "./pods.ts";
import { Secrets } from "./secrets.ts";
import { collect, type RunResult, type Streams } from "./session.ts";
import { Volumes } from "./volumes.ts";

export class Skiff implements Disposable {
  readonly #caller: Caller;
  readonly artifacts: Artifacts;
  readonly manifests: Manifests;
  readonly networks: Networks;
  readonly pods: Pods;
  readonly secrets: Secrets;
  readonly volumes: Volumes;

  constructor(options: SkiffOptions = {}) {
    this.#caller = new Caller(options);
    this.artifacts = new Artifacts(this.#caller);
    this.manifests = new Manifests(this.#caller);
    this.networks = new Networks(this.#caller);
    this.pods = new Pods(this.#caller);
    this.secrets = new Secrets(this.#caller);
    this.volumes = new Volumes(this.#caller);
  }

  /** Pulls an image and gives its id. */
  async pull(reference: string, options: PullOptions = {}): Promise<string> {
    const { signal, progress, ...rest } = options;
    return (await this.#caller.call<{ id: string }>("pull", [reference, rest], { signal, progress })).id;
  }

  /**
   * Pushes an image to a registry, or writes it to `oci:`, `oci-archive:`, `docker-archive:` or `dir:`; the default
   * destination is the reference. Gives the digest that it has there; a docker-archive has none.
   */
  async push(
    reference: string,
    destination?: string,
    { signal, progress, ...rest }: PushOptions = {},
  ): Promise<string | undefined> {
    const args = [reference, destination ?? null, rest];
    return (await this.#caller.call<{ digest?: string }>("push", args, { signal, progress })).digest;
  }

  /**
   * Builds an image of a Dockerfile and its context.
   *
   * @throws {BuildError} with the place in the Dockerfile where a step fails or something is wrong with it
   */
  build(request: BuildRequest, watch: BuildWatch = {}): Promise<BuildResult> {
    return askForBuild((...asked) => this.#openBuild(...asked), request, watch);
  }

  /** The same, told as it goes on; the result is what the generator returns. Who stops listening ends the build. */
  buildEvents(request: BuildRequest, options: Abortable = {}): AsyncGenerator<BuildEvent, BuildResult> {
    return buildEvents((...asked) => this.#openBuild(...asked), request, options);
  }

  #openBuild(request: BuildRequest, hooks: RemoteHooks) {
    return this.#caller.open<BuildResult>("build", [request], hooks);
  }

  /** What builds have kept, the least recently used first. */
  buildCache({ signal }: Abortable = {}): Promise<BuildCacheEntry[]> {
    return this.#caller.call<BuildCacheEntry[]>("buildCache", [], { signal });
  }

  /** Removes of it what the options choose. */
  pruneBuildCache({ signal, ...options }: BuildPruneOptions & Abortable = {}): Promise<BuildPruned> {
    return this.#caller.call<BuildPruned>("buildPrune", [options], { signal });
  }

  /**
   * Images whose name or description has a word: `[REGISTRY/]WORD`, without a registry in those of registries.conf;
   * `failures` are of registries that could not be asked, where another has answered.
   */
  async search(
    term: string,
    { signal, ...options }: SearchOptions = {},
  ): Promise<{ results: SearchResult[]; failures: Error[] }> {
    const { results, errors } = await this.#caller.call<
      { results: SearchResult[]; errors: RemoteError[] }
    >("search", [term, options], { signal });
    return { results, failures: errors.map(fromRemoteError) };
  }

  /** Tags of a repository at its registry. */
  async searchTags(
    repository: string,
    { signal, ...options }: Omit<SearchOptions, "stars" | "isOfficial" | "isAutomated"> = {},
  ): Promise<string[]> {
    return (await this.#caller.call<RepositoryTags>("searchTags", [repository, options], { signal })).Tags;
  }

  /** Tries a name and password at a registry, keeps them, and gives the file that has them now. */
  login(registry: string, pair: LoginPair, { signal, ...options }: LoginOptions = {}): Promise<string> {
    return this.#caller.call<string>("login", [registry, pair, options], { signal });
  }

  /** Forgets them. Throws NotFoundError where there are none. */
  async logout(
    registry: string,
    { authFile, signal }: { authFile?: string } & Abortable = {},
  ): Promise<void> {
    await this.#caller.call("logout", [registry, authFile ?? null], { signal });
  }

  images({ signal }: Abortable = {}): Promise<ImageListEntry[]> {
    return unlessAborted(signal, () => images(this.#caller.engine));
  }

  imageExists(reference: string, { signal }: Abortable = {}): Promise<boolean> {
    return unlessAborted(signal, () => imageExists(this.#caller.engine, reference));
  }

  inspectImage(reference: string, { signal }: Abortable = {}): Promise<ImageDocument> {
    return unlessAborted(signal, () => imageInspect(this.#caller.engine, reference));
  }

  /** The steps that made an image, the latest first. */
  history(reference: string, { signal }: Abortable = {}): Promise<HistoryStep[]> {
    return unlessAborted(signal, () => history(this.#caller.engine, reference));
  }

  /** Its layers, and what else of the store lies on each. */
  async imageTree(reference: string, { signal }: Abortable = {}): Promise<ImageTree> {
    const { imageTree } = await import("../image_tree.ts");
    return await unlessAborted(signal, () => imageTree(this.#caller.engine, reference));
  }

  /** What its topmost layer has changed, or what it differs in from another image. */
  imageDiff(
    reference: string,
    { against, signal }: { against?: string } & Abortable = {},
  ): Promise<Change[]> {
    return this.#caller.call<Change[]>("imageDiff", [reference, against ?? null], { signal });
  }

  /**
   * An image's files as a folder, which cannot be written to.
   *
   * @throws {ConflictError} without root, unless this program runs in a session of `skiff unshare`
   */
  mountImage(reference: string, { signal }: Abortable = {}): Promise<MountedImage> {
    return this.#caller.call<MountedImage>("mountImage", [reference], { signal });
  }

  /** One that is not mounted is no error. */
  async unmountImage(
    reference: string,
    { force = false, signal }: { force?: boolean } & Abortable = {},
  ): Promise<void> {
    await this.#caller.call("unmountImage", [reference, force], { signal });
  }

  /** Those that are mounted where this program runs. */
  async mountedImages({ signal }: Abortable = {}): Promise<MountedImage[]> {
    const { listMountedImages } = await import("../image_mount.ts");
    return await unlessAborted(signal, () => listMountedImages(this.#caller.engine));
  }

  /** The containers likewise. */
  async mountedContainers({ signal }: Abortable = {}): Promise<MountedContainer[]> {
    const { listMounts } = await import("../mount.ts");
    return await unlessAborted(signal, () => listMounts(this.#caller.engine));
  }

  /** Gives an image more names. */
  tag(reference: string, ...names: string[]): Promise<string[]> {
    return tag(this.#caller.engine, reference, names);
  }

  /** Takes names of an image away, without `names` all. */
  untag(reference: string, ...names: string[]): Promise<string[]> {
    return untag(this.#caller.engine, reference, names);
  }

  /** Removes images; throws the first reason why one could not be removed. */
  async removeImages(
    references: string[],
    { signal, ...options }: RmiOptions & Abortable = {},
  ): Promise<Removal> {
    type Crossed = Omit<RmiResult, "errors"> & { errors: RemoteError[] };
    const { untagged, deleted, errors } = await this.#caller.call<Crossed>("rmi", [references, options], {
      signal,
    });
    if (errors[0]) throw fromRemoteError(errors[0]);
    return { untagged, deleted };
  }

  /** Writes images into an archive or folder. */
  async save(
    references: string[],
    { signal, ...options }: Omit<SaveOptions, "output"> & { output: string },
  ): Promise<void> {
    await this.#caller.call("save", [references, options], { signal });
  }

  /** Loads all images of an archive or folder. */
  load(input: string, { signal, progress }: RemoteHooks = {}): Promise<LoadedImage[]> {
    return this.#caller.call<LoadedImage[]>("load", [input], { signal, progress });
  }

  /** Makes an image of a tar archive with a root filesystem, and gives its id. */
  import(input: string, { signal, ...options }: ImportOptions = {}): Promise<string> {
    return this.#caller.call<string>("import", [input, options], { signal });
  }

  /** The containers that run, or with `all` all of them, newest first. */
  list({ signal, ...options }: PsOptions & Abortable = {}): Promise<ContainerListEntry[]> {
    return unlessAborted(signal, () => ps(this.#caller.engine, options));
  }

  /** A handle on a container by name or id. Throws NotFoundError where there is none. */
  async container(name: string, { signal }: Abortable = {}): Promise<Container> {
    const { Id } = await unlessAborted(signal, () => containerInspect(this.#caller.engine, name));
    return new Container(Id, this.#caller);
  }

  exists(name: string, { signal }: Abortable = {}): Promise<boolean> {
    return unlessAborted(signal, () => containerExists(this.#caller.engine, name));
  }

  /** Creates a container, pulling its image where it is missing. */
  async create(options: CreateOptions, hooks: RemoteHooks = {}): Promise<Container> {
    return new Container(
      (await this.#caller.call<CreatedContainer>("create", [options], hooks)).id,
      this.#caller,
    );
  }

  /** Creates and starts a container, and leaves it running. */
  async start(options: CreateOptions, hooks: RemoteHooks = {}): Promise<Container> {
    const { id } = await this.#caller.call<StartedContainer>("run", [options, {}], hooks);
    return new Container(id, this.#caller);
  }

  /**
   * Runs a program in a new container to its end; the container is removed unless `autoRemove` is false.
   *
   * @throws {CommandNotFoundError} where the program is not in the image
   */
  async run(options: CreateOptions, streams: Streams = {}, hooks: RemoteHooks = {}): Promise<RunResult> {
    const asked = { autoRemove: true, ...options, interactive: streams.stdin !== undefined };
    const reply = await this.#caller.open<StartedContainer>("run", [asked, { foreground: true }], {
      signal: streams.signal,
      ...hooks,
    });
    const { id, socketPath } = reply.result;
    try {
      return await collect((sinks) => attachTo(socketPath, sinks), streams);
    } finally {
      await reply.release();
      await settle(this.#caller.engine, id);
    }
  }

  /** What happens to containers, images and volumes; with `sinceMs` what has happened first. An abort is thrown. */
  async *events(options: EventsOptions = {}): AsyncGenerator<EngineEvent> {
    for await (const found of events(this.#caller.engine, { follow: true, ...options })) yield* found;
    options.signal?.throwIfAborted();
  }

  /** Removes containers that do not run, images that no container uses, volumes and networks likewise; tells what is gone. */
  prune({ signal, ...what }: PruneOptions & Abortable): Promise<Pruned> {
    return this.#caller.call<Pruned>("prune", [what], { signal });
  }

  /** What images, containers and volumes take on disk. */
  diskUsage({ signal }: Abortable = {}): Promise<DiskUsage> {
    return this.#caller.call<DiskUsage>("systemDf", [], { signal });
  }

  /** Looks for damage in the store, and with `repair` mends it. */
  checkSystem({ signal, ...options }: CheckOptions & Abortable = {}): Promise<Damage[]> {
    return this.#caller.call<Damage[]>("systemCheck", [options], { signal });
  }

  /** The machine, the store and what is in it. */
  info({ signal }: Abortable = {}): Promise<InfoDocument> {
    return this.#caller.call<InfoDocument>("info", [], { signal });
  }

  /** Closes the database. */
  [Symbol.dispose](): void {
    this.#caller.engine[Symbol.dispose]();
  }
}
