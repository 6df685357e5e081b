/** `volume export` and `volume import`: the content of a volume as a tar archive. */

import { DEFAULT_LAYER_LIMIT_BYTES } from "../storage/layers.ts";
import { close, open } from "../../ffi/file.ts";
import {
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_NOCTTY,
  O_PATH,
  O_TRUNC,
  O_WRONLY,
} from "../../ffi/constants/fcntl.ts";
import type { Skipped } from "../files/copy_entries.ts";
import { recordEvent } from "../state/events.ts";
import { createVolume } from "../storage/volumes.ts";
import { fillFrom, folderIdentity } from "../files/volume_trees.ts";
import { warmUp } from "../storage/extract_task.ts";
import type { Engine } from "./engine.ts";
import { openPath } from "./import.ts";
import {
  checkSame,
  checkUnused,
  ownContentOf,
  readableContent,
  replaceContent,
  withStagedTree,
} from "./volume_content.ts";
import { planOf } from "./volume_options.ts";
import { findVolumeRow } from "./volume_row.ts";

export interface VolumeExportOptions {
  /** A file of the host; by default standard output. */
  output?: string;
  signal?: AbortSignal;
}

/** Writes what a volume, or a snapshot, holds, from its root on. Gives what no archive can hold. */
export async function volumeExport(
  engine: Engine,
  text: string,
  options: VolumeExportOptions = {},
): Promise<{ skipped: Skipped }> {
  const what = `export volume "${text}"`;
  const { row, path, identity } = readableContent(engine, await engine.database(), text, what);
  const [{ TarTree }, { foundAt }, { runFileTask }] = await Promise.all([
    import("../files/tar_out.ts"),
    import("../files/place.ts"),
    import("../files/task.ts"),
  ]);
  const fd = options.output === undefined
    ? 1
    : open(options.output, O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY | O_CLOEXEC, 0o666);
  try {
    const skipped = await runFileTask(
      engine.namespaces,
      () => {
        using root = foundAt(open(path, O_PATH | O_DIRECTORY | O_CLOEXEC));
        const tar = new TarTree(fd, { owner: (stat) => stat, oneFilesystem: true });
        tar.add(root, ".");
        tar.finish();
        return tar.skipped;
      },
      options.signal,
      fd === 1 ? [] : [fd],
    );
    checkSame(path, identity, what);
    recordEvent(engine.folders, { type: "volume", action: "export", id: row.name, name: row.name });
    return { skipped };
  } finally {
    if (fd !== 1) close(fd);
  }
}

/**
 * Unpacks an archive over what a volume holds. Both happens beside it, and takes its place when all is well: who is
 * interrupted, or given a broken archive, has the volume as it was.
 *
 * @param input a path, or an open descriptor
 */
export async function volumeImport(
  engine: Engine,
  text: string,
  input: string | { fd: number },
  signal?: AbortSignal,
): Promise<{ skipped: Skipped }> {
  const what = `import volume "${text}"`;
  const db = await engine.database();
  const row = findVolumeRow(db, text);
  const path = ownContentOf(engine, row, what);
  // said before anything is read
  checkUnused(engine, db, row.name, what);
  createVolume(engine.folders, row.name);
  const identity = folderIdentity(path);
  const { unpackTar } = await import("../files/tar_in.ts");
  const { isRootless, maps } = engine.namespaces;
  const fd = typeof input === "string" ? openPath(input, `open "${input}"`) : input.fd;
  warmUp();
  try {
    const fill = (tree: number) => {
      fillFrom(path)(tree);
      return unpackTar(fd, tree, "/", {
        overwrite: true,
        owner: (ids) => maps.isSingle ? { uid: 0, gid: 0 } : ids,
        makeDevices: !isRootless,
        limitBytes: DEFAULT_LAYER_LIMIT_BYTES,
        appliesRoot: true,
        noArchive: "it is no tar archive",
      });
    };
    const { quota } = planOf(engine, row);
    const options = { inherit: [fd], signal, quota, replaces: path };
    const skipped = await withStagedTree(
      engine,
      what,
      fill,
      options,
      (staged) => replaceContent(engine, row.name, staged, { what, former: identity }),
    );
    recordEvent(engine.folders, { type: "volume", action: "import", id: row.name, name: row.name });
    return { skipped };
  } finally {
    if (typeof input === "string") close(fd);
  }
}
