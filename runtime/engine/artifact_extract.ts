/**
 * `artifact extract`: files of an artifact into a folder or to a path. Whoever made the artifact has chosen their titles:
 * a title is one name in the folder and nothing else, and takes the place of what has that name, link or not.
 */

import { hostReason, InvalidArgumentError, NotFoundError, SkiffError, VerificationError } from "../errors.ts";
import { type Digest, digestAlgorithm } from "../spec/digest.ts";
import type { Descriptor } from "../spec/image.ts";
import { printable } from "../spec/printable.ts";
import { blobPath } from "../storage/blobs.ts";
import { getArtifact, readArtifact, TITLE } from "./artifact_store.ts";
import type { Engine } from "./engine.ts";

export interface ArtifactExtractOptions {
  /** Only this file. */
  digest?: string;
  title?: string;
}

/** Writes nothing where one of the files cannot be written under its title. */
export async function artifactExtract(
  engine: Engine,
  text: string,
  target: string,
  { digest, title }: ArtifactExtractOptions = {},
): Promise<void> {
  if (digest !== undefined && title !== undefined) {
    throw new InvalidArgumentError("cannot specify both digest and title");
  }
  const row = getArtifact(await engine.database(), text);
  const { manifest: { layers } } = await readArtifact(engine, row);
  const chosen = layers.filter((layer) =>
    digest !== undefined
      ? layer.digest === digest
      : title === undefined || layer.annotations?.[TITLE] === title
  );
  if (chosen.length === 0 && (digest ?? title) !== undefined) {
    throw new NotFoundError("file", printable(digest ?? title!), {
      message: digest !== undefined
        ? `no blob with the digest "${printable(digest)}"`
        : `no blob with the title "${printable(title!)}"`,
    });
  }
  const info = await Deno.stat(target).catch(() => null);
  if (info?.isDirectory) {
    const named = chosen.map((layer) => ({ layer, name: fileName(layer, digest !== undefined) }));
    const twice = named.find(({ name }, at) => named.findIndex((other) => other.name === name) !== at);
    if (twice !== undefined) {
      throw new InvalidArgumentError(
        `extract ${row.name}: two files are called ${JSON.stringify(twice.name)}`,
        {
          hint: "choose one by --digest",
        },
      );
    }
    for (const { layer, name } of named) await extractFile(engine, layer, `${target}/${name}`);
    return;
  }
  if (chosen.length !== 1) {
    throw new InvalidArgumentError(
      `the artifact consists of ${chosen.length === 0 ? "no blobs" : "several blobs"} and the target ` +
        `"${
          printable(target)
        }" is not a directory and neither digest or title was specified to only copy a ` +
        "single blob",
    );
  }
  if (info !== null && !info.isFile) return await writeInto(engine, chosen[0]!, target);
  await extractFile(engine, chosen[0]!, info === null ? target : await Deno.realPath(target));
}

/** @throws {VerificationError} for a title that is no name of a file */
export function fileName({ annotations, digest }: Descriptor, isByDigest: boolean): string {
  const title = annotations?.[TITLE];
  if (isByDigest || title === undefined || title === "") return digest.replace(":", "-");
  const why = title.includes("/") ? "it has a slash" : title === "." || title === ".."
    ? "it is a folder"
    // deno-lint-ignore no-control-regex
    : /[\x00-\x1f\x7f-\x9f]/.test(title)
    ? "it has control characters"
    : new TextEncoder().encode(title).length > 255
    ? "it is too long"
    : undefined;
  if (why === undefined) return title;
  throw new VerificationError(`extract a file called ${JSON.stringify(printable(title, 200))}: ${why}`, {
    hint: `choose it by --digest ${digest}`,
  });
}

/** By way of a file beside it: half of one is never seen, and nothing is written through a link. */
async function extractFile(engine: Engine, layer: Descriptor, path: string): Promise<void> {
  const slash = path.lastIndexOf("/");
  const folder = slash < 0 ? "." : path.slice(0, slash) || "/";
  const temporary = `${folder}/.skiff-${crypto.randomUUID()}`;
  try {
    {
      using to = await Deno.open(temporary, { write: true, createNew: true, mode: 0o644 });
      await copyBlob(engine, layer, to);
    }
    await Deno.rename(temporary, path);
  } catch (cause) {
    await Deno.remove(temporary).catch(() => {});
    if (cause instanceof SkiffError) throw cause;
    throw new SkiffError(`write ${printable(path)}: ${hostReason(cause)}`, { cause });
  }
}

/** Into what cannot be replaced: a device or a named pipe of the user. */
async function writeInto(engine: Engine, layer: Descriptor, path: string): Promise<void> {
  using to = await Deno.open(path, { write: true });
  await copyBlob(engine, layer, to);
}

async function copyBlob({ folders }: Engine, { digest }: Descriptor, to: Deno.FsFile): Promise<void> {
  const { createHash } = await import("node:crypto");
  const hash = createHash(digestAlgorithm(digest));
  using from = await openBlob(blobPath(folders, digest), digest);
  const buffer = new Uint8Array(1 << 20);
  for (let n = await from.read(buffer); n !== null; n = await from.read(buffer)) {
    hash.update(buffer.subarray(0, n));
    for (let at = 0; at < n;) at += await to.write(buffer.subarray(at, n));
  }
  if (`${digestAlgorithm(digest)}:${hash.digest("hex")}` !== digest) {
    throw new VerificationError(`read blob ${digest}: its content was changed`);
  }
}

async function openBlob(path: string, digest: Digest): Promise<Deno.FsFile> {
  try {
    return await Deno.open(path, { read: true });
  } catch (cause) {
    throw new SkiffError(`read blob ${digest}: ${hostReason(cause)}`, {
      cause,
      hint: "pull the artifact again",
    });
  }
}
