/** `cp`: files between a container and the host, or between containers. */

import { InvalidArgumentError } from "../errors.ts";
import type { Engine } from "./engine.ts";
import type { ReachedContainer } from "./container_view.ts";

export interface CpOptions {
  /** Give what is copied into a container to its user (the default); else to whom it belongs in the source. */
  archive?: boolean;
  /** A folder may replace a file, and the other way round. */
  overwrite?: boolean;
  signal?: AbortSignal;
}

/** One side of a copy: a path of the host (`-`: standard input or output), or of a container. */
export interface CopyPath {
  container?: string;
  path: string;
}

/** What was left out: devices, sockets, what could not be read. */
export interface CpResult {
  skipped: { count: number; examples: string[] };
}

/** `web:/etc` is a path of a container, `./a:b` and `/a:b` are not. */
export function parseCopyPath(text: string): CopyPath {
  if (text.startsWith(".") || text.startsWith("/")) return { path: text };
  const colon = text.indexOf(":");
  if (colon < 0) return { path: text };
  return { container: text.slice(0, colon), path: text.slice(colon + 1) };
}

/**
 * Copies `source` to `destination`, by the rules of docker cp and podman cp.
 *
 * @throws {NotFoundError} where a path or container is not there
 */
export async function cp(
  engine: Engine,
  source: string,
  destination: string,
  options: CpOptions = {},
): Promise<CpResult> {
  const from = parseCopyPath(source), to = parseCopyPath(destination);
  if (from.path === "" || to.path === "") {
    throw new InvalidArgumentError(
      `invalid arguments ${JSON.stringify(source)}, ${JSON.stringify(destination)}: you must specify paths`,
    );
  }
  if (!from.container && !to.container) {
    throw new InvalidArgumentError(
      `copy ${JSON.stringify(source)} to ${JSON.stringify(destination)}: neither is CONTAINER:PATH`,
    );
  }
  if (to.container === undefined && to.path !== "-") await checkDestination(to.path);
  const [{ withContainers }, { performCopy }, { runFileTask }, { warmUp }] = await Promise.all([
    import("./container_view.ts"),
    import("../files/cp_task.ts"),
    import("../files/task.ts"),
    import("../storage/extract_task.ts"),
  ]);
  const names = [from.container, to.container].filter((name) => name !== undefined);
  return await withContainers(engine, names, async (reached) => {
    const sideOf = ({ container, path }: CopyPath, found: ReachedContainer | undefined) => {
      if (container === undefined) return { path };
      const { view, nested, config: { workdir, user } } = found!;
      return { path, container: { name: container, view, workdir, user, nested } };
    };
    const { isRootless, maps } = engine.namespaces;
    const plan = {
      from: sideOf(from, reached[0]),
      to: sideOf(to, reached.at(-1)),
      chown: options.archive ?? true,
      overwrite: options.overwrite ?? false,
      isRootless,
      isSingleId: maps.isSingle,
    };
    if (from.path === "-") warmUp();
    const skipped = await runFileTask(engine.namespaces, () => performCopy(plan), options.signal);
    return { skipped };
  }, options.signal);
}

/** What is there already must be of a kind that can be written or copied into. */
async function checkDestination(path: string): Promise<void> {
  const info = await Deno.stat(path).catch(() => undefined);
  if (info === undefined || info.isDirectory || info.isFile) return;
  throw new InvalidArgumentError(
    `invalid destination: ${JSON.stringify(path)} must be a directory or a regular file`,
  );
}
