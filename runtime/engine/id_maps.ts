/**
 * `--userns keep-id|auto|container|ns`, `--uidmap`, `--gidmap`, `--subuidname` and `--subgidname`: the user namespace of
 * a container's own. Loaded where one is asked for.
 *
 * Without root its ids are counted in the user's shared namespace, as root they are those of the host.
 *
 * @see podman-run(1), --userns, --uidmap, --subuidname
 */

import type { RootSource } from "../container/config.ts";
import type { ResolvedExtras } from "../container/extras.ts";
import { allocateMap, parseAuto, parseKeepId } from "../container/id_map_options.ts";
import { type AvailableIds, checkMap, parseIdMaps } from "../container/id_map_words.ts";
import { ConflictError, HostError, InvalidArgumentError, UnsupportedError } from "../errors.ts";
import { mappedIdCount, nestedIdMap, type SubordinateRange } from "../namespaces/id_map.ts";
import { rangesOf } from "../namespaces/subordinate_ids.ts";
import type { IdMapping } from "../spec/runtime.ts";
import type { Database } from "../state/db.ts";
import { takeLock } from "../state/locks.ts";
import { loadConfig } from "./containers.ts";
import type { Engine } from "./engine.ts";
import type { CreateOptions } from "./options.ts";

type Maps = { uid: IdMapping[]; gid: IdMapping[] };

/** Whose ranges are for automatic user namespaces of root. @see podman-run(1), --userns auto */
const AUTO_USER = "containers";

/**
 * Puts what the options come to into `extras`, and gives who keep-id keeps. What must stay as it is until the
 * container's config is written is put into `held`.
 */
export async function resolveIdMaps(
  engine: Engine,
  db: Database,
  { options, root, user }: { options: CreateOptions; root: RootSource; user?: string },
  extras: ResolvedExtras,
  held: DisposableStack,
): Promise<{ hostUid: number; uid: number; gid: number } | undefined> {
  const { maps, isRootless } = engine.namespaces;
  const { userns } = options;
  const isMapped = options.uidMap || options.gidMap || options.subuidName || options.subgidName;
  const [kind] = userns?.split(":") ?? [];
  if (isMapped && userns) {
    throw new InvalidArgumentError(
      "--userns and --uidmap/--gidmap/--subuidname/--subgidname are mutually exclusive",
    );
  }
  if (!isMapped && kind !== "keep-id" && kind !== "auto") {
    await resolveMode(engine, db, userns!, extras);
    return undefined;
  }
  if (maps.isSingle) throw new ConflictError(`use user namespace "${userns ?? "uidmap"}": ${maps.reason}`);
  const available: AvailableIds = { uid: maps.uid, gid: maps.gid, isRootless };
  if (isMapped) {
    extras.userns = "maps";
    extras.config.idMaps = resolveMaps(options, available);
    return undefined;
  }
  if (kind === "keep-id") return keepId(engine, userns!, extras);
  const request = parseAuto(userns!, available);
  extras.userns = "auto";
  // until the container's config is written, so that two never get the same ids
  held.use(await takeLock(`${engine.folders.locks}/userns-auto`));
  const taken = mapsInUse(engine);
  const size = request.size ?? (await import("./auto_size.ts")).autoSize(engine, root, user);
  extras.config.idMaps = {
    uid: allocateMap(size, request.uid, taken.uid, rangesForAuto("uid", available)),
    gid: allocateMap(size, request.gid, taken.gid, rangesForAuto("gid", available)),
  };
  checkMap("UID", extras.config.idMaps.uid, available.uid);
  checkMap("GID", extras.config.idMaps.gid, available.gid);
  return undefined;
}

/** What has no ids of its own. */
async function resolveMode(
  engine: Engine,
  db: Database,
  userns: string,
  extras: ResolvedExtras,
): Promise<void> {
  const [kind] = userns.split(":");
  if (kind === "ns" || kind === "container") {
    const { resolveJoinedUserns } = await import("./joined_userns.ts");
    const joined = await resolveJoinedUserns(engine, db, userns);
    extras.userns = joined ? "joined" : "host";
    extras.config.idMaps = joined?.maps;
    extras.config.joinedUserns = joined?.choice;
    return;
  }
  if (kind === "private") {
    throw new InvalidArgumentError(
      "must provide at least one UID or GID mapping to configure a user namespace",
    );
  }
  if (kind !== "host" && kind !== "nomap") {
    throw new InvalidArgumentError(`unrecognized namespace mode ${userns} passed`);
  }
}

/** As root every id stays what it is: the namespace takes rights away, not numbers. */
function keepId(engine: Engine, userns: string, extras: ResolvedExtras) {
  const { uid, gid, maps, isRootless } = engine.namespaces;
  const kept = parseKeepId(userns, { uid, gid });
  extras.userns = "keep-id";
  extras.user = `${kept.uid}:${kept.gid}`;
  if (kept.uid === uid && kept.gid === gid) return isRootless ? { hostUid: uid, ...kept } : undefined;
  const named = isRootless ? kept : { uid: 0, gid: 0 };
  extras.config.idMaps = {
    uid: nestedIdMap("keep-id", named.uid, mappedIdCount(maps.uid)),
    gid: nestedIdMap("keep-id", named.gid, mappedIdCount(maps.gid)),
  };
}

/** The ranges of `--subuidname` and what `--uidmap` adds; one of the names counts for both. */
function resolveMaps(options: CreateOptions, available: AvailableIds): Maps {
  const { uidMap = [], gidMap = [] } = options;
  const subuidName = options.subuidName || options.subgidName;
  const subgidName = options.subgidName || options.subuidName;
  if (!subuidName || !subgidName) return parseIdMaps(uidMap, gidMap, available);
  if (available.isRootless) {
    throw new UnsupportedError(
      "use --subuidname or --subgidname: without root there are no ids but the user's own, which --uidmap counts",
    );
  }
  if (uidMap.length > 0 || gidMap.length > 0) {
    throw new InvalidArgumentError("--subuidname/--subgidname and --uidmap/--gidmap are mutually exclusive");
  }
  const maps = { uid: mapOfName("uid", subuidName), gid: mapOfName("gid", subgidName) };
  checkMap("UID", maps.uid, available.uid);
  checkMap("GID", maps.gid, available.gid);
  return maps;
}

/** The ranges one after another, from id 0 of the container on. */
function mapOfName(kind: "uid" | "gid", name: string): IdMapping[] {
  const ranges = rangesOf(kind, name);
  if (ranges.length === 0) {
    throw new HostError(`no sub${kind} ranges found for user "${name}" in /etc/sub${kind}`);
  }
  let next = 0;
  return ranges.map(({ start, count }) => ({
    containerID: (next += count) - count,
    hostID: start,
    size: count,
  }));
}

/** Where automatic maps are taken from: without root all ids but the user's own. */
function rangesForAuto(kind: "uid" | "gid", available: AvailableIds): SubordinateRange[] {
  if (available.isRootless) return [{ start: 1, count: mappedIdCount(available[kind]) - 1 }];
  const ranges = rangesOf(kind, AUTO_USER);
  if (ranges.length > 0) return ranges;
  throw new HostError(
    `cannot find mappings for user "${AUTO_USER}": no sub${kind} ranges found for user "${AUTO_USER}" in /etc/sub${kind}`,
    {
      hint: `a line such as ${AUTO_USER}:2147483648:2147418112 in /etc/subuid and in /etc/subgid gives some`,
    },
  );
}

/**
 * Of the other automatic user namespaces: they stay theirs for as long as there is the container. As root, of `--uidmap`
 * as well, as podman has it; without root there are too few ids to keep those of others out of each. By folders, for the
 * row of one that is just being made comes after the lock has been let go.
 */
function mapsInUse(engine: Engine): Maps {
  const taken: Maps = { uid: [], gid: [] };
  const kinds = engine.namespaces.isRootless ? ["auto"] : ["auto", "maps"];
  for (const { name: id } of Deno.readDirSync(engine.folders.containers)) {
    try {
      const { userns, idMaps } = loadConfig(engine, id);
      if (!kinds.includes(userns) || !idMaps) continue;
      taken.uid.push(...idMaps.uid);
      taken.gid.push(...idMaps.gid);
    } catch {
      // being made or removed
    }
  }
  return taken;
}
