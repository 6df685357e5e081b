/** What every verb works on: the folders, the user's namespace, the database; each looked up at first use. */

import { type NamespaceContext, namespaceContext, unshareSession } from "../namespaces/context.ts";
import type { Database } from "../state/db.ts";
import { type Folders, openFolders } from "../state/folders.ts";
import type { StorageDriverName } from "./options.ts";

export interface EngineOptions {
  /** Instead of `$XDG_DATA_HOME/skiff` (root: `/var/lib/skiff`). */
  dataFolder?: string;
  /** Instead of `/run/user/<uid>/skiff`. */
  runtimeFolder?: string;
  /** Force a driver instead of the first that works. */
  storageDriver?: StorageDriverName;
}

export class Engine implements Disposable {
  readonly folders: Folders;
  readonly storageDriver?: StorageDriverName;
  #namespaces?: NamespaceContext;
  #database?: Promise<Database>;
  #opened?: Database;

  constructor(options: EngineOptions, early?: Engine) {
    this.folders = early?.folders ?? openFolders({ data: options.dataFolder, run: options.runtimeFolder });
    this.#namespaces = early?.namespaces;
    this.storageDriver = options.storageDriver;
  }

  /** Who we are, and the id maps of the user's shared namespace. */
  get namespaces(): NamespaceContext {
    return this.#namespaces ??= namespaceContext(this.folders.run);
  }

  /** The database; a connection must not be used in a forked child. */
  database(): Promise<Database> {
    return this.#database ??= this.#open();
  }

  containerDir(id: string): string {
    return `${this.folders.containers}/${id}`;
  }

  /** Closes the database; a command that is about to end need not. */
  [Symbol.dispose](): void {
    this.#opened?.[Symbol.dispose]();
    this.#opened = undefined;
    this.#database = undefined;
  }

  async #open(): Promise<Database> {
    const { openDatabase } = await import("../state/db.ts");
    return this.#opened = await openDatabase(this.folders.db);
  }
}

let early: Engine | undefined;

/** Looks up folders and namespace before the options are known, for `openEngine` in the usual folders. */
export function openEngineEarly(): Engine {
  return early = new Engine({});
}

export function openEngine(options: EngineOptions = {}): Engine {
  const isUsual = options.dataFolder === undefined && options.runtimeFolder === undefined;
  return new Engine(options, isUsual ? early : undefined);
}

/** In a session of `unshare` this process is root, and the folders are still the user's. */
export function sessionFolders(): Pick<EngineOptions, "dataFolder" | "runtimeFolder"> {
  // asked first: it costs a look at /proc
  if (!Deno.env.has("CONTAINERS_GRAPHROOT") || unshareSession() === undefined) return {};
  const [dataFolder, runtimeFolder] = ["CONTAINERS_GRAPHROOT", "CONTAINERS_RUNROOT"].map((key) =>
    Deno.env.get(key)
  );
  return { dataFolder, runtimeFolder };
}
