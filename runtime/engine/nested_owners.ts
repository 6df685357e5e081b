/** What the user has made for a container, in whose user namespace the user has no number (`--userns nomap`, `auto`, …). */

import type { ContainerConfig } from "../container/config.ts";
import { generatedMounts } from "../container/folder.ts";
import type { IdMapping } from "../spec/runtime.ts";
import { volumePath } from "../storage/volumes.ts";
import type { Engine } from "./engine.ts";
import { isEmpty } from "./plan_facts.ts";

/** New volumes become those of the container's root; as real root its own /etc/hosts and the like as well. */
export async function giveToNestedRoot(
  engine: Engine,
  config: ContainerConfig,
  maps: { uid: IdMapping[]; gid: IdMapping[] },
): Promise<void> {
  if (maps.uid.some(({ hostID }) => hostID === 0)) return;
  const rootOf = (map: IdMapping[]) => map.find(({ containerID }) => containerID === 0)!.hostID;
  const [uid, gid] = [rootOf(maps.uid), rootOf(maps.gid)];
  const { isRootless } = engine.namespaces;
  const paths = config.mounts.filter((mount) => mount.kind === "volume")
    .map(({ name }) => volumePath(engine.folders, name))
    .filter((path) => isOwn(path, engine.namespaces.uid, "isDirectory") && isEmpty(path));
  if (!isRootless) {
    const dir = engine.containerDir(config.id);
    const files = generatedMounts(dir, config, undefined).map(({ source }) => source);
    paths.push(...files.filter((path) => path.startsWith(`${dir}/`) && isOwn(path, 0, "isFile")));
  }
  if (paths.length === 0) return;
  const give = () => {
    for (const path of paths) Deno.chownSync(path, uid, gid);
  };
  if (!isRootless) return give();
  const { runInNamespace } = await import("../storage/namespace_task.ts");
  await runInNamespace(engine, "own volume", give);
}

/** Not a link to something of the host. */
function isOwn(path: string, uid: number, kind: "isDirectory" | "isFile"): boolean {
  try {
    const info = Deno.lstatSync(path);
    return info[kind] && info.uid === uid;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
