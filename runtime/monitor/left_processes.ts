/**
 * What a container leaves behind that has no pid namespace of its own: there the kernel does not end all with init.
 *
 * Its processes are known by its mount namespace, which all of them share and nobody outside has.
 */

import { SIGKILL } from "../../ffi/constants/signal.ts";
import { kill } from "../../ffi/process.ts";

/** A process that is being killed is gone after this many looks, or never. */
const LOOKS = 200;

/** Kills every process in the mount namespace (`mnt:[…]`), until none is left. Synchronous, for the monitor. */
export function killLeftProcesses(mountNamespace: string): void {
  for (let look = 0; look < LOOKS; look++) {
    const left = [...Deno.readDirSync("/proc")].map(({ name }) => name)
      .filter((name) => /^\d+$/.test(name) && mountNamespaceOf(name) === mountNamespace);
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

/** Undefined where it cannot be seen. */
function mountNamespaceOf(pid: string): string | undefined {
  try {
    return Deno.readLinkSync(`/proc/${pid}/ns/mnt`);
  } catch {
    return undefined;
  }
}
