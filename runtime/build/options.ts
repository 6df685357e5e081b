/** What a build is asked for: by the command line, the library, and later the API. Plain data, validated for shape. */

import type { PullPolicy } from "../container/options.ts";

/** Where the context, or one more of `--build-context`, comes from. */
export type ContextSource =
  | { kind: "folder"; path: string }
  /** A tar (packed or not), or a Dockerfile, on a descriptor: `-`. */
  | { kind: "stdin"; fd: number }
  /** http(s): a tar or a Dockerfile. */
  | { kind: "url"; url: string }
  | { kind: "git"; url: string }
  /** `docker-image://NAME`, of `--build-context` only. */
  | { kind: "image"; name: string }
  /** `oci-layout://PATH[@digest|:tag]`. */
  | { kind: "oci-layout"; path: string; reference?: string };

export interface SecretSource {
  id: string;
  from: { kind: "file"; path: string } | { kind: "env"; name: string };
}

export interface SshSource {
  id: string;
  /** Sockets or key files; none: $SSH_AUTH_SOCK. */
  paths: string[];
}

export interface ImageOutput {
  type: "image";
  /** With `byDigest` repositories, without a tag. */
  names: string[];
  push: boolean;
  /** It is pushed, and gets no name. */
  byDigest?: boolean;
  /** The registry may be without a certificate, whatever `tlsVerify` says. */
  insecure?: boolean;
  /** Of what is pushed. */
  compression?: LayerCompression;
  level?: number;
}

export type BuildOutput =
  /** Nothing but the cache. */
  | { type: "cacheonly" }
  | ImageOutput
  /** Several platforms are in a folder each, or with `merge` in one. */
  | { type: "local"; dest: string; merge?: boolean }
  /** `-` is standard output. */
  | { type: "tar"; dest: string }
  /** `names` instead of the tags; `asFolder` what would be in the tar. */
  | {
    type: "oci" | "docker";
    dest: string;
    asFolder?: boolean;
    names?: string[];
    compression?: LayerCompression;
    level?: number;
  };

/** Of layers in what is written out; those of a base image stay as they are. */
export type LayerCompression = "gzip" | "zstd" | "uncompressed";

export type CacheTarget =
  | { type: "local"; path: string; mode: "min" | "max"; ignoreError?: boolean }
  | { type: "registry"; reference: string; mode: "min" | "max"; ignoreError?: boolean }
  | { type: "inline" };

/** A path on the host (or `-`'s descriptor, or an address), or a path in the context where that is no folder. */
export type DockerfileSource =
  | { kind: "path"; path: string }
  | { kind: "stdin"; fd: number }
  | { kind: "url"; url: string };

export interface BuildOptions {
  context: ContextSource;
  /** `-f` */
  dockerfile?: DockerfileSource;
  /** Further ones, which are read as if they were written below it. */
  moreDockerfiles?: DockerfileSource[];
  /** `-t`, in full. */
  tags: string[];
  /** `--manifest`: a list that what is built is added to. */
  manifest?: string;
  target?: string;
  buildArgs: Record<string, string>;
  contexts: Record<string, ContextSource>;
  secrets: SecretSource[];
  ssh: SshSource[];
  labels: Record<string, string>;
  annotations: Record<string, string>;
  /** One, or several for an index. */
  platforms: string[];
  pull: PullPolicy;
  noCache: boolean;
  /** `--no-cache-filter`: stages. */
  noCacheFilter: string[];
  /** `--cache-ttl`: what was made longer ago is made again. */
  cacheTtlMs?: number;
  cacheFrom: CacheTarget[];
  cacheTo: CacheTarget[];
  /** `--squash`: this build's layers become one; `--squash-all`: all of them. */
  squash?: "new" | "all";
  outputs: BuildOutput[];
  network?: string;
  addHosts: string[];
  noHosts: boolean;
  noHostname: boolean;
  dns: string[];
  dnsSearch: string[];
  dnsOptions: string[];
  ulimits: string[];
  shmSize?: number;
  capAdd: string[];
  capDrop: string[];
  securityOpt: string[];
  devices: string[];
  groupAdd: string[];
  /** Namespaces of steps: `host` or `ns:PATH`; undefined: their own. */
  pid?: string;
  ipc?: string;
  uts?: string;
  cgroupns?: string;
  volumes: string[];
  /** `--allow`: network.host, security.insecure, device, device=NAME. */
  allow: string[];
  /** `--timestamp`, seconds since 1970. */
  timestamp?: number;
  /** SOURCE_DATE_EPOCH of the environment or of `--build-arg`. */
  sourceDateEpoch?: number;
  /** `--rewrite-timestamp` of an output. */
  identityLabel?: boolean;
  format: "oci" | "docker";
  /** `--from`: instead of the image of the first FROM. */
  from?: string;
  /** `--env`: `KEY=value`, as by ENV at the beginning of the target stage's own instructions. */
  env: string[];
  /** `--unsetenv`, `--unsetlabel`: names that the image shall not have. */
  unsetEnv: string[];
  unsetLabel: string[];
  omitHistory: boolean;
  tlsVerify?: boolean;
  authFile?: string;
  /** Instead of a login of the auth files. */
  credentials?: { username: string; password: string };
  /** Certificates are there instead of in certs.d. */
  certDir?: string;
  /** For encrypted base images, `FILE[:PASSPHRASE]`. */
  decryptionKeys?: string[];
  /** Of pulling a base image: further attempts after one that failed. */
  retries?: number;
  retryDelayMs?: number;
  /** `--check`: look for faults and build nothing. */
  checkOnly: boolean;
  /** More than that is not kept of earlier builds, in bytes; 0 is no limit. By default a share of the file system. */
  cacheLimitBytes?: number;
  /** Steps at once; by default as many as there are processors. */
  jobs?: number;
  /** `--ignorefile` */
  ignoreFile?: string;
}

export interface BuildResult {
  /** Hex, of the config; undefined where no image was asked for. */
  imageId?: string;
  /** Of the manifest, or of the index where several platforms were built. */
  digest?: string;
  names: string[];
  /** What `--metadata-file` gets, in the words of buildx. */
  metadata: Record<string, unknown>;
}
