import { findContainersConf } from "../config/containers_conf_files.ts";

/** `detach_keys` of containers.conf, where it is set. */
export async function configuredDetachKeys(): Promise<string | undefined> {
  const files = findContainersConf();
  if (files.length === 0) return undefined;
  const { readContainersConf } = await import("../config/containers_conf.ts");
  return readContainersConf(files).engine.detach_keys as string | undefined;
}
