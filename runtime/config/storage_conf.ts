/**
 * What is taken of storage.conf: whether layers are put together of files that are here.
 *
 * ```toml
 * [storage.options.pull_options]
 * enable_partial_images = "false"
 * ```
 *
 * @see containers-storage.conf(5); on by default, as in podman since 5.0
 */
import { parse as parseToml } from "smol-toml";
import { InvalidArgumentError } from "../errors.ts";
import { type ConfigSources, readOptional } from "./sources.ts";

type Table = Record<string, unknown>;

/** Of the user's file, else of the system's. @throws InvalidArgumentError for a file that is no TOML */
export async function arePartialPullsEnabled(sources: ConfigSources): Promise<boolean> {
  const named = sources.env.CONTAINERS_STORAGE_CONF;
  const files = named ? [named] : [
    ...(sources.isRoot ? [] : [`${sources.configHome}/containers/storage.conf`]),
    `${sources.systemDir}/containers/storage.conf`,
  ];
  for (const path of files) {
    const text = await readOptional(path);
    if (text === null) continue;
    let value: unknown;
    try {
      value = parseToml(text);
    } catch (cause) {
      throw new InvalidArgumentError(`read ${path}: ${(cause as Error).message.split("\n")[0]}`, { cause });
    }
    for (const key of ["storage", "options", "pull_options", "enable_partial_images"]) {
      value = (value as Table | null | undefined)?.[key];
    }
    return !(value === "false" || value === false);
  }
  return true;
}
