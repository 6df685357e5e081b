/** Where the files of COPY, ADD and mounts are: contexts are opened, and others fetched, when they are first asked for. */

import { BuildError } from "../errors.ts";
import { withoutCredentials } from "../spec/url_credentials.ts";
import { keepsGitDir } from "./builtin_args.ts";
import { hash, snapshotKey } from "./cache_key.ts";
import type { OpenedContext } from "./context/open.ts";
import type { SourceSelection } from "./context/selection.ts";
import type { BuildOptions } from "./options.ts";
import { baseName } from "./plan/paths.ts";
import type { BuildServices } from "./services.ts";
import type { FileSource, Snapshot, SourceTree, StepId } from "./step.ts";
import type { LiveVertex, Vertices } from "./vertices.ts";

export interface SourceOptions {
  options: BuildOptions;
  main: OpenedContext;
  vertices: Vertices;
  signal: AbortSignal;
}

/** What another step has made. */
type SnapshotOf = (step: StepId) => Promise<Snapshot>;

/** What was fetched goes with the build. */
type FetchedTree = SourceTree & Partial<AsyncDisposable>;

export class Sources implements AsyncDisposable {
  readonly #services: BuildServices;
  readonly #given: SourceOptions;
  readonly #contexts = new Map<string, Promise<OpenedContext>>();
  readonly #fetched = new Map<string, Promise<FetchedTree>>();
  readonly #vertices = new Map<string, LiveVertex>();
  #scratch?: Promise<AsyncDisposable & { path: string }>;
  #files = 0;

  constructor(services: BuildServices, given: SourceOptions) {
    this.#services = services;
    this.#given = given;
  }

  /** Digest of what is selected; of what was named by its checksum nothing is fetched. */
  async digest(
    from: FileSource,
    selection: SourceSelection,
    snapshotOf: SnapshotOf,
  ): Promise<string> {
    if (from.kind === "scratch") return "";
    if (from.kind === "heredoc") return hash([from.heredoc.name, from.content]);
    if ((from.kind === "http" || from.kind === "git") && from.checksum !== undefined) {
      return hash([from.kind, from.url, from.checksum, from.kind === "git" && from.keepGitDir]);
    }
    const tree = await this.tree(from, snapshotOf);
    if (tree.kind === "snapshot" && tree.snapshot.layers.length === 0) return snapshotKey(tree.snapshot);
    const { digestSelection } = await import("./context/digest.ts");
    const digest = () => digestSelection(this.#services, tree, selection, this.#given.signal);
    return from.kind === "context" ? await this.#asLoading(from.name, digest) : await digest();
  }

  /** The files themselves. */
  async tree(from: FileSource, snapshotOf: SnapshotOf): Promise<SourceTree> {
    switch (from.kind) {
      case "scratch":
        return { kind: "snapshot", snapshot: { layers: [] } };
      case "step":
        return { kind: "snapshot", snapshot: await snapshotOf(from.step) };
      case "image":
        return { kind: "snapshot", snapshot: from.image.snapshot };
      case "context":
        return (await this.#context(from.name)).tree;
      case "http":
      case "git":
        return await this.#once(hash(from), () => this.#fetch(from));
      case "heredoc":
        return await this.#once(hash([from.heredoc.name, from.content]), () => this.#write(from));
    }
  }

  /** Whether it is a folder of the host's, which others may change while it is read. */
  async isLive(from: FileSource): Promise<boolean> {
    if (from.kind !== "context") return false;
    const { tree } = await this.#context(from.name);
    return tree.kind === "folder" && !tree.path.startsWith(`${this.#services.folders.tmp}/`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const opened = await Promise.allSettled([...this.#contexts.values()]);
    const fetched = await Promise.allSettled([...this.#fetched.values()]);
    for (const result of [...opened, ...fetched]) {
      if (result.status === "fulfilled") await result.value[Symbol.asyncDispose]?.();
    }
    // where it could not be made the step has said so
    await (await this.#scratch?.catch(() => undefined))?.[Symbol.asyncDispose]();
  }

  #context(name: string | undefined): Promise<OpenedContext> {
    if (name === undefined) return Promise.resolve(this.#given.main);
    let opened = this.#contexts.get(name);
    if (opened === undefined) this.#contexts.set(name, opened = this.#open(name));
    return opened;
  }

  async #open(name: string): Promise<OpenedContext> {
    const source = this.#given.options.contexts[name];
    if (source === undefined) throw new BuildError(`open build context "${name}": it was not given`);
    const { openContext } = await import("./context/open.ts");
    const { signal, options } = this.#given;
    return await openContext(this.#services, source, {
      signal,
      keepGitDir: keepsGitDir(options),
      secrets: options.secrets,
    });
  }

  /** The first look at a context is shown as its loading. */
  async #asLoading<T>(name: string | undefined, action: () => Promise<T>): Promise<T> {
    const title = name === undefined ? "[internal] load build context" : `[context ${name}] load from client`;
    if (this.#vertices.has(title)) return await action();
    const vertex = this.#given.vertices.add(title);
    this.#vertices.set(title, vertex);
    vertex.begin();
    try {
      const result = await action();
      vertex.done();
      return result;
    } catch (error) {
      vertex.fail(error);
      throw error;
    }
  }

  #once(key: string, make: () => Promise<FetchedTree>): Promise<FetchedTree> {
    let tree = this.#fetched.get(key);
    if (tree === undefined) this.#fetched.set(key, tree = make());
    return tree;
  }

  async #fetch(from: FileSource & { kind: "http" | "git" }): Promise<FetchedTree> {
    const { signal, vertices, options: { secrets } } = this.#given;
    return await vertices.run(withoutCredentials(from.url), async (vertex) => {
      const progress = (current: number, total?: number) =>
        vertex.progress("transferring", current, total, current === total);
      if (from.kind === "http") {
        const [{ fetchHttp }, { httpAuthorization }] = await Promise.all([
          import("./context/http.ts"),
          import("./context/authorization.ts"),
        ]);
        const authorization = await httpAuthorization(secrets, from.url);
        return await fetchHttp(this.#services, from.url, from.checksum, { signal, authorization, progress });
      }
      const { fetchGit } = await import("./context/git.ts");
      const { url, keepGitDir, checksum } = from;
      return await fetchGit(this.#services, url, { keepGitDir, checksum, signal, secrets });
    });
  }

  async #write({ heredoc, content }: FileSource & { kind: "heredoc" }): Promise<SourceTree> {
    const { makeScratch } = await import("./scratch.ts");
    const { path: folder } = await (this.#scratch ??= makeScratch(this.#services));
    const path = `${folder}/heredoc-${this.#files++}`;
    await Deno.writeTextFile(path, content, { mode: 0o644 });
    return {
      kind: "file",
      path,
      name: baseName(heredoc.name),
      mode: 0o644,
      mtimeSec: Math.floor(Date.now() / 1000),
    };
  }
}
