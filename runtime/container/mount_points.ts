/** Where a container's root has something only because it is mounted upon. */

import type { ContainerConfig } from "./config.ts";
import { generatedMounts } from "./folder.ts";

/** What the kernel's file systems are mounted on, and what a container with one id may get. */
const ALWAYS = [
  "/dev",
  "/etc/apt/apt.conf.d/90skiff-single-id",
  "/etc/hosts",
  "/etc/resolv.conf",
  "/proc",
  "/run/secrets",
  "/sys",
];

/** Absolute paths: starts have made them where the image has no such thing. */
export function mountPoints(config: ContainerConfig): string[] {
  return [
    ...ALWAYS,
    ...generatedMounts("", config, undefined).map(({ destination }) => destination),
    ...config.mounts.map(({ destination }) => destination),
    ...(config.secrets ?? []).flatMap((secret) => secret.kind === "mount" ? [secret.destination] : []),
  ];
}
