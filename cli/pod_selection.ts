/** Which pods a command is about: names, --all, --latest, --pod-id-file. */

import type { Engine } from "../runtime/engine/engine.ts";
import { pods } from "../runtime/engine/pods/list.ts";
import { InvalidArgumentError } from "../runtime/errors.ts";
import type { Flags } from "./command.ts";

export const LATEST_POD = {
  latest: { kind: "bool", short: "l", help: "Act on the pod created last" },
} as const satisfies Flags;

export const POD_ID_FILE = {
  "pod-id-file": { kind: "array", value: "FILE", help: "Read the pod's id from FILE" },
} as const satisfies Flags;

export interface PodSelection {
  args: readonly string[];
  all?: boolean;
  latest?: boolean;
  "pod-id-file"?: readonly string[];
}

/** Names or ids, as they were given where they were. @throws {InvalidArgumentError} */
export async function selectPods(engine: Engine, selection: PodSelection): Promise<string[]> {
  const { args, all = false, latest = false, "pod-id-file": files = [] } = selection;
  if (all && latest) throw new InvalidArgumentError("--all and --latest cannot be used together");
  if (args.length > 0 && all) throw new InvalidArgumentError("no arguments are needed with --all");
  if (args.length > 0 && latest) {
    throw new InvalidArgumentError("--latest and pods cannot be used together");
  }
  if (all || latest) {
    const ids = (await pods(engine)).map(({ Id }) => Id);
    if (latest && ids.length === 0) throw new InvalidArgumentError("no such pod");
    return latest ? ids.slice(0, 1) : ids;
  }
  const targets = [...args];
  if (files.length > 0) {
    const { readPodIdFile } = await import("./flags/create.ts");
    targets.push(...files.map((path) => readPodIdFile(path, Deno.readTextFileSync)));
  }
  if (targets.length === 0) throw new InvalidArgumentError("you must provide at least one name or id");
  return targets;
}
