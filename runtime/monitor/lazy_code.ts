/** Code of a monitor that few containers need: loaded as the network's is. */

import { prepareInitCode } from "../init/lazy_code.ts";
import { areScripts, openCode } from "../network/lazy_code.ts";

type IdMappedModule = typeof import("./id_mapped.ts");
type LockedBindsModule = typeof import("./locked_binds.ts");
type RuntimeHooksModule = typeof import("./runtime_hooks.ts");
type JournalLogModule = typeof import("./journal_log.ts");

let idMapped: IdMappedModule | undefined;
let lockedBinds: LockedBindsModule | undefined;
let runtimeHooks: RuntimeHooksModule | undefined;
let journalLog: JournalLogModule | undefined;

/** To be called before the fork of a monitor. */
export async function prepareMonitorCode(): Promise<void> {
  if (areScripts) return;
  idMapped ??= await import("./id_mapped.ts");
  lockedBinds ??= await import("./locked_binds.ts");
  runtimeHooks ??= await import("./runtime_hooks.ts");
  journalLog ??= await import("./journal_log.ts");
  await prepareInitCode();
}

/** Gives what loads the mounts with other owners, in a forked child. */
export function openIdMapped(): () => IdMappedModule {
  return openCode(idMapped, () => import("./id_mapped.ts"));
}

/** The same for what keeps a container's root from changing the flags of mounts. */
export function openLockedBinds(): () => LockedBindsModule {
  return openCode(lockedBinds, () => import("./locked_binds.ts"));
}

/** The same for what runs hooks outside of the container. */
export function openRuntimeHooks(): () => RuntimeHooksModule {
  return openCode(runtimeHooks, () => import("./runtime_hooks.ts"));
}

/** The same for what writes to the journal. */
export function openJournalLog(): () => JournalLogModule {
  return openCode(journalLog, () => import("./journal_log.ts"));
}
