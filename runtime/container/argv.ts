import type { ContainerConfig } from "./config.ts";

/** argv of the container's process. */
export function argvOf(config: Pick<ContainerConfig, "entrypoint" | "cmd">): string[] {
  return [...config.entrypoint, ...config.cmd];
}
