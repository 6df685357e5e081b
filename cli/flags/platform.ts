/** Options that choose among the platforms of an image, and how a registry is reached. */

import { InvalidArgumentError } from "../../runtime/errors.ts";
import type { Flags } from "../command.ts";

export const PLATFORM_FLAGS = {
  platform: { kind: "string", value: "OS/ARCH[/VARIANT]", help: "Choose the image for this platform" },
  arch: { kind: "string", help: "Architecture of the image", hidden: true },
  os: { kind: "string", help: "Operating system of the image", hidden: true },
  variant: { kind: "string", help: "Variant of the architecture of the image", hidden: true },
} as const satisfies Flags;

interface PlatformWords {
  platform: string | undefined;
  arch: string | undefined;
  os: string | undefined;
  variant: string | undefined;
}

/** `--platform`, or what --os, --arch and --variant come to; undefined where the machine's is meant. */
export function platformFrom({ platform, arch, os, variant }: PlatformWords): string | undefined {
  if (platform !== undefined) {
    if (arch ?? os) {
      throw new InvalidArgumentError("--platform option can not be specified with --arch or --os");
    }
    return platform;
  }
  if (arch === undefined && os === undefined && variant === undefined) return undefined;
  const machine = Deno.build.arch === "aarch64" ? "arm64" : "amd64";
  return [os ?? "linux", arch ?? machine, ...(variant === undefined ? [] : [variant])].join("/");
}
