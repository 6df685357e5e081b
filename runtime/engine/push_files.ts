/** `push` into an archive or folder. */

import { ConflictError } from "../errors.ts";
import { convertedImage } from "../image/archive/image_form.ts";
import {
  dockerArchiveFiles,
  dockerDirFiles,
  ociLayoutFiles,
  type SavedImage,
} from "../image/archive/saved_files.ts";
import { dialectOf } from "../image/convert_manifest.ts";
import { type Digest, digestOf } from "../spec/digest.ts";
import { printable } from "../spec/printable.ts";
import type { Database } from "../state/db.ts";
import type { ImageRow } from "../state/images.ts";
import type { Engine } from "./engine.ts";
import type { PushOptions } from "./push.ts";
import type { FileDestination } from "./push_destination.ts";
import { prepareFolder, saveArchive, saveFolder } from "./save.ts";
import { savedImage } from "./saved_image.ts";

interface Pushed {
  engine: Engine;
  db: Database;
  row: ImageRow;
  /** The image with packed layers, in the dialect that is wanted. */
  packed: () => Promise<SavedImage>;
}

/** @returns the digest of its manifest; none in a docker-archive, which has no manifest */
export async function writeFiles(
  { engine, db, row, packed }: Pushed,
  target: FileDestination,
  options: PushOptions,
): Promise<Digest | undefined> {
  const { transport, path, name } = target;
  const how = { output: path, signal: options.signal, progress: options.progress };
  const names = name === undefined ? [] : [name];
  if (transport === "docker-archive") {
    if (await Deno.stat(path).then(({ isFile, size }) => isFile && size > 0, () => false)) {
      throw new ConflictError(
        `push to "docker-archive:${
          printable(path)
        }": docker-archive doesn't support modifying existing images`,
      );
    }
    const image = { ...await savedImage(engine, db, row, names), names };
    await saveArchive(engine, dockerArchiveFiles([image]), how);
    return undefined;
  }
  const isPacked = transport !== "dir" || options.compress || options.packing !== undefined ||
    options.encryption !== undefined;
  const image = isPacked
    ? await packed()
    : convertedImage(await savedImage(engine, db, row, []), options.format);
  if (transport === "dir") {
    await prepareFolder(path, "docker-dir");
    await saveFolder(engine, await dockerDirFiles(image, dialectOf(image.manifestType)), path, how);
    return await digestOf(image.manifestBytes);
  }
  const named = { ...convertedImage(image, "oci"), names };
  if (transport === "oci-archive") await saveArchive(engine, await ociLayoutFiles([named]), how);
  else {
    const before = await prepareFolder(path, "oci-dir");
    await saveFolder(engine, await ociLayoutFiles([named], before), path, how);
  }
  return await digestOf(named.manifestBytes);
}
