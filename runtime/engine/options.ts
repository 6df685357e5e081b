/** What the fronts (command line, library, API) ask of the engine: plain, typed, already validated for shape. */

export type {
  CreateOptions,
  ExecOptions,
  LifecycleOptions,
  PullPolicy,
  StorageDriverName,
} from "../container/options.ts";
