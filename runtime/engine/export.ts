/** `export`: the files of a container as one tar archive. */

import { close, open } from "../../ffi/file.ts";
import { O_CLOEXEC, O_CREAT, O_TRUNC, O_WRONLY } from "../../ffi/constants/fcntl.ts";
import { recordContainerEvent } from "../state/events.ts";
import type { Engine } from "./engine.ts";

export interface ExportOptions {
  /** A file of the host; by default standard output. */
  output?: string;
  signal?: AbortSignal;
}

export interface ExportResult {
  /** What no archive can hold: sockets. */
  skipped: { count: number; examples: string[] };
}

/**
 * Writes the root filesystem of a container, running or not, without volumes, bind mounts and what the kernel
 * mounts there: as docker and podman do.
 */
export async function exportContainer(
  engine: Engine,
  text: string,
  options: ExportOptions = {},
): Promise<ExportResult> {
  const [{ withContainers }, { exportRoot }, { runFileTask }] = await Promise.all([
    import("./container_view.ts"),
    import("../files/export_task.ts"),
    import("../files/task.ts"),
  ]);
  return await withContainers(engine, [text], async ([container]) => {
    const { row, view, nested } = container!;
    const flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
    const fd = options.output === undefined ? 1 : open(options.output, flags, 0o666);
    try {
      const work = () => exportRoot(view, nested, fd);
      const skipped = await runFileTask(engine.namespaces, work, options.signal, fd === 1 ? [] : [fd]);
      recordContainerEvent(engine.folders, row, "export");
      return { skipped };
    } finally {
      if (fd !== 1) close(fd);
    }
  }, options.signal);
}
