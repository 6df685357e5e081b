/** Code of init that few containers need: loaded as the monitor's is. */

import { areScripts, openCode } from "../network/lazy_code.ts";

type HooksModule = typeof import("./hooks.ts");

let hooks: HooksModule | undefined;

/** To be called before the fork of a monitor. */
export async function prepareInitCode(): Promise<void> {
  if (!areScripts) hooks ??= await import("./hooks.ts");
}

/** Gives what loads what runs hooks, in a forked child that still sees this machine's files. */
export function openHooks(): () => HooksModule {
  return openCode(hooks, () => import("./hooks.ts"));
}
