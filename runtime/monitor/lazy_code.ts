/** Code of a monitor that few containers need: loaded as the network's is. */

import { areScripts, openCode } from "../network/lazy_code.ts";

type IdMappedModule = typeof import("./id_mapped.ts");

let idMapped: IdMappedModule | undefined;

/** To be called before the fork of a monitor. */
export async function prepareMonitorCode(): Promise<void> {
  if (areScripts) return;
  idMapped ??= await import("./id_mapped.ts");
}

/** Gives what loads the mounts with other owners, in a forked child. */
export function openIdMapped(): () => IdMappedModule {
  return openCode(idMapped, () => import("./id_mapped.ts"));
}
