/** What is wrong with a container's mounts, told before an image is pulled for it. */

import { parseMount } from "../container/mount_flag.ts";
import { combineMounts, type ContainerMount, parseTmpfs, parseVolume } from "../container/mount_options.ts";
import type { Database } from "../state/db.ts";
import { checkBindSources } from "./bind_sources.ts";
import { resolveMount, volumesFrom } from "./create_mounts.ts";
import type { Engine } from "./engine.ts";
import type { CreateOptions } from "./options.ts";
import { planVolumeOptions } from "./volume_options.ts";

/** Throws what `create` would once it has the image. Images that are mounted are looked for then: one may be that very one. */
export function checkMountsEarly(
  engine: Engine,
  db: Database,
  options: CreateOptions,
  workingFolder: string,
): void {
  const resolve = (text: string): ContainerMount[] => {
    const mount = parseMount(text, workingFolder);
    return mount.kind === "image" ? [mount] : resolveMount(engine, db, text, workingFolder);
  };
  const requested = [
    ...(options.volumes ?? []).map((text) => parseVolume(text, workingFolder)),
    ...(options.mounts ?? []).flatMap(resolve),
    ...(options.tmpfs ?? []).map(parseTmpfs),
  ];
  for (const text of options.volumesFrom ?? []) volumesFrom(engine, db, text);
  checkBindSources(combineMounts(requested, []));
  for (const mount of requested) {
    if (mount.kind !== "volume" || !mount.make?.options || (mount.make.driver ?? "local") !== "local") {
      continue;
    }
    planVolumeOptions(mount.make.options, engine.namespaces.isRootless);
  }
}
