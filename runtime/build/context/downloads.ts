/**
 * What ADD has downloaded, kept for the next build: `build-http/<sha256 of the address>` in the data folder, with a row
 * of the table that says what its server knows it by. It is used again when the server says that it still has the same.
 *
 * Who uses a file has a link of its own to it, so that one who replaces or removes it takes nothing away.
 *
 * @see BuildKit source/http; RFC 9111, 4.3
 */

import type { Validators } from "../../registry/fetch_url.ts";
import { withoutCredentials } from "../../spec/url_credentials.ts";
import {
  deleteDownload,
  type DownloadRecord,
  findDownload,
  putDownload,
  touchDownload,
} from "../../state/build_downloads.ts";
import { hash } from "../cache_key.ts";
import type { BuildServices } from "../services.ts";

type Services = Pick<BuildServices, "folders" | "database">;

/** Of one date there may be two contents, if both are as young as this (RFC 9110, 8.8.2.2, has a second at least). */
const SETTLED_MS = 60_000;

export function downloadsFolder({ data }: { data: string }): string {
  return `${data}/build-http`;
}

/** Links the file that this address had at `path`; undefined where it is not there. */
export async function recallDownload(
  services: Services,
  url: string,
  path: string,
): Promise<DownloadRecord | undefined> {
  const record = findDownload(await services.database(), hash(url));
  if (record === undefined) return undefined;
  try {
    Deno.linkSync(`${downloadsFolder(services.folders)}/${record.key}`, path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  if (Deno.statSync(path).size === record.size) return record;
  Deno.removeSync(path);
  return undefined;
}

export async function touchRecalled(services: Services, { key }: DownloadRecord): Promise<void> {
  touchDownload(await services.database(), key, new Date().toISOString());
}

/** Keeps a link to the file at `path`, if its server gave anything to know it by again. */
export async function keepDownload(
  services: Services,
  url: string,
  path: string,
  header: (name: string) => string | undefined,
): Promise<void> {
  const validators = keptValidators(header);
  if (validators === undefined) return;
  const folder = downloadsFolder(services.folders);
  Deno.mkdirSync(folder, { recursive: true, mode: 0o700 });
  const key = hash(url);
  const fresh = `${path}.kept`;
  {
    using file = Deno.openSync(path);
    file.syncDataSync();
    Deno.linkSync(path, fresh);
    // what is said of the former content must not be taken for this one's
    deleteDownload(await services.database(), key);
    Deno.renameSync(fresh, `${folder}/${key}`);
  }
  const now = new Date().toISOString();
  putDownload(await services.database(), {
    key,
    url: withoutCredentials(url),
    ...validators,
    size: Deno.statSync(path).size,
    createdAt: now,
    usedAt: now,
    uses: 1,
  });
}

/** The tag; or the date, where it is old enough to stand for one content. Pure but for the clock. */
export function keptValidators(
  header: (name: string) => string | undefined,
  nowMs = Date.now(),
): Validators | undefined {
  if (/(^|[\s,])no-store([\s,]|$)/i.test(header("cache-control") ?? "")) return undefined;
  const etag = header("etag") || undefined;
  const lastModified = header("last-modified") || undefined;
  const servedMs = Date.parse(header("date") ?? "");
  const ageMs = (Number.isNaN(servedMs) ? nowMs : servedMs) - Date.parse(lastModified ?? "");
  if (etag === undefined && !(ageMs >= SETTLED_MS)) return undefined;
  return { etag, lastModified };
}
