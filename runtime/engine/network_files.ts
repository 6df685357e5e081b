/**
 * /etc/hosts and /etc/resolv.conf of a container on networks: known once it has its addresses, and written over in
 * place, as they are bound into the container.
 */

import type { ContainerConfig } from "../container/config.ts";
import { readHostFiles } from "../container/folder.ts";
import { generateFiles } from "../container/generated_files.ts";
import type { NetworkAttachment } from "../network/plan.ts";
import type { Engine } from "./engine.ts";

export function writeNetworkFiles(
  engine: Engine,
  config: ContainerConfig,
  attachments: readonly NetworkAttachment[],
): void {
  const dir = engine.containerDir(config.id);
  const host = { ...readHostFiles(config.network), attachments };
  if (attachments.every(({ network }) => network.internal)) host.gateway = undefined;
  for (const { name, content } of generateFiles(config, host, engine.namespaces.isRootless)) {
    if (name === "hosts" || name === "resolv.conf") Deno.writeTextFileSync(`${dir}/${name}`, content);
  }
}
