/** The engine as the global options ask for it. */

import { type Engine, type EngineOptions, openEngine, sessionFolders } from "../runtime/engine/engine.ts";
import type { StorageDriverName } from "../runtime/engine/options.ts";
import { InvalidArgumentError } from "../runtime/errors.ts";
import type { GlobalValues } from "./command.ts";

export function engineFor(global: GlobalValues): Engine {
  return openEngine(engineOptions(global));
}

/** @throws InvalidArgumentError */
export function engineOptions(global: GlobalValues): EngineOptions {
  const options: EngineOptions = {
    storageDriver: global["storage-driver"] as StorageDriverName | undefined,
    ...sessionFolders(),
  };
  if (global.root !== undefined) options.dataFolder = absolute("root", global.root);
  if (global.runroot !== undefined) options.runtimeFolder = absolute("runroot", global.runroot);
  return options;
}

/** Monitors and later commands have other working folders. */
function absolute(name: "root" | "runroot", folder: string): string {
  if (folder === "") throw new InvalidArgumentError(`--${name}: a folder is needed`);
  return folder.startsWith("/") ? folder : `${Deno.cwd()}/${folder}`;
}
