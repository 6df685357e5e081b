/**
 * Secrets whose names say which server they are for: `HTTP_AUTH_HEADER_<host>` and `HTTP_AUTH_TOKEN_<host>` of ADD,
 * `GIT_AUTH_HEADER` and `GIT_AUTH_TOKEN` of repositories, with `.<host>` for one server alone.
 *
 * @see docs.docker.com/build/building/secrets; BuildKit source/http, source/git: authSecretNames
 */

import { BuildError } from "../../errors.ts";
import type { SecretSource } from "../options.ts";
import { readSecret } from "../run/secrets.ts";

/** What a file of this address is asked for with. */
export async function httpAuthorization(
  secrets: readonly SecretSource[],
  url: string,
): Promise<string | undefined> {
  const host = URL.parse(url)?.hostname;
  // as with BuildKit the token counts where both are given
  return await firstOf(secrets, [
    { id: `HTTP_AUTH_TOKEN_${host}`, form: (token) => `Bearer ${token}` },
    { id: `HTTP_AUTH_HEADER_${host}` },
  ]);
}

/** git's configuration for the remote: an http header for it alone, or of GitHub for all its repositories. */
export async function gitAuthorization(
  secrets: readonly SecretSource[],
  remote: string,
): Promise<[key: string, value: string][]> {
  const url = /^https?:\/\//i.test(remote) ? URL.parse(remote) : null;
  // an address that brings a login of its own means that one
  if (url === null || url.username !== "" || url.password !== "") return [];
  const form = (token: string) => `basic ${new TextEncoder().encode(`x-access-token:${token}`).toBase64()}`;
  const value = await firstOf(secrets, [
    { id: `GIT_AUTH_HEADER.${url.host}` },
    { id: `GIT_AUTH_TOKEN.${url.host}`, form },
    { id: "GIT_AUTH_HEADER" },
    { id: "GIT_AUTH_TOKEN", form },
  ]);
  const scope = /^(gist\.)?github\.com$/.test(url.host) ? `${url.origin}/` : url.href;
  return value === undefined ? [] : [[`http.${scope}.extraHeader`, `Authorization: ${value}`]];
}

async function firstOf(
  secrets: readonly SecretSource[],
  wanted: readonly { id: string; form?: (token: string) => string }[],
): Promise<string | undefined> {
  for (const { id, form = (text: string) => text } of wanted) {
    const source = secrets.findLast((one) => one.id === id);
    const bytes = source && await readSecret(source);
    if (bytes === undefined) continue;
    const text = new TextDecoder().decode(bytes).replace(/\r?\n$/, "");
    if (/[\0\r\n]/.test(text)) throw new BuildError(`use secret ${id}: it is more than one line`);
    return form(text);
  }
  return undefined;
}
