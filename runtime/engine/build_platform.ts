/** Whether RUN of another platform can be had here. */

import { UnsupportedError } from "../errors.ts";
import { formatPlatform, hostPlatform } from "../image/platform.ts";
import type { Platform } from "../spec/image.ts";
import { emulatorRemedy, findEmulator, runsNatively } from "./emulator.ts";

/** @throws {UnsupportedError} where this machine cannot run programs of `platform` */
export function checkRunnable(platform: Platform, host: Platform = hostPlatform(), folder?: string): void {
  if (runsNatively(platform, host) || findEmulator(platform, folder) !== undefined) return;
  throw new UnsupportedError(
    `run a step for ${formatPlatform(platform)}: this machine is ${
      formatPlatform(host)
    } and knows no emulator`,
    { hint: emulatorRemedy(platform) },
  );
}
