/**
 * Which containers.conf there are. Looked up at every `run`, so that nothing else is loaded where there is none.
 *
 * What a distribution puts into /usr/share/containers are podman's own defaults, nobody's wish, and not read: without
 * any of these files the defaults are the same on every machine.
 *
 * @see containers.conf(5), FILES
 */

import { AT_FDCWD, F_OK } from "../../ffi/constants/fcntl.ts";
import { faccessat } from "../../ffi/file.ts";
import { hostReason, InvalidArgumentError } from "../errors.ts";

/** The later ones overrule the earlier. @throws {InvalidArgumentError} where a variable names one that is not there */
export function findContainersConf(systemDir = "/etc"): string[] {
  const named = Deno.env.get("CONTAINERS_CONF"), override = Deno.env.get("CONTAINERS_CONF_OVERRIDE");
  const files = named ? [existing("CONTAINERS_CONF", named)] : [
    ...filesIn(`${systemDir}/containers`),
    ...(Deno.uid() === 0 ? [] : filesIn(`${configHome()}/containers`)),
  ];
  return override ? [...files, existing("CONTAINERS_CONF_OVERRIDE", override)] : files;
}

function filesIn(folder: string): string[] {
  const kind = (path: string) => {
    // most are not there, and an exception is a tenth of a millisecond
    if (!faccessat(AT_FDCWD, path, F_OK)) return undefined;
    try {
      const { isFile, isDirectory } = Deno.statSync(path);
      return isFile ? "file" : isDirectory ? "folder" : undefined;
    } catch {
      return undefined;
    }
  };
  if (kind(folder) !== "folder") return [];
  const files = kind(`${folder}/containers.conf`) === "file" ? [`${folder}/containers.conf`] : [];
  const parts = `${folder}/containers.conf.d`;
  if (kind(parts) !== "folder") return files;
  const names = Array.from(Deno.readDirSync(parts), ({ name }) => name).filter((name) =>
    name.endsWith(".conf")
  );
  return [...files, ...names.sort().map((name) => `${parts}/${name}`)];
}

function configHome(): string {
  const home = Deno.env.get("XDG_CONFIG_HOME");
  return home?.startsWith("/") ? home : `${Deno.env.get("HOME")}/.config`;
}

function existing(variable: string, path: string): string {
  try {
    Deno.statSync(path);
    return path;
  } catch (cause) {
    throw new InvalidArgumentError(
      `finding config on system: ${variable} file: stat ${path}: ${hostReason(cause)}`,
      {
        cause,
      },
    );
  }
}
