/**
 * The documents of an image: descriptors, manifests, indexes, configs; OCI and Docker schema 2.
 * Types and constants only; `image_parse.ts` reads hostile JSON into them.
 *
 * @see OCI image-spec manifest.md, image-index.md, config.md; Docker "Image Manifest V2, Schema 2"
 */
import type { Digest } from "./digest.ts";

export const MEDIA_TYPE = {
  ociIndex: "application/vnd.oci.image.index.v1+json",
  ociManifest: "application/vnd.oci.image.manifest.v1+json",
  ociConfig: "application/vnd.oci.image.config.v1+json",
  ociLayer: "application/vnd.oci.image.layer.v1.tar",
  ociLayerGzip: "application/vnd.oci.image.layer.v1.tar+gzip",
  ociLayerZstd: "application/vnd.oci.image.layer.v1.tar+zstd",
  dockerList: "application/vnd.docker.distribution.manifest.list.v2+json",
  dockerManifest: "application/vnd.docker.distribution.manifest.v2+json",
  dockerConfig: "application/vnd.docker.container.image.v1+json",
  dockerLayer: "application/vnd.docker.image.rootfs.diff.tar",
  dockerLayerGzip: "application/vnd.docker.image.rootfs.diff.tar.gzip",
  dockerLayerZstd: "application/vnd.docker.image.rootfs.diff.tar.zstd",
} as const;

export const INDEX_MEDIA_TYPES: readonly string[] = [MEDIA_TYPE.ociIndex, MEDIA_TYPE.dockerList];
export const MANIFEST_MEDIA_TYPES: readonly string[] = [MEDIA_TYPE.ociManifest, MEDIA_TYPE.dockerManifest];
export const CONFIG_MEDIA_TYPES: readonly string[] = [MEDIA_TYPE.ociConfig, MEDIA_TYPE.dockerConfig];

/** How a layer of each media type is packed. What is not here is no layer that skiff unpacks. */
export const LAYER_COMPRESSION: Readonly<Record<string, "none" | "gzip" | "zstd">> = {
  [MEDIA_TYPE.ociLayer]: "none",
  [MEDIA_TYPE.ociLayerGzip]: "gzip",
  [MEDIA_TYPE.ociLayerZstd]: "zstd",
  [MEDIA_TYPE.dockerLayer]: "none",
  [MEDIA_TYPE.dockerLayerGzip]: "gzip",
  [MEDIA_TYPE.dockerLayerZstd]: "zstd",
};

/** At the end of a layer's media type: its bytes are encrypted. @see containers/ocicrypt, spec/spec.go */
export const ENCRYPTED_SUFFIX = "+encrypted";

/** Bounds on what a registry may send; far above what real images have. */
export const DOCUMENT_LIMITS = {
  /** containerd and the distribution-spec stop at 4 MiB for manifests as well. */
  manifestBytes: 4 << 20,
  configBytes: 8 << 20,
  layers: 1024,
  indexEntries: 4096,
  /** An index inside an index inside an index. */
  indexDepth: 3,
} as const;

export interface Platform {
  os: string;
  architecture: string;
  variant?: string;
  osVersion?: string;
  osFeatures?: string[];
  /** Of Docker's lists. */
  features?: string[];
}

export interface Descriptor {
  mediaType: string;
  digest: Digest;
  size: number;
  urls?: string[];
  annotations?: Record<string, string>;
  platform?: Platform;
  artifactType?: string;
  /** The content itself, in base64; written by us, believed of nobody. */
  data?: string;
}

export interface Manifest {
  schemaVersion: 2;
  mediaType?: string;
  artifactType?: string;
  config: Descriptor;
  layers: Descriptor[];
  annotations?: Record<string, string>;
}

export interface Index {
  schemaVersion: 2;
  mediaType?: string;
  artifactType?: string;
  manifests: Descriptor[];
  subject?: Descriptor;
  annotations?: Record<string, string>;
}

/** Nanoseconds, as Docker keeps them. */
export interface Healthcheck {
  Test?: string[];
  Interval?: number;
  Timeout?: number;
  StartPeriod?: number;
  StartInterval?: number;
  Retries?: number;
}

/** The part of a config that says how to run the image. */
export interface ImageRunConfig {
  User?: string;
  ExposedPorts?: Record<string, Record<string, never>>;
  Env?: string[];
  Entrypoint?: string[];
  Cmd?: string[];
  Volumes?: Record<string, Record<string, never>>;
  WorkingDir?: string;
  Labels?: Record<string, string>;
  StopSignal?: string;
  Healthcheck?: Healthcheck;
  Shell?: string[];
  OnBuild?: string[];
}

export interface HistoryEntry {
  created?: string;
  created_by?: string;
  author?: string;
  comment?: string;
  empty_layer?: boolean;
}

export interface ImageConfig {
  created?: string;
  author?: string;
  architecture: string;
  variant?: string;
  os: string;
  "os.version"?: string;
  config?: ImageRunConfig;
  rootfs: { type: "layers"; diff_ids: Digest[] };
  history?: HistoryEntry[];
}
