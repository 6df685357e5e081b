/** What `rm` does with a pod's infra container, which goes with its pod only. */

import type { ContainerRow } from "../../state/containers.ts";
import type { Database } from "../../state/db.ts";
import { findPods } from "../../state/pods.ts";
import type { Engine } from "../engine.ts";
import { DependentsError, type RmOptions } from "../rm.ts";
import { podRm } from "./rm.ts";

/**
 * Removes the pod where all that depends on the container is to go as well; whether it was one.
 *
 * @throws {DependentsError} where nobody said that the others are to go
 */
export async function rmInfra(
  engine: Engine,
  db: Database,
  row: ContainerRow,
  { depend, force, timeoutSeconds }: RmOptions,
): Promise<boolean> {
  const [pod] = findPods(db, row.pod!);
  if (pod?.infraId !== row.id) return false;
  if (!depend) {
    throw new DependentsError(
      `container ${row.id} is the infra container of pod ${pod.id} and cannot be removed without removing the pod`,
    );
  }
  await podRm(engine, pod.id, { force, timeoutSeconds, ignore: true });
  return true;
}
