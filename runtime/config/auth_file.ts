/**
 * Logins: containers' auth.json, Docker's config.json, and the credential helpers they name.
 * A login belongs to exactly one host and port; nothing matches by suffix.
 *
 * @see containers-auth.json(5); Docker "config.json", credsStore and credHelpers
 */
import { InvalidArgumentError } from "../errors.ts";
import { askCredentialHelper } from "./credential_helper.ts";
import { type ConfigSources, readOptional } from "./sources.ts";

export type Credentials =
  | { username: string; password: string }
  /** An OAuth2 refresh token, which is exchanged at the token server. */
  | { identityToken: string };

interface AuthFile {
  path: string;
  auths: Record<string, unknown>;
  credHelpers: Record<string, unknown>;
  credsStore?: string;
}

/** How Docker Hub is written in these files. */
const DOCKER_HUB_KEYS = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/** The files that may hold logins, in the order they are asked. */
export function authFilePaths(sources: ConfigSources, authFile?: string): string[] {
  const named = authFile ?? sources.env.REGISTRY_AUTH_FILE;
  if (named !== undefined) return [named];
  const docker = sources.env.DOCKER_CONFIG ?? `${sources.home}/.docker`;
  return [
    ...(sources.runtimeDir === undefined ? [] : [`${sources.runtimeDir}/containers/auth.json`]),
    `${sources.configHome}/containers/auth.json`,
    `${docker}/config.json`,
  ];
}

/**
 * The login for a repository, null where there is none.
 * @param repository `host[:port]/path`; the most specific entry wins, down to the host
 * @throws InvalidArgumentError for a file that cannot be understood (its content is never shown)
 */
export async function findCredentials(
  sources: ConfigSources,
  repository: string,
  options: { authFile?: string; helpers?: readonly string[] } = {},
): Promise<Credentials | null> {
  for (const helper of options.helpers ?? ["containers-auth.json"]) {
    const found = helper === "containers-auth.json"
      ? await findInFiles(sources, repository, options.authFile)
      : await askHelper(sources, helper, repository.split("/")[0]!);
    if (found !== null) return found;
  }
  return null;
}

async function findInFiles(sources: ConfigSources, repository: string, authFile?: string) {
  for (const path of authFilePaths(sources, authFile)) {
    const text = await readOptional(path);
    if (text === null) {
      if (authFile !== undefined) throw new InvalidArgumentError(`read ${path}: no such file`);
      continue;
    }
    const file = parseAuthFile(path, text);
    const found = await findInFile(sources, file, repository);
    if (found !== null) return found;
  }
  return null;
}

async function findInFile(
  sources: ConfigSources,
  file: AuthFile,
  repository: string,
): Promise<Credentials | null> {
  for (const key of lookupKeys(repository)) {
    const helper = Object.hasOwn(file.credHelpers, key) ? file.credHelpers[key] : undefined;
    if (typeof helper === "string" && helper !== "") {
      const found = await askHelper(sources, helper, key);
      if (found !== null) return found;
    }
  }
  if (file.credsStore !== undefined) {
    const found = await askHelper(sources, file.credsStore, repository.split("/")[0]!);
    if (found !== null) return found;
  }
  return findInAuths(file, repository);
}

/** The entry of `auths` for a repository. Pure. */
export function findInAuths(file: Pick<AuthFile, "path" | "auths">, repository: string): Credentials | null {
  const entries = Object.entries(file.auths);
  for (const key of lookupKeys(repository)) {
    for (const [name, entry] of entries) {
      if (name === key || hostOfLegacyKey(name) === key) {
        const found = readEntry(file.path, name, entry);
        if (found !== null) return found;
      }
    }
  }
  return null;
}

/** @throws InvalidArgumentError; the content is not shown, it holds secrets. */
export function parseAuthFile(path: string, text: string): AuthFile {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new InvalidArgumentError(`read ${path}: it is no JSON document`);
  }
  if (!isObject(json)) throw new InvalidArgumentError(`read ${path}: it is no JSON object`);
  for (const key of ["auths", "credHelpers"]) {
    if (json[key] !== undefined && json[key] !== null && !isObject(json[key])) {
      throw new InvalidArgumentError(`read ${path}: ${key} is no JSON object`);
    }
  }
  const store = json.credsStore;
  return {
    path,
    auths: (json.auths ?? {}) as Record<string, unknown>,
    credHelpers: (json.credHelpers ?? {}) as Record<string, unknown>,
    ...(typeof store === "string" && store !== "" ? { credsStore: store } : {}),
  };
}

/** `host/a/b` → `host/a/b`, `host/a`, `host`; Docker Hub by all its names. */
export function lookupKeys(repository: string): string[] {
  const keys: string[] = [];
  for (let name = repository;; name = name.slice(0, name.lastIndexOf("/"))) {
    keys.push(name);
    if (!name.includes("/")) break;
  }
  const host = keys.at(-1)!;
  if (DOCKER_HUB_KEYS.includes(host)) keys.push(...DOCKER_HUB_KEYS.filter((k) => k !== host));
  return keys;
}

/** Docker's old keys are urls, `https://index.docker.io/v1/`; any other path is a namespace and stays. */
function hostOfLegacyKey(key: string): string | null {
  return /^(?:https?:\/\/)([^/@]+)(?:\/(?:v[12]\/?)?)?$/.exec(key)?.[1] ??
    /^([^/@]+)\/v[12]\/$/.exec(key)?.[1] ?? null;
}

function readEntry(path: string, name: string, entry: unknown): Credentials | null {
  if (!isObject(entry)) return null;
  if (typeof entry.identitytoken === "string" && entry.identitytoken !== "") {
    return { identityToken: entry.identitytoken };
  }
  if (typeof entry.auth === "string" && entry.auth !== "") {
    const pair = decodeBase64(entry.auth);
    const colon = pair?.indexOf(":") ?? -1;
    if (pair === null || colon <= 0) {
      throw new InvalidArgumentError(`read ${path}: the login of ${name} is malformed`);
    }
    return { username: pair.slice(0, colon), password: pair.slice(colon + 1).replace(/\0+$/, "") };
  }
  if (typeof entry.username === "string" && entry.username !== "" && typeof entry.password === "string") {
    return { username: entry.username, password: entry.password };
  }
  return null;
}

async function askHelper(sources: ConfigSources, helper: string, key: string): Promise<Credentials | null> {
  const host = key.split("/")[0]!;
  const server = DOCKER_HUB_KEYS.includes(host) ? "https://index.docker.io/v1/" : key;
  return await askCredentialHelper(sources, helper, server);
}

function decodeBase64(text: string): string | null {
  try {
    return new TextDecoder().decode(Uint8Array.fromBase64(text.trim()));
  } catch {
    return null;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
