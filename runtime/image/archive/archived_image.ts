/** An image as an archive describes it: documents read and checked, layers still to be read. */

import { VerificationError } from "../../errors.ts";
import type { Digest } from "../../spec/digest.ts";
import type { ImageConfig, Platform } from "../../spec/image.ts";
import { printable } from "../../spec/printable.ts";
import { formatReference, parseName, qualify, withDefaultTag } from "../reference.ts";
import { type ImageSource, noImageArchive, type Part } from "./source.ts";

export interface ArchivedLayer {
  part: Part;
  mediaType: string;
  /** Of the part's bytes; absent where the archive does not say, as for compressed layers of a docker-archive. */
  digest?: Digest;
  diffId: Digest;
}

/** A document as its bytes, which are what its digest is of. */
export interface ArchivedDocument {
  bytes: Uint8Array;
  digest: Digest;
}

export interface ArchivedImage {
  /** What errors call it: a name, else the beginning of its id. */
  what: string;
  /** In full: `localhost/web:1`. */
  names: string[];
  /** Absent in a docker-archive: one is made when the layers' digests are known. */
  manifest?: ArchivedDocument;
  config: ArchivedDocument & { document: ImageConfig };
  /** Lowest first. */
  layers: ArchivedLayer[];
}

/**
 * The images of an archive or folder, whatever its format is.
 * @param wanted which of an index's images is meant; by default this machine's
 * @param reference of a layout: the only one that is wanted
 */
export async function readArchivedImages(
  source: ImageSource,
  wanted?: Platform,
  reference?: string,
): Promise<ArchivedImage[]> {
  if (isOciLayout(source)) {
    return await (await import("./oci_layout.ts")).readOciLayout(source, wanted, reference);
  }
  if (source.find("manifest.json") === undefined) {
    throw noImageArchive(source.name, "it has neither manifest.json nor index.json");
  }
  if (source.folder !== undefined && source.find("version") !== undefined) {
    return [await (await import("./docker_dir.ts")).readDockerDir(source)];
  }
  return await (await import("./docker_archive.ts")).readDockerArchive(source);
}

export function isOciLayout(source: ImageSource): boolean {
  return source.find("oci-layout") !== undefined && source.find("index.json") !== undefined;
}

/**
 * The full name for what an archive calls an image.
 * @param domain of names without a registry: docker.io for Docker's tags, localhost for podman's
 */
export function fullName(source: ImageSource, text: string, domain: string): string {
  try {
    const parts = parseName(text);
    return formatReference(withDefaultTag(qualify({ ...parts, digest: undefined }, domain)));
  } catch (cause) {
    throw new VerificationError(
      `load "${printable(source.name)}": an image in it has the malformed name "${printable(text, 100)}"`,
      { cause },
    );
  }
}

/** The name that a folder's image gets, as podman gives it: `localhost/tmp/web:latest`; none where that is no name. */
export function nameOfFolder(folder: string): string[] {
  try {
    return [formatReference(withDefaultTag(qualify(parseName(folder.replace(/^\/+/, "")), "localhost")))];
  } catch {
    return [];
  }
}
