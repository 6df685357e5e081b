/** `rename`: gives a container another name. */

import { ConflictError, NotFoundError } from "../errors.ts";
import { findContainerByName, isPodName, setContainerName } from "../state/containers.ts";
import { NAME_FILE } from "../monitor/records.ts";
import { recordContainerEvent } from "../state/events.ts";
import { checkName } from "../state/ids.ts";
import { loadConfig, observe } from "./containers.ts";
import type { Engine } from "./engine.ts";

/** Returns the id. The name is the row's; the config follows, so that the next start tells it to the monitor. */
export async function rename(engine: Engine, text: string, name: string): Promise<string> {
  checkName("container", name);
  const { row, status } = await observe(engine, text);
  const db = await engine.database();
  await db.transaction(() => {
    const taken = findContainerByName(db, name);
    if (taken && taken.id !== row.id) {
      throw new ConflictError(
        `rename container "${text}": the container name "${name}" is already in use by ${taken.id}`,
      );
    }
    if (isPodName(db, name)) {
      throw new ConflictError(`rename container "${text}": name "${name}" is in use: pod already exists`);
    }
    if (!setContainerName(db, row.id, name)) throw new NotFoundError("container", text);
  });
  const dir = engine.containerDir(row.id);
  const config = loadConfig(engine, row.id);
  Deno.writeTextFileSync(`${dir}/config.json.tmp`, JSON.stringify({ ...config, name }), { mode: 0o600 });
  Deno.renameSync(`${dir}/config.json.tmp`, `${dir}/config.json`);
  // a monitor that runs knows the old one
  Deno.writeTextFileSync(`${dir}/${NAME_FILE}.tmp`, name, { mode: 0o600 });
  Deno.renameSync(`${dir}/${NAME_FILE}.tmp`, `${dir}/${NAME_FILE}`);
  if (row.network === "bridge" && status.pid > 0) {
    // its name is looked up by others
    const { networkReload } = await import("./network_connect.ts");
    await networkReload(engine, row.id);
  }
  recordContainerEvent(engine.folders, { ...row, name }, "rename");
  return row.id;
}
