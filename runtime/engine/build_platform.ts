/** Whether RUN of another platform can be had here. */

import { UnsupportedError } from "../errors.ts";
import { formatPlatform, hostPlatform } from "../image/platform.ts";
import type { Platform } from "../spec/image.ts";

/** What QEMU calls an architecture of Go's, where it differs. @see qemu-user-static(1) */
const QEMU_NAMES: Readonly<Record<string, string>> = {
  amd64: "x86_64",
  "386": "i386",
  arm64: "aarch64",
  ppc64le: "ppc64le",
  mips64le: "mips64el",
  mipsle: "mipsel",
  loong64: "loongarch64",
};

/** Architectures whose programs the processor runs as well. */
const ALSO_RUN: Readonly<Record<string, readonly string[]>> = { amd64: ["386"], arm64: ["arm"] };

const BINFMT = "/proc/sys/fs/binfmt_misc";

/** @throws {UnsupportedError} where this machine cannot run programs of `platform` */
export function checkRunnable(
  platform: Platform,
  host: Platform = hostPlatform(),
  hasHandler: (name: string) => boolean = handlerIsEnabled,
): void {
  const { architecture } = platform;
  if (architecture === host.architecture || ALSO_RUN[host.architecture]?.includes(architecture)) return;
  const name = QEMU_NAMES[architecture] ?? architecture;
  if (hasHandler(name)) return;
  throw new UnsupportedError(
    `run a step for ${formatPlatform(platform)}: this machine is ${
      formatPlatform(host)
    } and knows no emulator`,
    { hint: `let the kernel start qemu-${name} (Debian: packages qemu-user-static and binfmt-support)` },
  );
}

function handlerIsEnabled(name: string): boolean {
  try {
    return Deno.readTextFileSync(`${BINFMT}/qemu-${name}`).startsWith("enabled");
  } catch {
    return false;
  }
}
