/** `login` and `logout`: logins for registries, tried before they are kept. */

import {
  findLogin,
  loginFile,
  type LoginPair,
  removeAllLogins,
  removeLogin,
  storeLogin,
} from "../config/auth_store.ts";
import type { Credentials } from "../config/auth_file.ts";
import { loadRegistriesConf, pullSources } from "../config/registries_conf.ts";
import { configSources, readOptional } from "../config/sources.ts";
import { InvalidArgumentError, NotFoundError, SkiffError, UnauthorizedError } from "../errors.ts";
import { DEFAULT_DOMAIN, parseName } from "../image/reference.ts";
import { RegistryClient } from "../registry/client.ts";
import { Transport } from "../registry/transport.ts";
import { printable } from "../spec/printable.ts";

export type { LoginPair } from "../config/auth_store.ts";

export interface LoginOptions {
  authFile?: string;
  tlsVerify?: boolean;
  certDir?: string;
  signal?: AbortSignal;
}

/** Tries the login and keeps it. Returns where it is kept. @throws {UnauthorizedError} where it is refused */
export async function login(registry: string, pair: LoginPair, options: LoginOptions = {}): Promise<string> {
  if (pair.username === "" || pair.username.includes(":")) {
    throw new InvalidArgumentError(`log in at ${registry}: a username is not empty and has no colon`);
  }
  await tryLogin(registry, pair, options);
  return await storeLogin(configSources(), registry, pair, options.authFile);
}

/** The user who is logged in; undefined where nobody is. */
export async function loggedInUser(registry: string, authFile?: string): Promise<string | undefined> {
  const found = await findLogin(configSources(), registry, authFile);
  return found === null ? undefined : "username" in found ? found.username : "<token>";
}

/** Whether there is a login that the registry takes; its user. */
export async function validLogin(registry: string, options: LoginOptions = {}): Promise<string | undefined> {
  const found = await findLogin(configSources(), registry, options.authFile);
  if (found === null) return undefined;
  try {
    await tryLogin(registry, found, options);
    return "username" in found ? found.username : "<token>";
  } catch (error) {
    if (error instanceof UnauthorizedError) return undefined;
    throw error;
  }
}

/** @throws {NotFoundError} where there is no login for it */
export async function logout(registry: string, authFile?: string): Promise<void> {
  const sources = configSources();
  if (await removeLogin(sources, registry, authFile)) return;
  // a login of another file, such as docker's, is not ours to remove
  const elsewhere = await findLogin(sources, registry, authFile) !== null;
  throw new NotFoundError("file", registry, {
    message: elsewhere
      ? `not logged into ${registry} with this tool, existing credentials were established by another: use its logout`
      : `not logged into ${registry}`,
  });
}

export async function logoutAll(authFile?: string): Promise<void> {
  await removeAllLogins(configSources(), authFile);
}

/** The file that logins go to; with `mustExist` one that is named has to be there. */
export async function checkAuthFile(authFile: string | undefined): Promise<string> {
  const path = loginFile(configSources(), authFile);
  if (authFile !== undefined && await readOptional(authFile) === null) {
    throw new NotFoundError("file", authFile, {
      message: `checking authfile: stat ${printable(authFile)}: no such file or directory`,
    });
  }
  return path;
}

/** `https://quay.io/` is `quay.io`; without a word the first of registries.conf, else Docker Hub. */
export async function registryName(word: string | undefined): Promise<string> {
  if (word === undefined) {
    return (await loadRegistriesConf(configSources())).unqualifiedSearch?.[0] ?? DEFAULT_DOMAIN;
  }
  const name = word.replace(/^https?:\/\//, "").replace(/\/(v[12]\/?)?$/, "");
  const host = name.split("/")[0]!;
  // a host needs no dot here: there is nothing else that it could be
  const { domain } = parseName(/[.:]|^localhost$/.test(host) ? `${name}/x` : `${host}.invalid/x`);
  if (domain === undefined) throw new SkiffError(`log in at "${printable(word)}": this is no registry`);
  return ["index.docker.io", "registry-1.docker.io"].includes(name) ? DEFAULT_DOMAIN : name;
}

async function tryLogin(registry: string, credentials: Credentials, options: LoginOptions): Promise<void> {
  const sources = configSources();
  const host = registry.split("/")[0]!;
  const conf = await loadRegistriesConf(sources);
  const insecure = pullSources(conf, `${registry}/x`, "tag").find(({ isMirror }) => !isMirror)?.insecure ??
    false;
  const { signal, certDir, tlsVerify } = options;
  const transport = new Transport({ sources, signal, certDir });
  try {
    const source = { host, path: "", insecure, isMirror: false };
    await new RegistryClient({ transport, source, imageName: registry, credentials, tlsVerify }).ping();
  } catch (error) {
    if (!(error instanceof UnauthorizedError)) throw error;
    throw new UnauthorizedError(`logging into "${registry}": invalid username/password`, error.status, {
      cause: error,
    });
  } finally {
    transport.close();
  }
}
