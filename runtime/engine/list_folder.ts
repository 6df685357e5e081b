/** What a folder of a container holds, for who types a path. */

import { Fd, openat, readdir } from "../../ffi/file.ts";
import { O_CLOEXEC, O_DIRECTORY, O_RDONLY } from "../../ffi/constants/fcntl.ts";
import type { Engine } from "./engine.ts";

/** An entry whose name is valid UTF-8. */
export interface FolderEntry {
  name: string;
  isFolder: boolean;
}

const MAX_ENTRIES = 1000;
/** Of getdents64(2). */
const DT_DIR = 4;

/**
 * The entries that begin with `prefix`, by name, at most a thousand. A relative folder begins at the container's working
 * directory; links are followed inside its root.
 *
 * @throws {NotFoundError} where there is no such container or folder
 */
export async function listFolder(
  engine: Engine,
  container: string,
  folder: string,
  prefix: string,
  signal?: AbortSignal,
): Promise<FolderEntry[]> {
  const [{ withContainers }, { runFileTask }, { OpenedViews }, { containerSide, find }] = await Promise.all([
    import("./container_view.ts"),
    import("../files/task.ts"),
    import("../files/view.ts"),
    import("../files/place.ts"),
  ]);
  return await withContainers(
    engine,
    [container],
    async ([reached]) =>
      await runFileTask(engine.namespaces, () => {
        const { view, config } = reached!;
        using views = new OpenedViews();
        using found = find(containerSide(views.open(view, true), container, config.workdir), folder);
        using opened = new Fd(openat(found.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        const decoder = new TextDecoder();
        return readdir(opened.number)
          .map(({ name, type }) => ({ name: decoder.decode(name), isFolder: type === DT_DIR }))
          .filter(({ name }) => name.startsWith(prefix) && !name.includes("\ufffd"))
          .sort((a, b) => (a.name < b.name ? -1 : 1))
          .slice(0, MAX_ENTRIES);
      }, signal),
    signal,
  );
}
