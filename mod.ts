/**
 * skiff as a library: OCI containers without root and without a daemon, from a Deno program.
 *
 * ```ts
 * import { Skiff } from "./mod.ts";
 *
 * const skiff = new Skiff();
 * const { stdout } = await skiff.run({ image: "host", command: ["uname", "-s"] });
 * console.log(stdout.trim()); // Linux
 * ```
 *
 * What goes on is told by iterators, and any wait can be given up:
 *
 * ```ts
 * import { Skiff } from "./mod.ts";
 *
 * using skiff = new Skiff();
 * const container = await skiff.start({ image: "host", command: ["sh", "-c", "echo one; echo two"] });
 * const decoder = new TextDecoder();
 * for await (const { bytes } of container.logs({ follow: true })) console.log(decoder.decode(bytes).trim()); // one, two
 * for await (const { action } of skiff.events({ sinceMs: 0, filter: ({ id }) => id === container.id })) {
 *   if (action === "died") break;
 * }
 * await container.remove();
 * ```
 *
 * A program needs no special flags: whatever has to fork is done by a skiff that is started for it.
 *
 * @module
 */

export { Skiff } from "./runtime/engine/program/skiff.ts";
export { Artifacts } from "./runtime/engine/program/artifacts.ts";
export { Container } from "./runtime/engine/program/container.ts";
export { Manifests } from "./runtime/engine/program/manifests.ts";
export { Networks } from "./runtime/engine/program/networks.ts";
export { Pods } from "./runtime/engine/program/pods.ts";
export { Secrets } from "./runtime/engine/program/secrets.ts";
export { Volumes } from "./runtime/engine/program/volumes.ts";
export type { Abortable, SkiffOptions } from "./runtime/engine/program/caller.ts";
export type { RunResult, Streams } from "./runtime/engine/program/session.ts";

export * from "./runtime/errors.ts";
export type { ArtifactAddOptions } from "./runtime/engine/artifact_add.ts";
export type { ArtifactExtractOptions } from "./runtime/engine/artifact_extract.ts";
export type { ArtifactTransferOptions } from "./runtime/engine/artifact_pull.ts";
export type { ArtifactDocument, ArtifactListEntry, ArtifactRmOptions } from "./runtime/engine/artifacts.ts";
export type { Attached, AttachOptions } from "./runtime/engine/attach.ts";
export type {
  BuildEvent,
  BuildOptions,
  BuildOutput,
  BuildRequest,
  BuildResult,
  ContextSource,
} from "./runtime/engine/build_options.ts";
export type { BuildCacheEntry, BuildPruned, BuildPruneOptions } from "./runtime/engine/build_prune.ts";
export type { BuildWatch } from "./runtime/engine/build_remote.ts";
export type { CloneOptions } from "./runtime/engine/clone.ts";
export type { CommitOptions } from "./runtime/engine/commit.ts";
export type { CpOptions, CpResult } from "./runtime/engine/cp.ts";
export type { Change, ChangeKind } from "./runtime/engine/diff.ts";
export type { EngineEvent, EventsOptions, EventType } from "./runtime/engine/events.ts";
export type { ExportResult } from "./runtime/engine/export.ts";
export type { HealthAnswer } from "./runtime/engine/healthcheck.ts";
export type { HistoryStep } from "./runtime/engine/history.ts";
export type { MountedImage } from "./runtime/engine/image_mount.ts";
export type { ImageTree, TreeLayer } from "./runtime/engine/image_tree.ts";
export type { ImageListEntry } from "./runtime/engine/images.ts";
export type { ImportOptions } from "./runtime/engine/import.ts";
export type { InfoDocument } from "./runtime/engine/info.ts";
export type { ContainerDocument, ImageDocument } from "./runtime/engine/inspect.ts";
export type { LoadedImage } from "./runtime/engine/load.ts";
export type { LoginOptions, LoginPair } from "./runtime/engine/login.ts";
export type { LogRecord, LogsOptions } from "./runtime/engine/logs.ts";
export type { EntryDetails, ManifestAddOptions } from "./runtime/engine/manifest_add.ts";
export type { ManifestAnnotateOptions } from "./runtime/engine/manifest_annotate.ts";
export type { ManifestArtifactOptions } from "./runtime/engine/manifest_artifact.ts";
export type { ManifestCreateOptions } from "./runtime/engine/manifest_create.ts";
export type { ManifestInspectOptions } from "./runtime/engine/manifest_inspect.ts";
export type { MountedContainer } from "./runtime/engine/mount.ts";
export type { NetworkConnectOptions } from "./runtime/engine/network_connect.ts";
export type { NetworkRmOptions } from "./runtime/engine/network_rm.ts";
export type { NetworkUpdateOptions } from "./runtime/engine/network_update.ts";
export type { NetworkCreateOptions, NetworkInfo } from "./runtime/engine/networks.ts";
export type { CreateOptions, ExecOptions } from "./runtime/engine/options.ts";
export type { PodStopOptions } from "./runtime/engine/pods/change.ts";
export type { PodCloneOptions } from "./runtime/engine/pods/clone.ts";
export type { PodStatus } from "./runtime/engine/pods/find.ts";
export type { PodInspection } from "./runtime/engine/pods/inspect.ts";
export type { PodListEntry } from "./runtime/engine/pods/list.ts";
export type { PodCreateOptions, SharedNamespace } from "./runtime/engine/pods/options.ts";
export type { PodRmOptions } from "./runtime/engine/pods/rm.ts";
export type { ContainerListEntry, PsOptions } from "./runtime/engine/ps.ts";
export type { Pruned, PruneOptions } from "./runtime/engine/prune.ts";
export type { PullOptions } from "./runtime/engine/pull.ts";
export type { PushOptions } from "./runtime/engine/push.ts";
export type { RemoteHooks } from "./runtime/engine/remote.ts";
export type { RestartOptions } from "./runtime/engine/restart.ts";
export type { RmOptions } from "./runtime/engine/rm.ts";
export type { Removal, RmiOptions, RmiResult } from "./runtime/engine/rmi.ts";
export type { SaveFormat, SaveOptions } from "./runtime/engine/save.ts";
export type { RepositoryTags, SearchOptions, SearchResult } from "./runtime/engine/search.ts";
export type { SecretCreateOptions, SecretInfo } from "./runtime/engine/secrets.ts";
export type { StopOptions } from "./runtime/engine/stop.ts";
export type { CheckOptions, Damage } from "./runtime/engine/system_check.ts";
export type { DiskUsage } from "./runtime/engine/system_df.ts";
export type { ProcessTable } from "./runtime/engine/top.ts";
export type { PortMapping, UpdateOptions } from "./runtime/engine/update.ts";
export type { VolumeRmOptions } from "./runtime/engine/volume_rm.ts";
export type { VolumeCloneOptions } from "./runtime/engine/volume_clone.ts";
export type { SnapshotInfo } from "./runtime/engine/volume_snapshots.ts";
export type { VolumeCreateOptions, VolumeInfo } from "./runtime/engine/volumes.ts";
export type { WaitOptions } from "./runtime/engine/wait.ts";
