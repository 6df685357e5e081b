/**
 * Files of ADD that come from an address: one file, mode 0600, with the time that the server says.
 *
 * @see Dockerfile reference, "Adding files from a URL"; BuildKit source/http
 */

import { createHash } from "node:crypto";
import { VerificationError } from "../../errors.ts";
import { fetchUrl } from "../../registry/fetch_url.ts";
import { type Digest, digestAlgorithm } from "../../spec/digest.ts";
import { DEFAULT_LAYER_LIMIT_BYTES } from "../../storage/layers.ts";
import { makeScratch } from "../scratch.ts";
import type { BuildServices } from "../services.ts";
import type { SourceTree } from "../step.ts";
import { keepDownload, recallDownload, touchRecalled } from "./downloads.ts";

export interface FetchHttpOptions {
  signal?: AbortSignal;
  /** A header for the server. */
  authorization?: string;
  progress?: (current: number, total?: number) => void;
}

/**
 * Downloads a file, unless its server says that it is the one that was downloaded before; whoever gets the tree removes
 * it.
 *
 * @throws {VerificationError} where it is not what the checksum says
 */
export async function fetchHttp(
  services: Pick<BuildServices, "folders" | "namespaces" | "database">,
  url: string,
  checksum: Digest | undefined,
  { signal, authorization, progress }: FetchHttpOptions = {},
): Promise<SourceTree & { kind: "file" } & AsyncDisposable> {
  const scratch = await makeScratch(services);
  try {
    const kept = `${scratch.path}/kept`, fresh = `${scratch.path}/file`;
    const known = await recallDownload(services, url, kept);
    let header: (name: string) => string | undefined = () => undefined;
    let outcome: "fetched" | "unchanged";
    {
      using file = await Deno.open(fresh, { write: true, createNew: true, mode: 0o600 });
      outcome = await fetchUrl(url, file, {
        signal,
        authorization,
        limitBytes: DEFAULT_LAYER_LIMIT_BYTES,
        onProgress: progress,
        onHeader: (read) => header = read,
        known,
      });
    }
    const isKnown = known !== undefined && outcome === "unchanged";
    const path = isKnown ? kept : fresh;
    if (checksum !== undefined) await verify(path, checksum);
    if (isKnown) await touchRecalled(services, known);
    else await keepDownload(services, url, path, header);
    const lastModified = isKnown ? known.lastModified : header("last-modified");
    return {
      kind: "file",
      path,
      name: nameOf(url),
      mode: 0o600,
      mtimeSec: timeOf(lastModified),
      [Symbol.asyncDispose]: () => scratch[Symbol.asyncDispose](),
    };
  } catch (error) {
    await scratch[Symbol.asyncDispose]();
    throw error;
  }
}

async function verify(path: string, checksum: Digest): Promise<void> {
  const hash = createHash(digestAlgorithm(checksum));
  using file = await Deno.open(path);
  const buffer = new Uint8Array(1 << 20);
  for (let count = await file.read(buffer); count !== null; count = await file.read(buffer)) {
    hash.update(buffer.subarray(0, count));
  }
  const found = `${digestAlgorithm(checksum)}:${hash.digest("hex")}`;
  if (found !== checksum) throw new VerificationError(`digest mismatch ${found}: ${checksum}`);
}

/** The last part of the path, as the file is called in a folder that it is added to. */
function nameOf(url: string): string {
  const base = decode(new URL(url).pathname.replace(/\/+$/, "").split("/").at(-1) ?? "");
  return base === "" || base === "." || base === ".." || /[\0/]/.test(base) ? "__unnamed__" : base;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Without the header it is the beginning of time, so that the same file gives the same layer. */
function timeOf(lastModified: string | undefined): number {
  const time = lastModified === undefined ? NaN : Date.parse(lastModified);
  return Number.isNaN(time) || time < 0 ? 0 : Math.floor(time / 1000);
}
