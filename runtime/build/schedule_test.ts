import { deepStrictEqual as assertEquals, rejects } from "node:assert";
import { BuildError } from "../errors.ts";
import { namespaceContext } from "../namespaces/context.ts";
import type { Digest } from "../spec/digest.ts";
import { openDatabase } from "../state/db.ts";
import { openFolders } from "../state/folders.ts";
import { layerForm, layerPath } from "../storage/layers.ts";
import { BuildCache } from "./cache.ts";
import { hash } from "./cache_key.ts";
import { parseDockerfile } from "./dockerfile/parse.ts";
import type { OpenedContext } from "./context/open.ts";
import type { BuildEvent } from "./events.ts";
import type { BuildOptions } from "./options.ts";
import { planBuild } from "./plan/plan.ts";
import { Run } from "./schedule.ts";
import type { BuildServices } from "./services.ts";
import { Slots } from "./slots.ts";
import { Sources } from "./sources.ts";
import type { BuiltLayer, Snapshot } from "./step.ts";
import { Vertices } from "./vertices.ts";

/** A store of its own, and commands that only make a layer of their name. */
async function withStore(body: (store: Store) => Promise<void>): Promise<void> {
  const data = await Deno.makeTempDir();
  await Deno.chmod(data, 0o700);
  const run = `${data}/run`;
  await Deno.mkdir(run, { mode: 0o700 });
  const folders = openFolders({ data, run });
  using db = await openDatabase(folders.db);
  const namespaces = namespaceContext(run);
  const store: Store = new Store({
    folders,
    namespaces,
    database: () => Promise.resolve(db),
    resolveImage: () => Promise.reject(new Error("no images here")),
    loadLayout: () => Promise.reject(new Error("no images here")),
    runStep: (step, base, _mounts, context) => store.perform(step.argv.at(-1)!, base, context.signal),
  }, `${data}/context`);
  await Deno.mkdir(store.context);
  try {
    await body(store);
  } finally {
    await Deno.remove(data, { recursive: true });
  }
}

class Store {
  ran: string[] = [];
  actions: Record<string, (signal: AbortSignal) => Promise<unknown>> = {};

  constructor(readonly services: BuildServices, readonly context: string) {}

  async perform(command: string, base: Snapshot, signal: AbortSignal): Promise<BuiltLayer | null> {
    this.ran.push(command);
    await this.actions[command]?.(signal);
    if (command.endsWith("nothing")) return null;
    const diffId = `sha256:${hash([command, base])}` as Digest;
    const { folders, namespaces } = this.services;
    await Deno.mkdir(layerPath(folders, diffId, layerForm(namespaces)), { recursive: true });
    // archives of these layers are never asked for
    await Deno.writeFile(`${folders.blobs}/sha256/${diffId.slice(7)}`, new Uint8Array(3));
    return { diffId, digest: diffId, size: 3, mediaType: "tar" };
  }

  /** Gives the commands of the layers, what ran, and the names of steps that were cached. */
  async build(text: string, more: Partial<BuildOptions> = {}) {
    this.ran = [];
    const given = { buildArgs: {}, labels: {}, contexts: {}, addHosts: [], allow: [], noCacheFilter: [] };
    const options = { noCache: false, ...given, ...more } as unknown as BuildOptions;
    const dockerfile = parseDockerfile(text, "Dockerfile");
    const graph = await planBuild({
      dockerfile,
      options,
      resolveImage: () => Promise.reject(new Error("no images here")),
    });
    const events: BuildEvent[] = [];
    const vertices = new Vertices((event) => events.push(event));
    const stop = new AbortController();
    const { signal } = stop;
    const main = { tree: { kind: "folder", path: this.context, ignore: [] } } as unknown as OpenedContext;
    const { services } = this;
    await using sources = new Sources(services, { options, main, vertices, signal });
    const cache = new BuildCache(services);
    const slots = new Slots(options.jobs ?? 4);
    const run = new Run(graph, {
      services,
      options,
      vertices,
      cache,
      slots,
      sources,
      dockerfile,
      signal,
      stop,
    });
    const { layers } = await run.solve();
    const cached = new Set(
      events.flatMap((event) => (event.kind === "vertex" && event.vertex.cached ? [event.vertex.name] : [])),
    );
    return { diffIds: layers.map(({ diffId }) => diffId), ran: this.ran, cached: [...cached].sort() };
  }
}

Deno.test("a cached step's devices have to be allowed as well", () =>
  withStore(async (store) => {
    const text = "FROM scratch\nRUN --device=v.com/c=one a\n";
    assertEquals((await store.build(text)).ran, ["a"]);
    const asked: unknown[] = [];
    store.services.checkDevices = ({ devices }) => {
      asked.push(devices);
      return Promise.reject(new BuildError("not allowed"));
    };
    await rejects(store.build(text), { message: "not allowed" });
    assertEquals(asked, [[{ name: "v.com/c=one", isRequired: false }]]);
  }));

Deno.test("what was made before is taken from the cache, up to the first step that differs", () =>
  withStore(async (store) => {
    const text = "FROM scratch\nRUN a\nRUN nothing\nRUN b\n";
    const first = await store.build(text);
    assertEquals(first.ran, ["a", "nothing", "b"]);
    assertEquals(first.diffIds.length, 2);
    const second = await store.build(text);
    assertEquals(second, {
      diffIds: first.diffIds,
      ran: [],
      cached: ["[1/3] RUN a", "[2/3] RUN nothing", "[3/3] RUN b"],
    });
    assertEquals((await store.build("FROM scratch AS x\nRUN a\nENV E=1\nRUN b")).ran, ["b"]);
    assertEquals((await store.build(text, { noCache: true })).ran, ["a", "nothing", "b"]);
    assertEquals(
      (await store.build("FROM scratch AS x\nRUN a\nFROM x AS y\nRUN b\n", {
        noCacheFilter: ["Y"],
      })).ran,
      ["b"],
    );
  }));

Deno.test("a record that is too old is a miss, and made anew", () =>
  withStore(async (store) => {
    const text = "FROM scratch\nRUN a\nRUN b\n";
    await store.build(text);
    const db = await store.services.database();
    const age = (hours: number, key: string) =>
      db.run(
        "UPDATE build_cache SET created_at = ? WHERE description LIKE ?",
        new Date(Date.now() - hours * 3_600_000).toISOString(),
        `%${key}`,
      );
    age(2, "RUN b");
    assertEquals((await store.build(text, { cacheTtlMs: 3 * 3_600_000 })).ran, []);
    assertEquals((await store.build(text, { cacheTtlMs: 3_600_000 })).ran, ["b"]);
    assertEquals((await store.build(text, { cacheTtlMs: 3_600_000 })).ran, []);
    assertEquals((await store.build(text, { cacheTtlMs: 0 })).ran, ["a", "b"]);
  }));

Deno.test("a record whose layer is gone is a miss", () =>
  withStore(async (store) => {
    const text = "FROM scratch\nRUN a\nRUN b\n";
    const { diffIds } = await store.build(text);
    await Deno.remove(`${store.services.folders.layers}/${diffIds[1]!.slice(7)}`, { recursive: true });
    assertEquals((await store.build(text)).ran, ["b"]);
    assertEquals((await store.build(text)).ran, []);
  }));

Deno.test("independent steps go on side by side, equal ones run once", () =>
  withStore(async (store) => {
    const { promise: left, resolve: leftIsHere } = Promise.withResolvers<void>();
    const { promise: right, resolve: rightIsHere } = Promise.withResolvers<void>();
    store.actions = {
      "left nothing": async () => (leftIsHere(), await right),
      "right nothing": async () => (rightIsHere(), await left),
    };
    const { ran } = await store.build(`
FROM scratch AS a
RUN same nothing
RUN left nothing
FROM scratch AS b
RUN same nothing
RUN right nothing
FROM scratch
RUN --mount=from=a,target=/a --mount=from=b,target=/b end
`);
    assertEquals(ran.toSorted(), ["end", "left nothing", "right nothing", "same nothing"]);
  }));

Deno.test("the first failure stops the others, is told with its place, and leaves what was done", () =>
  withStore(async (store) => {
    let stopped = false;
    const { promise: isWaiting, resolve: waits } = Promise.withResolvers<void>();
    store.actions = {
      bad: async () => {
        await isWaiting;
        throw new BuildError("it went wrong", { exitCode: 1 });
      },
      slow: (signal) =>
        new Promise((_, reject) => {
          waits();
          signal.addEventListener("abort", () => (stopped = true, reject(signal.reason)));
        }),
    };
    const text = "FROM scratch AS a\nRUN ok\nRUN bad\nFROM scratch AS b\nRUN slow\nFROM scratch\n" +
      "RUN --mount=from=a,target=/a --mount=from=b,target=/b end";
    await rejects(store.build(text), (error) => {
      assertEquals(error instanceof BuildError && error.message, "it went wrong");
      assertEquals((error as BuildError).source?.location.startLine, 3);
      return true;
    });
    assertEquals(stopped, true);
    store.actions = {};
    assertEquals((await store.build("FROM scratch\nRUN ok\nRUN bad")).ran, ["bad"]);
  }));

Deno.test("what was changed while a step read it is in no cache, under neither content", () =>
  withStore(async (store) => {
    const file = `${store.context}/f`;
    const text = "FROM scratch\nRUN --mount=target=/context read\n";
    await Deno.writeTextFile(file, "before");
    store.actions = { read: () => Deno.writeTextFile(file, "after!") };
    assertEquals((await store.build(text)).ran, ["read"]);
    store.actions = {};
    await Deno.writeTextFile(file, "before");
    assertEquals((await store.build(text)).ran, ["read"]);
    await Deno.writeTextFile(file, "after!");
    assertEquals((await store.build(text)).ran, ["read"]);
    assertEquals((await store.build(text)).ran, []);
    store.actions = { read: () => Deno.remove(file) };
    await Deno.writeTextFile(file, "third");
    assertEquals((await store.build(text.replace("target=", "source=f,target="))).ran, ["read"]);
  }));
