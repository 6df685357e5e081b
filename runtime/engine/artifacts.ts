/** `artifact ls`, `artifact inspect` and `artifact rm`. */

import { InvalidArgumentError, NotFoundError } from "../errors.ts";
import { parseName } from "../image/reference.ts";
import type { Digest } from "../spec/digest.ts";
import { deleteArtifact, listArtifacts } from "../state/artifacts.ts";
import { readBlob } from "../storage/blobs.ts";
import { getArtifact } from "./artifact_store.ts";
import type { Engine } from "./engine.ts";
import { collectImageGarbage } from "./garbage.ts";

export interface ArtifactListEntry {
  Name: string;
  Repository: string;
  Tag: string;
  Digest: string;
  /** Bytes. */
  Size: number;
  /** When it came into the store. */
  Created: string;
}

export interface ArtifactDocument {
  Manifest: unknown;
  Name: string;
  Digest: string;
}

/** By name. */
export async function artifacts(engine: Engine): Promise<ArtifactListEntry[]> {
  return listArtifacts(await engine.database()).map(({ name, digest, size, recordedAt }) => {
    const { domain, path, tag = "<none>" } = parseName(name);
    return {
      Name: name,
      Repository: `${domain}/${path}`,
      Tag: tag,
      Digest: digest,
      Size: size,
      Created: recordedAt,
    };
  });
}

export async function artifactInspect(engine: Engine, text: string): Promise<ArtifactDocument> {
  const { name, digest } = getArtifact(await engine.database(), text);
  const bytes = await readBlob(engine.folders, digest as Digest);
  return { Manifest: JSON.parse(new TextDecoder().decode(bytes)), Name: name, Digest: digest };
}

export interface ArtifactRmOptions {
  all?: boolean;
  /** No error where there is no such artifact. */
  ignore?: boolean;
}

/** @returns the digests of what is gone */
export async function artifactRm(
  engine: Engine,
  words: readonly string[],
  { all, ignore }: ArtifactRmOptions = {},
): Promise<{ removed: string[]; errors: Error[] }> {
  if (all && words.length > 0) {
    throw new InvalidArgumentError(
      "when using the --all switch, you may not pass any artifact names or digests",
    );
  }
  if (!all && words.length === 0) throw new InvalidArgumentError("a single argument must be specified");
  const db = await engine.database();
  const removed: string[] = [];
  const errors: Error[] = [];
  for (const text of all ? listArtifacts(db).map(({ name }) => name) : words) {
    try {
      const { name, digest } = getArtifact(db, text);
      if (await db.transaction(() => deleteArtifact(db, name))) removed.push(digest);
    } catch (error) {
      if (!(ignore && error instanceof NotFoundError)) errors.push(error as Error);
    }
  }
  await collectImageGarbage(engine);
  return { removed, errors };
}
