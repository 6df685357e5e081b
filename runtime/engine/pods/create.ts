/** `pod create`. */

import { syncContainerFiles } from "../../container/folder.ts";
import { parseRestartPolicy } from "../../container/lifecycle_options.ts";
import { ConflictError, InvalidArgumentError, UnsupportedError } from "../../errors.ts";
import { close } from "../../../ffi/file.ts";
import { findContainerByName, isPodName } from "../../state/containers.ts";
import type { Database } from "../../state/db.ts";
import { checkName, randomId, randomName } from "../../state/ids.ts";
import { recordEvent } from "../../state/events.ts";
import { findPods, insertPod } from "../../state/pods.ts";
import { reserveCidfile } from "../cidfile.ts";
import { timestamp } from "../clock.ts";
import { prepareCreate } from "../create.ts";
import type { Engine } from "../engine.ts";
import type { CreateHooks } from "../root_source.ts";
import type { Pod } from "./find.ts";
import { infraOptions } from "./infra.ts";
import type { PodCreateOptions, SharedNamespace } from "./options.ts";
import { podRm } from "./rm.ts";

export interface CreatedPod {
  id: string;
  name: string;
  /** For stderr. */
  warnings: string[];
}

const SHARED: readonly SharedNamespace[] = ["ipc", "net", "uts"];
const PUBLISHING = "you must have an infra container to publish port bindings to the host";

/** Makes a pod, and its infra container, which waits for the first of the pod's containers. */
export async function podCreate(
  engine: Engine,
  options: PodCreateOptions,
  hooks: Pick<CreateHooks, "signal" | "progress"> = {},
): Promise<CreatedPod> {
  const { infra = true } = options;
  const share = infra ? options.share ?? SHARED : [];
  checkOptions(options, infra);
  const db = await engine.database();
  if (options.replace && options.name !== undefined && findPods(db, options.name)[0]?.name === options.name) {
    await podRm(engine, options.name, { force: true });
  }
  const file = options.podIdFile === undefined ? undefined : reserveCidfile(options.podIdFile, "pod");
  try {
    for (let attempt = 0;; attempt++) {
      const made = await tryCreate(engine, db, { options, share: [...share] }, attempt, hooks);
      if (made === undefined) continue;
      file?.write(made.id);
      recordEvent(engine.folders, { type: "pod", action: "create", id: made.id, name: made.name });
      return made;
    }
  } catch (error) {
    file?.discard();
    throw error;
  }
}

function checkOptions(options: PodCreateOptions, infra: boolean): void {
  if (options.name !== undefined) checkName("pod", options.name);
  if (options.infraName !== undefined) checkName("container", options.infraName);
  if (options.restart !== undefined) parseRestartPolicy(options.restart);
  if (infra) return;
  if (options.publish?.length) throw new InvalidArgumentError(PUBLISHING);
  if (options.network !== undefined) {
    throw new InvalidArgumentError("NoInfra and network modes cannot be used together");
  }
}

/** undefined where the name that was drawn has been taken. */
async function tryCreate(
  engine: Engine,
  db: Database,
  document: Pod["document"],
  attempt: number,
  hooks: Pick<CreateHooks, "signal" | "progress">,
): Promise<CreatedPod | undefined> {
  const { options } = document;
  const pod: Pod = {
    id: randomId(),
    name: options.name ?? randomName(attempt),
    createdAt: timestamp(),
    labels: options.labels ?? {},
    document,
  };
  const made = { id: pod.id, name: pod.name, warnings: [] as string[] };
  try {
    if (options.infra === false) await db.transaction(() => insert(db, pod));
    else made.warnings = await createInfra(engine, db, pod, hooks);
    return made;
  } catch (error) {
    if (error instanceof PodNameError && options.name === undefined && attempt < 10) return undefined;
    throw error;
  }
}

class PodNameError extends ConflictError {}

/** In the transaction that makes the infra container one. */
function insert(db: Database, pod: Pod): void {
  const other = isPodName(db, pod.name) ? "pod" : findContainerByName(db, pod.name) ? "container" : undefined;
  if (other !== undefined) {
    throw new PodNameError(`adding pod to state: name "${pod.name}" is in use: ${other} already exists`);
  }
  insertPod(db, pod);
}

async function createInfra(
  engine: Engine,
  db: Database,
  pod: Pod,
  hooks: Pick<CreateHooks, "signal" | "progress">,
): Promise<string[]> {
  const { options, share } = pod.document;
  if (options.userns && options.userns !== "host" && share.includes("ipc")) {
    throw new UnsupportedError(
      `use user namespace "${options.userns}" for a pod: its containers cannot share the ipc namespace then`,
      { hint: "--share net,uts" },
    );
  }
  const prepared = await prepareCreate(engine, infraOptions(pod, options, share), {
    ...hooks,
    ...(options.infraImage === undefined && { root: { root: { kind: "infra" }, imageName: "" } }),
    pod: { id: pod.id },
    insert: (config) => insert(db, { ...pod, infraId: config.id }),
  }, 0);
  try {
    await syncContainerFiles(engine.containerDir(prepared.config.id));
    await prepared.record("created");
    return prepared.warnings;
  } catch (error) {
    prepared.discard();
    throw error;
  } finally {
    close(prepared.lockFd);
  }
}
