/**
 * Writes and removes logins: in the first auth file of those that are asked, or in the helper that it names.
 *
 * @see containers-auth.json(5)
 */

import { hostReason, InvalidArgumentError } from "../errors.ts";
import { authFilePaths, type Credentials, findInAuths, lookupKeys, parseAuthFile } from "./auth_file.ts";
import { askCredentialHelper, eraseInHelper, storeInHelper } from "./credential_helper.ts";
import { type ConfigSources, readOptional } from "./sources.ts";

export interface LoginPair {
  username: string;
  password: string;
}

/** What a file that is rewritten keeps of what it had. */
type AuthJson = { auths?: Record<string, unknown> } & Record<string, unknown>;

/** The file that logins are written to. */
export function loginFile(sources: ConfigSources, authFile?: string): string {
  return authFilePaths(sources, authFile)[0]!;
}

/** Keeps the login for `key` (`host[:port]`, perhaps with a path). Returns where, for people. */
export async function storeLogin(
  sources: ConfigSources,
  key: string,
  login: LoginPair,
  authFile?: string,
): Promise<string> {
  const path = loginFile(sources, authFile);
  const json = await readJson(path);
  const helper = helperFor(path, json, key);
  if (helper !== undefined) {
    await storeInHelper(sources, helper, serverOf(key), login);
    return `docker-credential-${helper}`;
  }
  const auth = new TextEncoder().encode(`${login.username}:${login.password}`).toBase64();
  await writeJson(path, { ...json, auths: { ...json.auths, [key]: { auth } } });
  return path;
}

/** The login that is kept for exactly this key, not for more or less of its path. */
export async function findLogin(
  sources: ConfigSources,
  key: string,
  authFile?: string,
): Promise<Credentials | null> {
  for (const path of authFilePaths(sources, authFile)) {
    const text = await readOptional(path);
    if (text === null) continue;
    const file = parseAuthFile(path, text);
    const helper = helperFor(path, JSON.parse(text), key);
    const found = helper === undefined
      ? findInAuths({ path, auths: ownEntries(file.auths, key) }, key)
      : await askCredentialHelper(sources, helper, serverOf(key));
    if (found !== null) return found;
  }
  return null;
}

/** Forgets the login of `key`; whether the file or its helper had one. */
export async function removeLogin(sources: ConfigSources, key: string, authFile?: string): Promise<boolean> {
  const path = loginFile(sources, authFile);
  const json = await readJson(path);
  const helper = helperFor(path, json, key);
  const isErased = helper !== undefined && await eraseInHelper(sources, helper, serverOf(key));
  const mine = Object.keys(ownEntries(json.auths ?? {}, key));
  if (mine.length === 0) return isErased;
  const auths = Object.fromEntries(Object.entries(json.auths!).filter(([name]) => !mine.includes(name)));
  await writeJson(path, { ...json, auths });
  return true;
}

/** Forgets every login of the file, and those that its helpers keep for registries it names. */
export async function removeAllLogins(sources: ConfigSources, authFile?: string): Promise<void> {
  const path = loginFile(sources, authFile);
  const json = await readJson(path);
  for (const [key, helper] of Object.entries(parseAuthFile(path, JSON.stringify(json)).credHelpers)) {
    if (typeof helper === "string" && helper !== "") await eraseInHelper(sources, helper, serverOf(key));
  }
  if (json.auths !== undefined) await writeJson(path, { ...json, auths: {} });
}

/** Entries of the key itself, by any name of Docker Hub. */
function ownEntries(auths: Record<string, unknown>, key: string): Record<string, unknown> {
  const names = key.includes("/") ? [key] : lookupKeys(key).filter((name) => !name.includes("/"));
  const isOwn = (name: string) =>
    names.some((own) => name === own || name === `https://${own}` || name === `https://${own}/v1/`);
  return Object.fromEntries(Object.entries(auths).filter(([name]) => isOwn(name)));
}

function helperFor(path: string, json: AuthJson, key: string): string | undefined {
  const { credHelpers, credsStore } = parseAuthFile(path, JSON.stringify(json));
  const host = key.split("/")[0]!;
  for (const name of [key, ...lookupKeys(host)]) {
    const helper = Object.hasOwn(credHelpers, name) ? credHelpers[name] : undefined;
    if (typeof helper === "string" && helper !== "") return helper;
  }
  return credsStore;
}

/** What helpers call Docker Hub. */
function serverOf(key: string): string {
  return key === "docker.io" ? "https://index.docker.io/v1/" : key;
}

async function readJson(path: string): Promise<AuthJson> {
  const text = await readOptional(path);
  if (text === null || text.trim() === "") return {};
  parseAuthFile(path, text);
  return JSON.parse(text);
}

/** For its owner alone, and whole or not at all. A file that is a link stays one. */
async function writeJson(path: string, json: AuthJson): Promise<void> {
  const target = await Deno.realPath(path).catch(() => path);
  const folder = target.slice(0, target.lastIndexOf("/")) || ".";
  const temporary = `${target}.${crypto.randomUUID()}`;
  try {
    await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
    await Deno.writeTextFile(temporary, JSON.stringify(json, undefined, "\t"), {
      createNew: true,
      mode: 0o600,
    });
    await Deno.rename(temporary, target);
  } catch (cause) {
    await Deno.remove(temporary).catch(() => {});
    throw new InvalidArgumentError(`write ${path}: ${hostReason(cause)}`, { cause });
  }
}
