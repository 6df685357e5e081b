/** Where the content of a volume lies: `volumes/<name>/_data`. */

import type { Folders } from "../state/folders.ts";

export function volumeDataPath(folders: Folders, name: string): string {
  return `${folders.volumes}/${name}/_data`;
}

/** Makes the folder of a volume where missing. */
export function createVolume(folders: Folders, name: string): void {
  Deno.mkdirSync(volumeDataPath(folders, name), { recursive: true, mode: 0o755 });
}
