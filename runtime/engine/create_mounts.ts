/** `--mount` and `--volumes-from`: what they come to needs the store. Loaded where one of them is used. */

import { parseMount } from "../container/mount_flag.ts";
import { type ContainerMount, parseVolume } from "../container/mount_options.ts";
import { InvalidArgumentError, NotFoundError, UnsupportedError } from "../errors.ts";
import { findPlatformImage } from "../image/list.ts";
import { HOST_IMAGE } from "../image/store.ts";
import type { ImageConfig } from "../spec/image.ts";
import type { Database } from "../state/db.ts";
import { findRow, loadConfig } from "./containers.ts";
import type { Engine } from "./engine.ts";
import { expandGlob } from "./glob_mounts.ts";
import type { CreateOptions } from "./options.ts";

/** The mounts of both options; an image must be stored already, as with podman. */
export function resolveAskedMounts(
  engine: Engine,
  db: Database,
  options: CreateOptions,
  workingFolder: string,
): { requested: ContainerMount[]; inherited: ContainerMount[] } {
  const parse = (text: string) => resolveMount(engine, db, text, workingFolder);
  const requested = (options.mounts ?? []).flatMap(parse);
  // where two have a volume at one place, podman takes the last container's
  const inherited = new Map<string, ContainerMount>();
  const defaults = [
    ...(options.defaultVolumes ?? []).map((text) => parseVolume(text, workingFolder)),
    ...(options.defaultMounts ?? []).flatMap(parse),
  ];
  for (const mount of defaults) inherited.set(mount.destination, mount);
  for (const text of options.volumesFrom ?? []) {
    for (const mount of volumesFrom(engine, db, text)) inherited.set(mount.destination, mount);
  }
  return { requested, inherited: [...inherited.values()] };
}

/** What one `--mount` comes to; of a glob as many as match. */
export function resolveMount(
  engine: Engine,
  db: Database,
  text: string,
  workingFolder: string,
): ContainerMount[] {
  const mount = parseMount(text, workingFolder);
  if (mount.kind === "glob") return expandGlob(mount);
  // the built-in image has no layers
  if (mount.kind === "image" && mount.image !== HOST_IMAGE) mount.diffIds = diffIdsOf(db, mount.image);
  if (engine.namespaces.isRootless && mount.kind === "tmpfs" && mount.options.includes("noswap")) {
    throw new UnsupportedError(
      `mount "${text}": noswap is not supported: the kernel keeps it from users without root`,
    );
  }
  return [mount];
}

function diffIdsOf(db: Database, name: string): string[] {
  const found = findPlatformImage(db, name);
  if (!found) throw new NotFoundError("image", name, { hint: `pull it first: skiff pull ${name}` });
  return (JSON.parse(found.image.config) as ImageConfig).rootfs.diff_ids;
}

/** Binds and volumes of the container that `text` names; a tmpfs belongs to its container alone. */
export function volumesFrom(engine: Engine, db: Database, text: string): ContainerMount[] {
  const at = text.indexOf(":");
  const words = at < 0 ? [] : text.slice(at + 1).split(",");
  const access = words.filter((word) => word === "ro" || word === "rw");
  for (const word of words) {
    if (["ro", "rw", "z"].includes(word)) continue;
    throw new InvalidArgumentError(
      `invalid option "${word}" specified - volumes from another container can only use z,ro,rw options`,
    );
  }
  if (access.length > 1) throw new InvalidArgumentError("cannot set ro or rw options more than once");
  const { id } = findRow(db, at < 0 ? text : text.slice(0, at));
  return loadConfig(engine, id).mounts.flatMap((mount): ContainerMount[] => {
    if (mount.kind !== "bind" && mount.kind !== "volume") return [];
    const shared = { ...mount, readOnly: mount.readOnly || access[0] === "ro", giveToUser: undefined };
    return [shared.kind === "bind" ? shared : { ...shared, anonymous: false }];
  });
}
