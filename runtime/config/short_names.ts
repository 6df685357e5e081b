/**
 * From a short name to the images it may mean.
 *
 * @see containers-registries.conf(5), SHORT-NAME ALIASING
 */
import { InvalidArgumentError } from "../errors.ts";
import type { RegistriesConf } from "./registries_conf.ts";

export interface ShortNameAnswer {
  /** Names with a registry, without tag and digest, in the order they are to be tried. */
  candidates: string[];
  /** For a line of progress: why these. */
  origin: "alias" | "search" | "default";
}

/**
 * Resolves the path of a short name.
 * @param path as written, `busybox` or `team/app`
 * @throws InvalidArgumentError in enforcing mode when several registries are configured: skiff asks no questions
 */
export function resolveShortName(conf: RegistriesConf, path: string): ShortNameAnswer {
  const alias = conf.shortNameMode !== "disabled" && Object.hasOwn(conf.aliases, path)
    ? conf.aliases[path]
    : undefined;
  if (alias !== undefined) return { candidates: [alias], origin: "alias" };
  const search = conf.unqualifiedSearch;
  if (search === undefined || search.length === 0) {
    return { candidates: [`docker.io/${path}`], origin: "default" };
  }
  if (conf.shortNameMode === "enforcing" && search.length > 1) {
    throw new InvalidArgumentError(`resolve short name "${path}": registries.conf names several registries`, {
      hint: `write one of ${search.map((s) => `${s}/${path}`).join(", ")}`,
    });
  }
  return { candidates: search.map((s) => `${s}/${path}`), origin: "search" };
}
