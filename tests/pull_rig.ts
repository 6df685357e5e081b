/** A store and a configuration of its own for each test that pulls in this process. */
import type { ConfigSources } from "../runtime/config/sources.ts";
import { namespaceContext } from "../runtime/namespaces/context.ts";
import {
  type PulledImage,
  pullImage,
  type PullOptions,
  type PullProgress,
} from "../runtime/registry/pull.ts";
import type { LayerContext } from "../runtime/registry/pull_layers.ts";
import { type Folders, openFolders } from "../runtime/state/folders.ts";
import { layerForm } from "../runtime/storage/layers.ts";

export interface PullRig extends AsyncDisposable {
  root: string;
  folders: Folders;
  context: LayerContext;
  sources: ConfigSources;
  /** What the last pull reported. */
  events: PullProgress[];
  /** Pauses that retries asked for; none is really made. */
  pauses: number[];
  pull(name: string, options?: PullOptions): Promise<PulledImage>;
  /** Writes a file below the rig's folder, `.config/containers/registries.conf`. */
  write(path: string, text: string): Promise<void>;
  /** Files in the store, without the database; empty after a pull that was refused. */
  leftovers(): Promise<string[]>;
}

export async function makePullRig(): Promise<PullRig> {
  const root = await Deno.makeTempDir({ prefix: "skiff-pull-" });
  const folders = openFolders({ data: `${root}/data`, run: `${root}/run` });
  const namespaces = namespaceContext(folders.run);
  const context: LayerContext = { folders, namespaces, form: layerForm(namespaces) };
  const sources: ConfigSources = {
    home: root,
    isRoot: false,
    configHome: `${root}/.config`,
    cacheHome: `${root}/cache`,
    systemDir: `${root}/etc`,
    env: {},
  };
  const events: PullProgress[] = [];
  const pauses: number[] = [];
  return {
    root,
    folders,
    context,
    sources,
    events,
    pauses,
    pull(name, options = {}) {
      events.length = 0;
      return pullImage(context, name, {
        sources,
        progress: (event) => events.push(event),
        retry: {
          pause: (ms) => {
            pauses.push(ms);
            return Promise.resolve();
          },
        },
        ...options,
      });
    },
    async write(path, text) {
      await Deno.mkdir(`${root}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
      await Deno.writeTextFile(`${root}/${path}`, text, { mode: 0o600 });
    },
    async leftovers() {
      const found: string[] = [];
      for (const top of ["blobs", "layers", "tmp", "locks"]) await walk(`${folders.data}/${top}`, found);
      return found.map((path) => path.slice(folders.data.length + 1)).sort();
    },
    async [Symbol.asyncDispose]() {
      await removeAll(context, root);
    },
  };
}

/** Layers of a subordinate-id map belong to other ids; storage removes them in the user's namespace. */
async function removeAll(context: LayerContext, root: string): Promise<void> {
  const { removeInNamespace } = await import("../runtime/storage/removal.ts");
  const layers: string[] = [];
  for await (const entry of Deno.readDir(context.folders.layers)) {
    layers.push(`${context.folders.layers}/${entry.name}`);
  }
  if (layers.length > 0) await removeInNamespace(context, layers);
  await Deno.remove(root, { recursive: true });
}

async function walk(folder: string, found: string[]): Promise<void> {
  for await (const entry of Deno.readDir(folder)) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory && !/layers\/[0-9a-f]{64}\/./.test(path)) await walk(path, found);
    else found.push(path);
  }
}
