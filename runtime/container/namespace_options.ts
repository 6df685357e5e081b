/** `--pid`, `--ipc`, `--uts` and `--cgroupns` as data. @see podman-run(1) */

import { InvalidArgumentError, UnsupportedError } from "../errors.ts";
import type { ChosenNamespace, NamespaceChoice } from "./extras.ts";

/** What one word says; undefined is a namespace of its own. A container's id is still as the user wrote it. */
export function parseNamespace(type: ChosenNamespace, text: string | undefined): NamespaceChoice | undefined {
  if (text === undefined || text === "") return undefined;
  if (text === "private") return type === "ipc" ? { mode: "private" } : undefined;
  if (text === "host") return { mode: "host" };
  if (type === "ipc" && text === "shareable") return undefined;
  if (type === "ipc" && text === "none") return { mode: "none" };
  const [, kind, rest] = /^(container|ns):(.+)$/.exec(text) ?? [];
  if (kind !== undefined && type === "cgroup") {
    throw new UnsupportedError(`use cgroup namespace "${text}": only private and host are supported`);
  }
  if (kind === "container") return { mode: "container", id: rest! };
  if (kind === "ns") return { mode: "path", path: checkNamespacePath(type, rest!) };
  throw new InvalidArgumentError(`unrecognized namespace mode ${text} passed`);
}

/** @throws {InvalidArgumentError} where nothing is there */
export function checkNamespacePath(type: ChosenNamespace | "user", path: string): string {
  try {
    Deno.statSync(path);
  } catch (cause) {
    const reason = cause instanceof Deno.errors.NotFound ? "no such file or directory" : "permission denied";
    throw new InvalidArgumentError(
      `cannot find specified ${
        type === "user" ? type : type.toUpperCase()
      } namespace path: stat ${path}: ${reason}`,
      { cause },
    );
  }
  return path;
}
