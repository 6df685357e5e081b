/**
 * `--userns container:ID` and `--userns ns:PATH`: the user namespace of another container, a nested one whose ids are
 * counted in the user's shared one. Loaded where one is joined.
 *
 * @see podman-run(1), --userns; ioctl_nsfs(2)
 */

import { SyscallError } from "../../ffi/errno.ts";
import { Fd, fstat, ioctl, open } from "../../ffi/file.ts";
import { setns } from "../../ffi/namespaces.ts";
import { O_CLOEXEC, O_RDONLY } from "../../ffi/constants/fcntl.ts";
import { NS_GET_PARENT } from "../../ffi/constants/ioctl.ts";
import { CLONE_NEWUSER } from "../../ffi/constants/sched.ts";
import type { JoinedUserns } from "../container/extras.ts";
import { checkNamespacePath } from "../container/namespace_options.ts";
import { InvalidArgumentError, UnsupportedError } from "../errors.ts";
import { parseIdMap } from "../namespaces/id_map.ts";
import type { Database } from "../state/db.ts";
import type { NestedMaps } from "../storage/layer_copy.ts";
import { loadConfig, observeRunning } from "./containers.ts";
import type { Engine } from "./engine.ts";
import { findOther } from "./joined_namespaces.ts";
import { nestedMaps } from "./nested_maps.ts";

/** What the option comes to; undefined is the user's shared namespace. `text` is `container:ID` or `ns:PATH`. */
export async function resolveJoinedUserns(
  engine: Engine,
  db: Database,
  text: string,
): Promise<{ choice: JoinedUserns; maps: NestedMaps } | undefined> {
  const at = text.indexOf(":");
  const [kind, value] = at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
  if (value === "") {
    const mode = kind === "ns" ? "path" : "container";
    throw new InvalidArgumentError(`invalid config provided: namespace mode ${mode} requires a value`);
  }
  if (kind === "container") {
    const { id } = findOther(db, value, "user");
    const theirs = loadConfig(engine, id);
    const maps = nestedMaps(engine, theirs);
    return maps && { choice: theirs.joinedUserns ?? { mode: "container", id }, maps };
  }
  const path = checkNamespacePath("user", value);
  const maps = await readMaps(engine, path);
  return maps && { choice: { mode: "path", path }, maps };
}

/** The namespace file of what was resolved, right before a start. */
export async function findJoinedUserns(
  engine: Engine,
  choice: JoinedUserns,
  maps: NestedMaps,
): Promise<string> {
  if (choice.mode === "container") {
    const { status } = await observeRunning(engine, choice.id, "join the user namespace of");
    return `/proc/${status.pid}/ns/user`;
  }
  const path = checkNamespacePath("user", choice.path);
  if (JSON.stringify(await readMaps(engine, path)) === JSON.stringify(maps)) return path;
  throw new InvalidArgumentError(
    `use user namespace "ns:${path}": it has other ids than when the container was created`,
  );
}

/** Undefined where it is the shared namespace itself. */
async function readMaps(engine: Engine, path: string): Promise<NestedMaps | undefined> {
  const { runFileTask } = await import("../files/task.ts");
  const texts = await runFileTask(engine.namespaces, () => {
    using own = new Fd(open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC));
    using other = new Fd(open(path, O_RDONLY | O_CLOEXEC));
    if (isSame(own.number, other.number)) return null;
    if (!isParent(own.number, other.number)) return { foreign: true as const };
    setns(other.number, CLONE_NEWUSER);
    return {
      uid: Deno.readTextFileSync("/proc/self/uid_map"),
      gid: Deno.readTextFileSync("/proc/self/gid_map"),
    };
  });
  if (texts === null) return undefined;
  if ("foreign" in texts) {
    throw new UnsupportedError(
      `use user namespace "ns:${path}": it is no user namespace of a container, and files of containers have no ids there`,
    );
  }
  return { uid: parseIdMap(texts.uid), gid: parseIdMap(texts.gid) };
}

function isSame(one: number, other: number): boolean {
  const [a, b] = [fstat(one), fstat(other)];
  return a.ino === b.ino && a.devMajor === b.devMajor && a.devMinor === b.devMinor;
}

function isParent(own: number, other: number): boolean {
  try {
    using parent = new Fd(ioctl(other, NS_GET_PARENT, 0));
    return isSame(own, parent.number);
  } catch (error) {
    // EPERM: beyond this user's; EINVAL, ENOTTY: another kind of namespace, or none at all
    if (error instanceof SyscallError) return false;
    throw error;
  }
}
