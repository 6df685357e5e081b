/**
 * Reads a docker-archive: `manifest.json`, which names a config, layers and tags for each image.
 *
 * @see https://github.com/moby/docker-image-spec/blob/main/spec.md, combined image JSON + filesystem changeset format
 */

import * as v from "valibot";
import { readFully } from "../../archive/chunks.ts";
import { type Compression, sniffCompression } from "../../archive/compression.ts";
import { fileRange } from "../../archive/file_chunks.ts";
import { VerificationError } from "../../errors.ts";
import { type Digest, digestOf, isDigest } from "../../spec/digest.ts";
import { DOCUMENT_LIMITS, MEDIA_TYPE } from "../../spec/image.ts";
import { parseImageConfig, parseJson } from "../../spec/image_parse.ts";
import { printable } from "../../spec/printable.ts";
import { type ArchivedImage, type ArchivedLayer, fullName } from "./archived_image.ts";
import { type ImageSource, type Part, readDocument } from "./source.ts";

const MAX_IMAGES = 4096;

const name = v.pipe(v.string(), v.maxLength(4096));
const manifestSchema = v.pipe(
  v.array(v.object({
    Config: name,
    RepoTags: v.nullish(v.pipe(v.array(name), v.maxLength(4096))),
    Layers: v.nullish(v.pipe(v.array(name), v.maxLength(DOCUMENT_LIMITS.layers, "too many layers"))),
  })),
  v.maxLength(MAX_IMAGES, "too many images"),
);

const MEDIA_TYPES: Record<Compression, string> = {
  none: MEDIA_TYPE.dockerLayer,
  gzip: MEDIA_TYPE.dockerLayerGzip,
  zstd: MEDIA_TYPE.dockerLayerZstd,
};

export async function readDockerArchive(source: ImageSource): Promise<ArchivedImage[]> {
  const images: ArchivedImage[] = [];
  for (const item of readManifestJson(source)) {
    const names = (item.RepoTags ?? []).map((tag) => fullName(source, tag, "docker.io"));
    const what = names[0] ?? item.Config.slice(0, 19);
    const bytes = readDocument(
      `config of ${what}`,
      findFile(source, item.Config),
      DOCUMENT_LIMITS.configBytes,
    );
    const document = parseImageConfig(`config of ${what}`, bytes);
    const files = item.Layers ?? [];
    const diffIds = document.rootfs.diff_ids;
    if (files.length !== diffIds.length) {
      throw new VerificationError(
        `use ${what}: it has ${files.length} layers but its config names ${diffIds.length}`,
      );
    }
    images.push({
      what,
      names,
      config: { bytes, digest: await digestOf(bytes), document },
      layers: files.map((file, at) => describeLayer(source, findFile(source, file), diffIds[at]!)),
    });
  }
  return images;
}

/** The tags that a manifest.json beside an OCI layout gives, by the digest of the config. */
export function tagsByConfig(source: ImageSource): Map<Digest, string[]> {
  const tags = new Map<Digest, string[]>();
  for (const { Config, RepoTags } of readManifestJson(source)) {
    const digest = `sha256:${/([0-9a-f]{64})(\.json)?$/.exec(Config)?.[1]}`;
    if (isDigest(digest)) tags.set(digest, (RepoTags ?? []).map((tag) => fullName(source, tag, "docker.io")));
  }
  return tags;
}

/** A layer that is not packed has the diff id as its digest. */
function describeLayer(source: ImageSource, part: Part, diffId: Digest): ArchivedLayer {
  const start = new Uint8Array(8);
  const length = readFully(fileRange(part.fd, part.offset, part.size), start);
  const compression = sniffCompression(
    `load "${printable(source.name)}": layer ${diffId.slice(0, 19)}`,
    start.subarray(0, length),
  );
  const digest = compression === "none" ? diffId : undefined;
  return { part, diffId, mediaType: MEDIA_TYPES[compression], ...(digest === undefined ? {} : { digest }) };
}

function readManifestJson(source: ImageSource) {
  const what = `manifest.json of ${printable(source.name)}`;
  const bytes = readDocument(what, source.find("manifest.json")!, DOCUMENT_LIMITS.manifestBytes);
  const result = v.safeParse(manifestSchema, parseJson(what, bytes), { abortEarly: true });
  if (result.success) return result.output;
  const path = v.getDotPath(result.issues[0]);
  throw new VerificationError(
    `read ${what}: ${path === null ? "" : `${path}: `}${printable(result.issues[0].message)}`,
  );
}

function findFile(source: ImageSource, file: string): Part {
  const part = source.find(file);
  if (part !== undefined) return part;
  throw new VerificationError(`load "${printable(source.name)}": ${printable(file, 100)} is not in it`);
}
