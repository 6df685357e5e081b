/** What the verbs of `artifact` share: names, and manifests with their files. */

import { ConflictError, NotFoundError, SkiffError } from "../errors.ts";
import { parseManifestDocument } from "../image/manifest.ts";
import { formatReference, parseName, qualify, withDefaultTag } from "../image/reference.ts";
import { type Digest, digestHex } from "../spec/digest.ts";
import type { Manifest } from "../spec/image.ts";
import { printable } from "../spec/printable.ts";
import { type ArtifactRow, findArtifact, listArtifacts } from "../state/artifacts.ts";
import type { Database } from "../state/db.ts";
import { readBlob } from "../storage/blobs.ts";
import type { Engine } from "./engine.ts";

/** The annotation with the name of a file. @see OCI image-spec annotations.md */
export const TITLE = "org.opencontainers.image.title";

/** In full: a name without a registry is of this machine. */
export function artifactName(text: string): string {
  try {
    return formatReference(withDefaultTag(qualify(parseName(text), "localhost")));
  } catch (cause) {
    throw new SkiffError(`Invalid image ${printable(text)}`, { cause });
  }
}

/** By name, digest, or the beginning of one. @throws {NotFoundError}, {ConflictError} where it may be several */
export function getArtifact(db: Database, text: string): ArtifactRow {
  const named = namesFor(text).map((name) => findArtifact(db, name)).find((row) => row !== undefined);
  if (named !== undefined) return named;
  const rows = listArtifacts(db);
  const suffix = rows.filter(({ name }) => name.endsWith(`/${text}`) || name.endsWith(`/${text}:latest`));
  if (suffix.length === 1) return suffix[0]!;
  const hex = /^(?:sha256:)?([0-9a-f]{3,64})$/.exec(text)?.[1];
  const byDigest = hex === undefined
    ? []
    : rows.filter(({ digest }) => digestHex(digest as Digest).startsWith(hex));
  if (new Set(byDigest.map(({ digest }) => digest)).size > 1) {
    throw new ConflictError(`find artifact "${text}": more than one digest begins with it`);
  }
  if (byDigest[0] !== undefined) return byDigest[0];
  throw new NotFoundError("image", text, {
    message: `no artifact found with name or digest of ${printable(text)}`,
  });
}

function namesFor(text: string): string[] {
  try {
    const parts = parseName(text);
    const domains = parts.domain === undefined ? ["localhost", "docker.io"] : [parts.domain];
    return domains.map((domain) => formatReference(withDefaultTag(qualify(parts, domain))));
  } catch {
    // a digest's beginning, or nothing that there is
    return [];
  }
}

export async function readArtifact(
  engine: Engine,
  { name, digest }: ArtifactRow,
): Promise<{ bytes: Uint8Array; mediaType: string; manifest: Manifest }> {
  const bytes = await readBlob(engine.folders, digest as Digest);
  const document = parseManifestDocument(`manifest of ${name}`, bytes, "");
  if (document.kind !== "manifest") throw new SkiffError(`read artifact ${name}: it is an index`);
  return { bytes, mediaType: document.mediaType, manifest: document.manifest };
}

/** The row of a manifest whose blobs are in the store. */
export function artifactRow(
  name: string,
  digest: Digest,
  { config, layers }: Pick<Manifest, "config" | "layers">,
): ArtifactRow {
  return {
    name,
    digest,
    blobs: [...new Set([config.digest, ...layers.map((layer) => layer.digest)])],
    size: layers.reduce((sum, layer) => sum + layer.size, 0),
    recordedAt: new Date().toISOString(),
  };
}
