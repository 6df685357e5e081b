/** Which containers a command is about: names, --all, --latest, --filter, --cidfile. */

import type { Engine } from "../runtime/engine/engine.ts";
import { hostReason, InvalidArgumentError } from "../runtime/errors.ts";

export interface Selection {
  args: readonly string[];
  all?: boolean;
  latest?: boolean;
  filter?: readonly string[];
  cidfile?: readonly string[];
  /** A missing --cidfile is no error. */
  ignore?: boolean;
  /** With --all, only those that run. */
  onlyRunning?: boolean;
}

const NONE_GIVEN = "you must provide at least one name or id";

/** Names or ids, as they were given where they were. @throws {InvalidArgumentError} */
export async function selectContainers(
  engine: Engine,
  selection: Selection,
  noneGiven = NONE_GIVEN,
): Promise<string[]> {
  const { args, all = false, latest = false, filter = [], cidfile = [], onlyRunning } = selection;
  if (all && latest) throw new InvalidArgumentError("--all and --latest cannot be used together");
  if (args.length > 0) {
    if (all) throw new InvalidArgumentError("no arguments are needed with --all");
    if (latest) throw new InvalidArgumentError("--latest and containers cannot be used together");
    if (filter.length > 0) throw new InvalidArgumentError("--filter takes no arguments");
  }
  if (all || latest || filter.length > 0) return await listed(engine, { all, latest, filter, onlyRunning });
  const targets = [...args, ...cidfile.flatMap((path) => readCidfile(path, selection.ignore ?? false))];
  if (targets.length === 0 && cidfile.length === 0) throw new InvalidArgumentError(noneGiven);
  return targets;
}

interface Listing {
  all: boolean;
  latest: boolean;
  filter: readonly string[];
  onlyRunning?: boolean;
}

async function listed(
  engine: Engine,
  { all, latest, filter, onlyRunning }: Listing,
): Promise<string[]> {
  const { ps } = await import("../runtime/engine/ps.ts");
  let containers = await ps(engine, { all: !(all && onlyRunning) });
  if (filter.length > 0) {
    const { filterContainers } = await import("./filters/containers.ts");
    const { mountSources } = await import("../runtime/engine/mount_sources.ts");
    containers = filterContainers(containers, filter, containers, (id) => mountSources(engine, id));
  }
  if (latest) containers = containers.slice(0, 1);
  if (latest && containers.length === 0) throw new InvalidArgumentError("no such container");
  return containers.map(({ Id }) => Id);
}

function readCidfile(path: string, ignore: boolean): string[] {
  try {
    const [id = ""] = Deno.readTextFileSync(path).split("\n");
    return [id.trim()];
  } catch (cause) {
    if (ignore && cause instanceof Deno.errors.NotFound) return [];
    throw new InvalidArgumentError(`reading CIDFile: open ${path}: ${hostReason(cause)}`, { cause });
  }
}
