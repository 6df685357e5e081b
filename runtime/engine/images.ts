/** The images of the store, as `podman images --format json` lists them. */

import { countContainersByImage } from "../state/containers.ts";
import { listImages, listNameHistory, listNames, listRepoDigests } from "../state/images.ts";
import { unixSeconds } from "./clock.ts";
import type { Engine } from "./engine.ts";

export interface ImageListEntry {
  /** 64 hex digits. */
  Id: string;
  ParentId: string;
  RepoTags: string[] | null;
  RepoDigests: string[];
  Names: string[];
  /** Names that it has or had, the latest first. */
  History: string[];
  Digest: string;
  Size: number;
  SharedSize: number;
  VirtualSize: number;
  Labels: Record<string, string> | null;
  Containers: number;
  /** Seconds since 1970. */
  Created: number;
  CreatedAt: string;
  Dangling: boolean;
  Arch: string;
  Os: string;
  /** It is a list of images. */
  IsManifestList?: true;
}

/** Newest first. */
export async function images(engine: Engine): Promise<ImageListEntry[]> {
  const db = await engine.database();
  const users = countContainersByImage(db);
  const rows = listImages(db);
  const listed = new Set(rows.flatMap(({ list }) => list === undefined ? [] : digestsIn(list)));
  return rows.map((image) => {
    const names = listNames(db, image.id);
    const config = JSON.parse(image.config);
    return {
      Id: image.id,
      ParentId: "",
      RepoTags: names.length > 0 ? names : null,
      RepoDigests: listRepoDigests(db, image.id),
      Names: names,
      History: listNameHistory(db, image.id),
      Digest: image.digest,
      Size: image.size,
      SharedSize: 0,
      VirtualSize: image.size,
      Labels: config.config?.Labels ?? null,
      Containers: users.get(image.id) ?? 0,
      Created: unixSeconds(image.created),
      CreatedAt: image.created,
      Dangling: names.length === 0 && !listed.has(image.digest),
      Arch: image.architecture,
      Os: image.os,
      ...(image.list === undefined ? {} : { IsManifestList: true as const }),
    };
  });
}

/** Manifests that a list is made of: their images are not dangling. */
function digestsIn(list: string): string[] {
  return JSON.parse(list).entries.map(({ digest }: { digest: string }) => digest);
}
