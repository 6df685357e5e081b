/** What podman's documents of a volume leave out where it is nothing, and its templates have all the same. */

import type { VolumeInfo } from "../runtime/engine/volumes.ts";

/** The owner is the one that was asked for; locks with numbers, storage of images and timeouts there are none. */
export function templateFields({ Options, Status }: VolumeInfo) {
  const idOf = (key: string) =>
    Number(new RegExp(`(?:^|,)${key}=(\\d+)(?:,|$)`).exec(Options.o ?? "")?.[1] ?? 0);
  return {
    UID: idOf("uid"),
    GID: idOf("gid"),
    Status: Status ?? {},
    LockNumber: 0,
    StorageID: "",
    Timeout: 0,
  };
}
