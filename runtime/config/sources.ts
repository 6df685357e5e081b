/** Where configuration comes from: the one place of `runtime/config` that reads the environment. */

import { AT_FDCWD, F_OK } from "../../ffi/constants/fcntl.ts";
import { ENOENT, ENOTDIR } from "../../ffi/errno.ts";
import { accessErrno } from "../../ffi/file.ts";

/** Plain data, so that a test (or a library program) can name other places. */
export interface ConfigSources {
  home: string;
  isRoot: boolean;
  /** `$XDG_CONFIG_HOME`, or `~/.config`. */
  configHome: string;
  /** `$XDG_CACHE_HOME`, or `~/.cache`. */
  cacheHome: string;
  /** `$XDG_RUNTIME_DIR`, where set. */
  runtimeDir?: string;
  /** `/etc`, but for tests. */
  systemDir: string;
  env: Readonly<Record<string, string | undefined>>;
}

/** What a credential helper needs to find the user's keyring. */
export const KEYRING_VARIABLES = [
  "USER",
  "LOGNAME",
  "LANG",
  "DBUS_SESSION_BUS_ADDRESS",
  "DISPLAY",
  "WAYLAND_DISPLAY",
  "GNUPGHOME",
  "GPG_TTY",
  "PASSWORD_STORE_DIR",
] as const;

/** What is read from the environment, besides the folders above. */
const VARIABLES = [
  "CONTAINERS_REGISTRIES_CONF",
  "CONTAINERS_STORAGE_CONF",
  "REGISTRY_AUTH_FILE",
  "DOCKER_CONFIG",
  "SSL_CERT_FILE",
  "SSL_CERT_DIR",
  "HTTP_PROXY",
  "http_proxy",
  "HTTPS_PROXY",
  "https_proxy",
  "ALL_PROXY",
  "all_proxy",
  "NO_PROXY",
  "no_proxy",
  "REQUEST_METHOD",
  "PATH",
  ...KEYRING_VARIABLES,
] as const;

export function configSources(): ConfigSources {
  const get = (name: string) => Deno.env.get(name) || undefined;
  const home = absolute(get("HOME")) ?? "/";
  const env: Record<string, string | undefined> = {};
  for (const name of VARIABLES) env[name] = get(name);
  return {
    home,
    isRoot: Deno.uid() === 0,
    configHome: absolute(get("XDG_CONFIG_HOME")) ?? `${home}/.config`,
    cacheHome: absolute(get("XDG_CACHE_HOME")) ?? `${home}/.cache`,
    runtimeDir: absolute(get("XDG_RUNTIME_DIR")),
    systemDir: "/etc",
    env,
  };
}

/** Relative XDG paths are to be ignored (XDG base directory specification). */
function absolute(path: string | undefined): string | undefined {
  return path?.startsWith("/") ? path : undefined;
}

/** The text of a configuration file, null where there is none. So small a file takes longer on another thread. */
export async function readOptional(path: string): Promise<string | null> {
  if (isAbsent(path)) return null;
  try {
    return await Promise.resolve(Deno.readTextFileSync(path));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || (error as { code?: string }).code === "ENOTDIR") return null;
    throw error;
  }
}

/** Names in a folder that end in `suffix`, sorted; none where there is no folder. */
export async function listOptional(folder: string, suffix: string): Promise<string[]> {
  const names: string[] = [];
  if (isAbsent(folder)) return names;
  try {
    for (const entry of await Promise.resolve(Deno.readDirSync(folder))) {
      if (entry.name.endsWith(suffix) && !entry.isDirectory) names.push(entry.name);
    }
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || (error as { code?: string }).code === "ENOTDIR") return [];
    if (error instanceof Deno.errors.PermissionDenied) return [];
    throw error;
  }
  return names.sort();
}

/** Most are, and an exception takes longer than the file. */
function isAbsent(path: string): boolean {
  return [ENOENT, ENOTDIR].includes(accessErrno(AT_FDCWD, path, F_OK));
}
