/** `container clone --pod`: what was made outside of a pod is changed to be of it. */

import type { ContainerConfig } from "../../container/config.ts";
import { loadConfig } from "../containers.ts";
import type { Engine } from "../engine.ts";
import { findPod } from "./find.ts";
import { membershipOf, networkOf, OWN_PORTS, refusal } from "./join.ts";

/** @throws {InvalidArgumentError} where it has of its own what the pod has for all */
export async function moveInto(engine: Engine, text: string, config: ContainerConfig): Promise<void> {
  const pod = findPod(await engine.database(), text);
  config.pod = membershipOf(pod);
  if (pod.infraId === undefined) return;
  const { share } = pod.document;
  if (share.includes("net")) {
    if (config.ports) throw refusal(OWN_PORTS);
    config.network = networkOf(engine, pod.infraId);
    // the files are the pod's
    config.hosts = config.resolver = undefined;
  }
  for (const type of ["ipc", "pid", "uts"] as const) {
    if (!share.includes(type)) continue;
    config.namespaces = { ...config.namespaces, [type]: { mode: "container", id: pod.infraId } };
  }
  if (share.includes("uts")) setHostname(config, loadConfig(engine, pod.infraId).hostname);
}

/** As `hostname` and as the variable. */
export function setHostname(config: ContainerConfig, hostname: string): void {
  config.env = config.env.map((word) =>
    word === `HOSTNAME=${config.hostname}` ? `HOSTNAME=${hostname}` : word
  );
  config.hostname = hostname;
}
