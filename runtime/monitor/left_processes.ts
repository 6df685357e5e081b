/**
 * What a container leaves behind that has no pid namespace of its own: there the kernel does not end all with init.
 *
 * Its processes are known by its mount namespace, which all of them share and nobody outside has.
 */

import { SIGKILL } from "../../ffi/constants/signal.ts";
import { kill } from "../../ffi/process.ts";

/** A process that is being killed is gone after this many looks, or never. */
const LOOKS = 200;

/**
 * Kills every process in the mount namespace (`mnt:[…]`), until none is left; with `id` only those that have a mount of
 * that container's: for who comes when the namespace may have gone and its number be another's. Synchronous.
 */
export function killLeftProcesses(mountNamespace: string, id?: string): void {
  for (let look = 0; look < LOOKS; look++) {
    const left = [...Deno.readDirSync("/proc")].map(({ name }) => name)
      .filter((name) => /^\d+$/.test(name) && mountNamespaceOf(name) === mountNamespace)
      .filter((name) => id === undefined || hasMountOf(name, id));
    if (left.length === 0) return;
    for (const pid of left) {
      try {
        kill(Number(pid), SIGKILL);
      } catch {
        // It has ended by itself, or became another user's by a setuid program of the host's.
      }
    }
  }
}

/** The files that skiff generates for a container are bound into it. */
function hasMountOf(pid: string, id: string): boolean {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/mountinfo`).includes(`/${id}/`);
  } catch {
    return false;
  }
}

/** Undefined where it cannot be seen. */
function mountNamespaceOf(pid: string): string | undefined {
  try {
    return Deno.readLinkSync(`/proc/${pid}/ns/mnt`);
  } catch {
    return undefined;
  }
}
