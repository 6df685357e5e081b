/** The verbs that another skiff performs for a program. @see remote.ts */

import type { ArtifactAddOptions } from "./artifact_add.ts";
import type { ArtifactExtractOptions } from "./artifact_extract.ts";
import type { ArtifactTransferOptions } from "./artifact_pull.ts";
import type { ArtifactRmOptions } from "./artifacts.ts";
import type { BuildContainerRequest } from "./build_container.ts";
import type { BuildRequest } from "./build_options.ts";
import type { BuildPruneOptions } from "./build_prune.ts";
import { toPlainEvent } from "./build_remote.ts";
import type { CloneOptions } from "./clone.ts";
import type { CommitOptions } from "./commit.ts";
import { InvalidArgumentError, SkiffError } from "../errors.ts";
import type { CpOptions } from "./cp.ts";
import type { Engine } from "./engine.ts";
import type { ImportOptions } from "./import.ts";
import type { LoginOptions, LoginPair } from "./login.ts";
import type { ManifestAddOptions } from "./manifest_add.ts";
import type { ManifestAnnotateOptions } from "./manifest_annotate.ts";
import type { ManifestArtifactOptions } from "./manifest_artifact.ts";
import type { ManifestCreateOptions } from "./manifest_create.ts";
import type { ManifestInspectOptions } from "./manifest_inspect.ts";
import type { NetworkRmOptions } from "./network_rm.ts";
import type { CreateOptions, ExecOptions } from "./options.ts";
import type { PodStopOptions } from "./pods/change.ts";
import type { PodCloneOptions } from "./pods/clone.ts";
import type { PodCreateOptions } from "./pods/options.ts";
import type { PodRmOptions } from "./pods/rm.ts";
import type { PruneOptions } from "./prune.ts";
import type { PullOptions } from "./pull.ts";
import type { PushOptions } from "./push.ts";
import { type RemoteHooks, type RemoteVerb, toRemoteError } from "./remote.ts";
import type { RestartOptions } from "./restart.ts";
import type { RmOptions } from "./rm.ts";
import type { RmiOptions } from "./rmi.ts";
import type { SaveOptions } from "./save.ts";
import type { SearchOptions } from "./search.ts";
import type { StartOptions } from "./start.ts";
import type { CheckOptions } from "./system_check.ts";
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

export const VERBS: Record<RemoteVerb, Perform> = {
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
  rmi: async (engine, [images, options]) =>
    crossed(await (await import("./rmi.ts")).rmi(engine, images as string[], options as RmiOptions)),
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
  volumeMount: async (engine, [name]) =>
    (await import("./volume_mount.ts")).volumeMount(engine, name as string),
  volumeUnmount: async (engine, [name]) =>
    (await import("./volume_mount.ts")).volumeUnmount(engine, name as string),
  volumeReload: async (engine) => crossed(await (await import("./volume_mount.ts")).volumeReload(engine)),
  volumeRm: async (engine, [name, options]) =>
    (await import("./volume_rm.ts")).volumeRm(engine, name as string, options as VolumeRmOptions),
  networkRm: async (engine, [name, options]) =>
    (await import("./network_rm.ts")).networkRm(engine, name as string, options as NetworkRmOptions),
  clone: async (engine, [text, options], hooks) =>
    (await import("./clone.ts")).clone(engine, text as string, options as CloneOptions, hooks),
  podCreate: async (engine, [options], hooks) => {
    const { podCreate } = await import("./pods/create.ts");
    const created = await podCreate(engine, options as PodCreateOptions, hooks);
    for (const warning of created.warnings) hooks.warn?.(warning);
    return created;
  },
  podClone: async (engine, [text, options]) =>
    (await import("./pods/clone.ts")).podClone(engine, text as string, options as PodCloneOptions),
  podStart: async (engine, [text]) => (await import("./pods/change.ts")).podStart(engine, text as string),
  podRestart: async (engine, [text, options]) =>
    (await import("./pods/change.ts")).podRestart(engine, text as string, options as PodStopOptions),
  podRm: async (engine, [text, options]) =>
    (await import("./pods/rm.ts")).podRm(engine, text as string, options as PodRmOptions),
  podPrune: async (engine) => await Array.fromAsync((await import("./pods/rm.ts")).podPrune(engine)),
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
  manifestCreate: async (engine, [name, images, options]) =>
    (await import("./manifest_create.ts")).manifestCreate(
      engine,
      name as string,
      images as string[],
      options as ManifestCreateOptions,
    ),
  manifestAdd: async (engine, [list, images, options]) =>
    (await import("./manifest_add.ts")).manifestAdd(
      engine,
      list as string,
      images as string[],
      options as ManifestAddOptions,
    ),
  manifestAddFiles: async (engine, [list, paths, options]) =>
    (await import("./manifest_artifact.ts")).manifestAddFiles(
      engine,
      list as string,
      paths as string[],
      options as ManifestArtifactOptions,
    ),
  manifestAnnotate: async (engine, [list, entry, options]) =>
    (await import("./manifest_annotate.ts")).manifestAnnotate(
      engine,
      list as string,
      (entry as string | null) ?? undefined,
      options as ManifestAnnotateOptions,
    ),
  manifestRemove: async (engine, [list, entry]) =>
    (await import("./manifest_annotate.ts")).manifestRemove(engine, list as string, entry as string),
  manifestRm: async (engine, [lists, options]) => {
    const { manifestRm } = await import("./manifest_inspect.ts");
    return crossed(await manifestRm(engine, lists as string[], options as Pick<RmiOptions, "ignore">));
  },
  manifestPush: async (engine, [list, destination, options], { progress }) =>
    (await import("./manifest_push.ts")).manifestPush(
      engine,
      list as string,
      (destination as string | null) ?? undefined,
      { ...options as PushOptions, progress },
    ),
  manifestInspect: async (engine, [name, options]) =>
    (await import("./manifest_inspect.ts")).manifestInspect(
      engine,
      name as string,
      options as ManifestInspectOptions,
    ),
  manifestExists: async (engine, [name]) =>
    (await import("./manifest_inspect.ts")).manifestExists(engine, name as string),
  artifactLs: async (engine) => (await import("./artifacts.ts")).artifacts(engine),
  artifactInspect: async (engine, [name]) =>
    (await import("./artifacts.ts")).artifactInspect(engine, name as string),
  artifactAdd: async (engine, [name, paths, options]) =>
    (await import("./artifact_add.ts")).artifactAdd(
      engine,
      name as string,
      paths as string[],
      options as ArtifactAddOptions,
    ),
  artifactExtract: async (engine, [name, target, options]) =>
    (await import("./artifact_extract.ts")).artifactExtract(
      engine,
      name as string,
      target as string,
      options as ArtifactExtractOptions,
    ),
  artifactPull: async (engine, [name, options], { progress }) =>
    (await import("./artifact_pull.ts")).artifactPull(engine, name as string, {
      ...options as ArtifactTransferOptions,
      progress,
    }),
  artifactPush: async (engine, [name, destination, options], { progress }) =>
    (await import("./artifact_pull.ts")).artifactPush(
      engine,
      name as string,
      (destination as string | null) ?? undefined,
      { ...options as ArtifactTransferOptions, progress },
    ),
  artifactRm: async (engine, [names, options]) =>
    crossed(
      await (await import("./artifacts.ts")).artifactRm(
        engine,
        names as string[],
        options as ArtifactRmOptions,
      ),
    ),
  search: async (_engine, [term, options]) => {
    const { search } = await import("./search.ts");
    const { results, failures } = await search(term as string, options as SearchOptions);
    return crossed({ results, errors: failures });
  },
  searchTags: async (_engine, [name, options]) =>
    (await import("./search.ts")).searchTags(name as string, options as SearchOptions),
  login: async (_engine, [registry, pair, options]) =>
    (await import("./login.ts")).login(registry as string, pair as LoginPair, options as LoginOptions),
  logout: async (_engine, [registry, authFile]) =>
    (await import("./login.ts")).logout(registry as string, (authFile as string | null) ?? undefined),
  buildCache: async (engine) => (await import("./build_prune.ts")).buildCache(engine),
  buildPrune: async (engine, [options]) =>
    (await import("./build_prune.ts")).buildPrune(engine, options as BuildPruneOptions),
  info: async (engine) => (await import("./info.ts")).info(engine),
  systemCheck: async (engine, [options]) =>
    (await import("./system_check.ts")).systemCheck(engine, options as CheckOptions),
};

/** What went wrong with some of several, as it crosses the pipe. */
function crossed<T extends { errors: unknown[] }>(result: T) {
  return { ...result, errors: result.errors.map(toRemoteError) };
}
