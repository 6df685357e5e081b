/** The engine as the global options ask for it. */

import { type Engine, openEngine, sessionFolders } from "../runtime/engine/engine.ts";
import type { StorageDriverName } from "../runtime/engine/options.ts";
import type { GlobalValues } from "./command.ts";

export function engineFor(global: GlobalValues): Engine {
  return openEngine({
    storageDriver: global["storage-driver"] as StorageDriverName | undefined,
    ...sessionFolders(),
  });
}
