/**
 * Folders that a build works in: `tmp/steps-<random>` of the data folder, held locked while they are used. One that
 * nobody holds was left by a build that was killed, and goes with the next one's.
 */

import { removeTree } from "../storage/remove_tree.ts";
import { removeInNamespace } from "../storage/removal.ts";
import { makeWorkFolder } from "../storage/work_folder.ts";
import { close, Fd, flock, open } from "../../ffi/file.ts";
import {
  AT_FDCWD,
  LOCK_EX,
  LOCK_NB,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
} from "../../ffi/constants/fcntl.ts";
import type { BuildServices } from "./services.ts";

const PREFIX = "steps-";
/** What `tmp` holds under this name is removed by whoever comes by. */
const TRASH = "rm-";

/** A folder of this process's own. */
export interface Scratch extends AsyncDisposable {
  path: string;
}

/** Makes one; what other builds left behind is removed on the way. */
export async function makeScratch(services: Pick<BuildServices, "folders" | "namespaces">): Promise<Scratch> {
  const { tmp } = services.folders;
  using parent = new Fd(open(tmp, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  const { fd, name } = makeWorkFolder(parent.number, PREFIX);
  const path = `${tmp}/${name}`;
  await removeAbandoned(services, name);
  let isGone = false;
  return {
    path,
    async [Symbol.asyncDispose]() {
      if (isGone) return;
      isGone = true;
      await discard(services, path);
      close(fd);
    },
  };
}

async function removeAbandoned(
  services: Pick<BuildServices, "folders" | "namespaces">,
  own: string,
): Promise<void> {
  const { tmp } = services.folders;
  for (const { name } of [...Deno.readDirSync(tmp)]) {
    if (!name.startsWith(PREFIX) || name === own) continue;
    // held until it is away, or who is just making it could take the lock and lose the folder
    using held = tryLock(`${tmp}/${name}`);
    if (held !== undefined) await discard(services, `${tmp}/${name}`).catch(() => {}); // another build was faster
  }
}

async function discard(services: Pick<BuildServices, "folders" | "namespaces">, path: string): Promise<void> {
  const trash = `${services.folders.tmp}/${TRASH}${crypto.randomUUID()}`;
  Deno.renameSync(path, trash);
  try {
    removeTree(AT_FDCWD, trash);
  } catch {
    // files of subordinate ids
    await removeInNamespace(services, [trash]);
  }
}

/** Undefined where it is in use, or gone. */
function tryLock(path: string): Fd | undefined {
  let fd = -1;
  try {
    fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    flock(fd, LOCK_EX | LOCK_NB);
    return new Fd(fd);
  } catch {
    if (fd !== -1) close(fd);
    return undefined;
  }
}
