/** `container prune`: removes what does not run. */

import { ConflictError } from "../errors.ts";
import type { Engine } from "./engine.ts";
import type { ContainerListEntry } from "./ps.ts";
import { rm } from "./rm.ts";

/** Gives the ids of those that were removed, among `candidates`; who was started meanwhile stays. */
export async function* pruneContainers(
  engine: Engine,
  candidates: readonly Pick<ContainerListEntry, "Id" | "State" | "Pod">[],
): AsyncGenerator<string> {
  for (const { Id, State, Pod } of candidates) {
    // as podman: those of pods go with their pod
    if ((State !== "exited" && State !== "created") || Pod !== "") continue;
    try {
      if (await rm(engine, Id, { ignore: true })) yield Id;
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
    }
  }
}
