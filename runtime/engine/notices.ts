/** What a user is told once, and never again: recorded as empty files in the data folder. */

import type { Engine } from "./engine.ts";

const NOTICES = {
  "single-id": "only one user id can be mapped, so file owners inside containers are pretended",
  "data-folder": "containers and images are kept in",
  "driver": "the kernel's overlay cannot be used",
  "masked-proc":
    "a part of /proc is hidden here, so containers see this /proc and with it the processes of others",
  "containers-conf": "keys of containers.conf that have no effect here:",
  "paused-by-signal":
    "there is no cgroup freezer for this user, so the container's processes are stopped by a signal, which they and " +
    "their parents can notice (this is told once)",
} as const;

export type Notice = keyof typeof NOTICES;

/** The text where this was never told before, and remembers it; else undefined. */
export function noticeOnce(engine: Engine, notice: Notice, detail = ""): string | undefined {
  const path = `${engine.folders.data}/told-${notice}`;
  try {
    Deno.statSync(path);
    return undefined;
  } catch {
    // not told yet
  }
  try {
    Deno.writeTextFileSync(path, "", { createNew: true, mode: 0o600 });
  } catch {
    return undefined; // another command tells it just now, or the disk is full, which others will say
  }
  return NOTICES[notice] + detail;
}
