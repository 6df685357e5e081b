/**
 * Whether what a plugin says it has mounted may be shown to a container: a folder that nobody but root, the caller and
 * the plugin's own folders lead to. What is in it may belong to anybody.
 *
 * It is used with the caller's own rights. So the lie that counts is a path that another user could exchange after it was
 * looked at, one of the kernel's file systems, and the place where skiff keeps its database and keys.
 */

import { HostError } from "../../errors.ts";
import type { Folders } from "../../state/folders.ts";
import { printable } from "../../spec/printable.ts";

/** Folders of the kernel, in which no plugin mounts. */
const KERNEL = ["/proc", "/sys", "/dev"];

/** Gives the folder without links. @throws {HostError} */
export function checkMountpoint(folders: Folders, plugin: string, path: string): string {
  const fail = (cause: string) =>
    new HostError(`volume plugin "${plugin}": its mount point "${printable(path.slice(0, 300))}" ${cause}`);
  if (path === "") throw fail("is empty");
  if (!path.startsWith("/") || path.includes("\0")) throw fail("is no absolute path");
  if (path.split("/").includes("..")) throw fail("climbs by ..");
  let real: string;
  try {
    real = Deno.realPathSync(path);
    if (!Deno.statSync(real).isDirectory) throw fail("is no folder");
  } catch (error) {
    if (error instanceof HostError) throw error;
    throw fail(error instanceof Deno.errors.NotFound ? "is not there" : "cannot be looked at");
  }
  const kernel = KERNEL.find((folder) => real === folder || real.startsWith(`${folder}/`));
  if (kernel !== undefined) throw fail(`lies in ${kernel}`);
  for (const own of [folders.data, folders.run].map((folder) => Deno.realPathSync(folder))) {
    if (real === own || real.startsWith(`${own}/`)) throw fail("lies in skiff's own folder");
    if (real === "/" || own.startsWith(`${real}/`)) throw fail("holds skiff's own folder");
  }
  const above = real.split("/").slice(1, -1);
  for (let depth = 0; depth <= above.length; depth++) {
    const folder = `/${above.slice(0, depth).join("/")}`;
    const { uid, mode } = Deno.statSync(folder);
    // with the sticky bit only the owner of an entry can exchange it
    const isOpen = ((mode ?? 0) & 0o022) !== 0 && ((mode ?? 0) & 0o1000) === 0;
    if ((uid !== 0 && uid !== Deno.uid()) || isOpen) {
      throw fail(`can be exchanged by others: "${folder}" is theirs`);
    }
    if (((mode ?? 0) & 0o1000) === 0) continue;
    const entry = `${folder === "/" ? "" : folder}/${
      [...above, real.slice(real.lastIndexOf("/") + 1)][depth]
    }`;
    const owner = Deno.statSync(entry).uid;
    if (owner !== 0 && owner !== Deno.uid()) throw fail(`can be exchanged by others: "${entry}" is theirs`);
  }
  return real;
}
