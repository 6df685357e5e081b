/**
 * The document of `image inspect`, with the keys of Docker's and of Podman's. Pure.
 *
 * @see podman-image-inspect(1); Docker Engine API, ImageInspect
 */

import type { ImageConfig } from "../spec/image.ts";
import type { ImageRow } from "../state/images.ts";

export interface ImageFacts {
  names: string[];
  repoDigests: string[];
  manifestType: string;
  annotations: Record<string, string>;
}

export type ImageDocument = ReturnType<typeof imageDocument>;

export function imageDocument(image: ImageRow, facts: ImageFacts) {
  const config: ImageConfig = JSON.parse(image.config);
  const run = config.config ?? {};
  return {
    Id: image.id,
    Digest: image.digest,
    RepoTags: facts.names,
    RepoDigests: facts.repoDigests,
    Parent: "",
    Comment: config.history?.at(-1)?.comment ?? "",
    Created: image.created,
    Config: run,
    Version: "",
    Author: config.author ?? "",
    Architecture: image.architecture,
    Variant: config.variant ?? "",
    Os: image.os,
    Size: image.size,
    VirtualSize: image.size,
    GraphDriver: { Name: "overlay", Data: null },
    RootFS: { Type: "layers", Layers: config.rootfs.diff_ids },
    Metadata: { LastTagTime: image.recordedAt },
    Labels: run.Labels ?? null,
    Annotations: facts.annotations,
    ManifestType: facts.manifestType,
    User: run.User ?? "",
    History: config.history ?? [],
    NamesHistory: facts.names,
    Healthcheck: run.Healthcheck ?? null,
  };
}
