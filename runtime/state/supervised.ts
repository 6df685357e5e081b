/**
 * Whether any container was ever created that its monitor has to look after: an empty file in the data folder, so that
 * a start can tell before it has read anything else.
 */

import type { Folders } from "./folders.ts";

const path = (folders: Pick<Folders, "data">) => `${folders.data}/supervised`;

export function wasEverSupervised(folders: Pick<Folders, "data">): boolean {
  try {
    Deno.lstatSync(path(folders));
    return true;
  } catch {
    return false;
  }
}

export function rememberSupervised(folders: Pick<Folders, "data">): void {
  Deno.writeTextFileSync(path(folders), "", { mode: 0o600 });
}
