/** What this machine lacks and containers do without: each told once, with what an administrator does about it. */

import { findMaskedProc, readMountTable } from "../state/mount_table.ts";
import type { DriverName } from "../storage/drivers/driver.ts";
import type { Engine } from "./engine.ts";
import { noticeOnce } from "./notices.ts";

/** What is new of it, for stderr. `driver` is the storage driver of the container, where it has one. */
export async function machineNotices(engine: Engine, driver: DriverName | undefined): Promise<string[]> {
  const { folders, namespaces } = engine;
  if (!namespaces.isRootless) return [];
  const told: (string | undefined)[] = [];
  if (folders.obstacle !== undefined) {
    const where =
      ` ${folders.data}, as ${folders.obstacle}; set XDG_DATA_HOME to a local folder of yours, for ` +
      `what lies in /var/tmp for a month may be cleared away`;
    told.push(noticeOnce(engine, "data-folder", where));
  }
  const { isSingle, reason, remedy } = namespaces.maps;
  if (isSingle) told.push(noticeOnce(engine, "single-id", `: ${reason}; ${remedy}`));
  if (driver !== undefined && driver !== "overlay" && engine.storageDriver === undefined) {
    const { explainDriver } = await import("../storage/drivers/explain.ts");
    const explained = explainDriver(engine, driver);
    if (explained !== undefined) told.push(noticeOnce(engine, "driver", ` ${explained}`));
  }
  const hidden = findMaskedProc(readMountTable());
  if (hidden !== undefined) told.push(noticeOnce(engine, "masked-proc", ` (${hidden}); ${UNMASK}`));
  return told.filter((text) => text !== undefined);
}

/** What is done about a /proc with masks. */
export const UNMASK =
  "start the outer container with --security-opt unmask=ALL (docker: systempaths=unconfined)";
