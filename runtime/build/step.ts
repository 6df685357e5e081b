/**
 * The steps of a build as plain data: what the planner makes of a Dockerfile, the solver keys and orders, and the
 * executors perform. Every word is expanded, every path cleaned and absolute, every default filled in.
 */

import type { Digest } from "../spec/digest.ts";
import type { ImageConfig, Platform } from "../spec/image.ts";
import type { Heredoc, Location } from "./dockerfile/ast.ts";
import type { BuildOptions } from "./options.ts";

/** One layer of a result. It is unpacked in the store; `blob` says whether its archive is there as well. */
export interface BuiltLayer {
  diffId: Digest;
  /** Of the archive as it is in the store; that of a layer we made is plain, so its digest is the diff id. */
  digest: Digest;
  size: number;
  mediaType: string;
}

/** A file tree: layers, the lowest first. `scratch` has none. */
export interface Snapshot {
  layers: readonly BuiltLayer[];
}

/** An image that a stage begins with, or files are taken from. */
export interface BaseImage {
  /** As resolved: `docker.io/library/debian:12`. */
  name: string;
  /** Hex id of the config in the store. */
  id: string;
  /** Of the manifest. */
  digest: Digest;
  config: ImageConfig;
  snapshot: Snapshot;
}

/** Where files are taken from. */
export type FileSource =
  /** An empty tree. */
  | StepBaseSource
  /** The result of another step. */
  | { kind: "step"; step: StepId }
  | { kind: "image"; image: BaseImage }
  /** The build context (`name` undefined) or one given by `--build-context`, already opened. */
  | { kind: "context"; name?: string }
  /** Of an ADD: fetched into the store before. */
  | { kind: "http"; url: string; checksum?: Digest }
  | { kind: "git"; url: string; keepGitDir: boolean; checksum?: string }
  | { kind: "heredoc"; heredoc: Heredoc; content: string };

/** Index into `BuildGraph.steps`. */
export type StepId = number;

/** What a step stands on: nothing, an image's files, or what another step made. */
export type StepBase = { kind: "scratch" } | { kind: "image"; image: BaseImage } | {
  kind: "step";
  step: StepId;
};

/** Names and places in the Dockerfile, for progress and errors. */
export interface StepOrigin {
  /** `[build 3/7] RUN make`. */
  name: string;
  /** The stage's name or number. */
  stage: string;
  location: Location;
}

export type RunMount =
  | { type: "bind"; target: string; from: FileSource | StepBaseSource; source: string; readWrite: boolean }
  | {
    type: "cache";
    target: string;
    id: string;
    from?: FileSource;
    source: string;
    readOnly: boolean;
    sharing: "shared" | "private" | "locked";
    mode: number;
    uid: number;
    gid: number;
  }
  | { type: "tmpfs"; target: string; sizeBytes?: number }
  | {
    type: "secret";
    id: string;
    /** Undefined: only the variable. */
    target?: string;
    env?: string;
    required: boolean;
    mode: number;
    uid: number;
    gid: number;
  }
  | { type: "ssh"; id: string; target: string; required: boolean; mode: number; uid: number; gid: number };

/** A mount of an empty tree (`from` of nothing). */
export interface StepBaseSource {
  kind: "scratch";
}

export interface RunStep {
  kind: "run";
  base: StepBase;
  argv: string[];
  /** `KEY=value`, PATH and build arguments among them. */
  env: string[];
  /** The same for proxies that were given without being declared: in no key and no history. The solver adds them. */
  proxyEnv: string[];
  workdir: string;
  user: string;
  mounts: RunMount[];
  network: "default" | "none" | "host" | string;
  security: "sandbox" | "insecure";
  /** Scripts of heredocs that are run as files, read-only at their path. */
  scripts: { path: string; content: string; mode: number }[];
  /** Of the sandbox, where it is not the usual one. */
  hostname?: string;
  /** From the options: `--add-host`, `--shm-size`, `--ulimit`, `--dns` … ; not in the cache's key. */
  hosts: string[];
  platform: Platform;
  /** By their CDI names, or those of a class or group of devices. */
  devices?: { name: string; isRequired: boolean }[];
}

export interface CopySourceItem {
  from: FileSource;
  /** A path or pattern below the source's root; "/" for http, git and heredoc. */
  pattern: string;
}

export interface CopyStep {
  kind: "copy";
  base: StepBase;
  add: boolean;
  sources: CopySourceItem[];
  /** Absolute; ends in "/" where it must be a folder. */
  destination: string;
  /** `user[:group]`, names looked up in the base's /etc/passwd; undefined keeps 0:0. */
  chown?: string;
  /** Octal, or symbolic as chmod(1) has it. */
  chmod?: string;
  link: boolean;
  parents: boolean;
  exclude: string[];
  unpack?: boolean;
}

/** WORKDIR: the folder is made where it is missing. */
export interface MkdirStep {
  kind: "mkdir";
  base: StepBase;
  path: string;
  /** The stage's USER at that point owns what is made (as BuildKit does), "" is root. */
  user: string;
}

export type Step = (RunStep | CopyStep | MkdirStep) & { origin: StepOrigin };

/** All that a build does. Steps come after what they stand on. */
export interface BuildGraph {
  steps: Step[];
  /** What the target stage comes to. */
  result: StepBase;
  /** The image's document but for `rootfs.diff_ids`; its history says by `step` which entries have layers. */
  config: ImageConfig;
  /** For each entry of `config.history`: the step whose layer it is, or null for an empty one. */
  historySteps: (StepId | null)[];
  /** The image that the target stage began with, for its layers and history. */
  base?: BaseImage;
  /** The images that stages begin with: `[build 1/4] FROM docker.io/library/debian:12@sha256:…`. */
  images: { image: BaseImage; origin: StepOrigin }[];
  /** Build arguments that no ARG asks for. */
  unusedArgs: string[];
}

/** What an executor is given beside its step. */
export interface StepContext {
  signal: AbortSignal;
  /** Bytes as the program wrote them; 1 is stdout, 2 is stderr. */
  log(stream: 1 | 2, bytes: Uint8Array): void;
  /** `--timestamp`, `SOURCE_DATE_EPOCH`: seconds since 1970. */
  times?: LayerTimes;
  /** The layer is one of the image's: its archive is wanted in the store as well. */
  keepBlob: boolean;
  /** What a RUN takes its secrets, agents, limits and hosts from. */
  options: BuildOptions;
}

/** `all`: every entry gets that time (`--timestamp`); `later`: only what is younger (`SOURCE_DATE_EPOCH`). */
export interface LayerTimes {
  seconds: number;
  apply: "all" | "later";
}

/** A file source when its step has been solved. */
export type SourceTree =
  | { kind: "snapshot"; snapshot: Snapshot }
  /** A folder of the host, with the patterns of its .dockerignore. */
  | { kind: "folder"; path: string; ignore: readonly string[] }
  /** A file of ours: downloaded, or made of a heredoc. */
  | { kind: "file"; path: string; name: string; mode: number; mtimeSec: number };
