/** The engine as the global options ask for it. */

import { type Engine, isUnshareSession, openEngine } from "../runtime/engine/engine.ts";
import type { StorageDriverName } from "../runtime/engine/options.ts";
import type { GlobalValues } from "./command.ts";

export function engineFor(global: GlobalValues): Engine {
  return openEngine({
    storageDriver: global["storage-driver"] as StorageDriverName | undefined,
    ...sessionFolders(),
  });
}

/** In a session of `unshare` this process is root, and the folders are still the user's. */
function sessionFolders(): { dataFolder?: string; runtimeFolder?: string } {
  // asked first: it costs a look at /proc
  if (!Deno.env.has("CONTAINERS_GRAPHROOT") || !isUnshareSession()) return {};
  const [dataFolder, runtimeFolder] = ["CONTAINERS_GRAPHROOT", "CONTAINERS_RUNROOT"].map((key) =>
    Deno.env.get(key)
  );
  return { dataFolder, runtimeFolder };
}
