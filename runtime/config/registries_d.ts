/**
 * registries.d: where the signatures of an image lie.
 *
 * @see containers-registries.d(5)
 */

import { parse as parseYaml } from "yaml";
import { InvalidArgumentError } from "../errors.ts";
import { printable } from "../spec/printable.ts";
import { dockerScopes } from "./policy.ts";
import { type ConfigSources, listOptional, readOptional } from "./sources.ts";

export interface SignaturePlaces {
  /** Simple signatures are below it: `file:`, `http:` or `https:`, without a slash at its end. */
  lookaside: URL;
  /** Sigstore signatures are read from and written to the registry itself. */
  useAttachments: boolean;
}

interface Namespace {
  lookaside?: string;
  "lookaside-staging"?: string;
  sigstore?: string;
  "sigstore-staging"?: string;
  "use-sigstore-attachments"?: boolean;
}

export interface RegistriesD {
  fallback?: Namespace;
  docker: Map<string, Namespace>;
}

/** In the order in which they are looked at. */
const READ_KEYS = ["lookaside", "sigstore"] as const;
const WRITE_KEYS = ["lookaside-staging", "sigstore-staging", ...READ_KEYS] as const;

/**
 * @param repository `host[:port]/path` of the registry that is really asked
 * @param tail `:tag` or `@digest`
 * @param use where new signatures go may be another place than where they are read
 */
export async function signaturePlaces(
  sources: ConfigSources,
  repository: string,
  tail: string,
  use: "read" | "write" = "read",
): Promise<SignaturePlaces> {
  const { fallback, docker } = await loadRegistriesD(sources);
  const chain = [...dockerScopes(repository, tail).map((scope) => docker.get(scope)), fallback]
    .filter((one) => one !== undefined);
  const keys = use === "read" ? READ_KEYS : WRITE_KEYS;
  const top = chain.map((one) => keys.map((key) => one[key]).find((text) => text)).find((text) => text);
  const path = repository.slice(repository.indexOf("/"));
  return {
    lookaside: top === undefined
      ? new URL(`file://${encodeURIComponent(defaultLookaside(sources) + path).replaceAll("%2F", "/")}`)
      : lookasideUrl(top, path),
    useAttachments: chain.map((one) => one["use-sigstore-attachments"]).find((one) => one !== undefined) ??
      false,
  };
}

/** podman's, which skopeo, buildah and skiff share. */
function defaultLookaside({ isRoot, home }: ConfigSources): string {
  return isRoot ? "/var/lib/containers/sigstore" : `${home}/.local/share/containers/sigstore`;
}

function lookasideUrl(text: string, path: string): URL {
  const url = URL.parse(text);
  if (url === null || !/^(file|https?):$/.test(url.protocol) || url.username !== "" || url.password !== "") {
    throw new InvalidArgumentError(
      `use lookaside "${printable(text)}": it is no file, http or https address`,
    );
  }
  url.pathname = url.pathname.replace(/\/+$/, "") + path;
  return url;
}

/** The user's folder or, where there is none, the machine's; or the one that was named. */
export async function loadRegistriesD(sources: ConfigSources, folder?: string): Promise<RegistriesD> {
  if (folder !== undefined) return await readRegistriesD(folder);
  const own = `${sources.home}/.config/containers/registries.d`; // as policy.json
  const isOwn = await Deno.stat(own).then(() => true, () => false);
  return await readRegistriesD(isOwn ? own : `${sources.systemDir}/containers/registries.d`);
}

async function readRegistriesD(folder: string): Promise<RegistriesD> {
  const merged: RegistriesD = { docker: new Map() };
  const origins = new Map<string, string>();
  const claim = (what: string, path: string) => {
    const first = origins.get(what);
    if (first !== undefined) {
      throw new InvalidArgumentError(
        `read signature storage configuration: ${what} defined both in "${first}" and "${path}"`,
      );
    }
    origins.set(what, path);
  };
  for (const name of await listOptional(folder, ".yaml")) {
    const path = `${folder}/${name}`;
    const root = tableOf(path, "it", readYaml(path, await readOptional(path) ?? ""));
    if (root["default-docker"] !== undefined && root["default-docker"] !== null) {
      claim('"default-docker"', path);
      merged.fallback = readNamespace(path, "default-docker", root["default-docker"]);
    }
    for (const [scope, value] of Object.entries(tableOf(path, "docker", root.docker))) {
      claim(`"docker" namespace "${scope}"`, path);
      merged.docker.set(scope, readNamespace(path, scope, value));
    }
  }
  return merged;
}

function readYaml(path: string, text: string): unknown {
  try {
    return parseYaml(text);
  } catch (cause) {
    throw new InvalidArgumentError(`read ${path}: ${(cause as Error).message.split("\n")[0]}`, { cause });
  }
}

function readNamespace(path: string, scope: string, value: unknown): Namespace {
  const table = tableOf(path, scope, value);
  for (const key of WRITE_KEYS) {
    if (!["undefined", "string"].includes(typeof (table[key] ?? undefined))) {
      throw new InvalidArgumentError(`read ${path}: ${key} of ${scope} is no text`);
    }
  }
  const attachments = table["use-sigstore-attachments"] ?? undefined;
  if (attachments !== undefined && typeof attachments !== "boolean") {
    throw new InvalidArgumentError(
      `read ${path}: use-sigstore-attachments of ${scope} is neither true nor false`,
    );
  }
  return { ...table, "use-sigstore-attachments": attachments };
}

function tableOf(path: string, what: string, value: unknown): Record<string, unknown> {
  if (value === undefined || value === null) return {};
  if (typeof value === "object" && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new InvalidArgumentError(`read ${path}: ${what} is no table`);
}
