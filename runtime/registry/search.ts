/**
 * Asks a registry what it has: by Docker's search of version 1 where there is one, else in its catalogue.
 *
 * @see Docker Registry v1 API, "Search"; Docker Registry HTTP API V2, "Listing Repositories"
 */

import * as v from "valibot";
import { loadRegistriesConf, pullSources } from "../config/registries_conf.ts";
import { configSources } from "../config/sources.ts";
import { SkiffError, VerificationError } from "../errors.ts";
import { DOCUMENT_LIMITS } from "../spec/image.ts";
import { nextPage, RegistryClient } from "./client.ts";
import { answerError } from "./error_answer.ts";
import type { PlaceOptions } from "./places.ts";
import { drain, readAll, Transport } from "./transport.ts";

export interface RegistryMatch {
  name: string;
  description: string;
  stars: number;
  isOfficial: boolean;
  isAutomated: boolean;
}

/** A catalogue without an end is not read for ever. */
const MAX_CATALOG_PAGES = 1000;
const CATALOG_PAGE = 1000;

const text = v.pipe(v.string(), v.maxLength(64 << 10));
const resultsSchema = v.object({
  results: v.nullish(v.array(v.object({
    name: text,
    description: v.nullish(text),
    star_count: v.nullish(v.pipe(v.number(), v.safeInteger())),
    is_official: v.nullish(v.boolean()),
    is_automated: v.nullish(v.boolean()),
  }))),
});
const catalogSchema = v.object({ repositories: v.nullish(v.array(text)) });

/** At most `limit` repositories of which the name has `term` in it. @throws RegistryError, UnauthorizedError */
export async function searchRegistry(
  registry: string,
  term: string,
  limit: number,
  options: PlaceOptions = {},
): Promise<RegistryMatch[]> {
  const sources = options.sources ?? configSources();
  const conf = await loadRegistriesConf(sources);
  const { host, insecure } = pullSources(conf, `${registry}/`, "tag").find(({ isMirror }) => !isMirror)!;
  const { signal, certDir, idleTimeoutMs, tlsVerify, authFile, credentials, retry } = options;
  const transport = new Transport({ sources, signal, certDir, idleTimeoutMs });
  // the registry of Docker Hub has no catalogue, its index has the search
  const source = {
    host: host === "docker.io" ? "index.docker.io" : host,
    path: "",
    insecure,
    isMirror: false,
  };
  const client = new RegistryClient({
    transport,
    source,
    imageName: registry,
    credentialHelpers: conf.credentialHelpers,
    tlsVerify,
    authFile,
    credentials,
    retry,
    scope: "registry:catalog:*",
  });
  try {
    const found = term === "" ? undefined : await searchIndex(client, term, limit);
    return found ?? await searchCatalog(client, term, limit);
  } finally {
    transport.close();
  }
}

/** Undefined where the registry has no such search. */
async function searchIndex(
  client: RegistryClient,
  term: string,
  limit: number,
): Promise<RegistryMatch[] | undefined> {
  const query = new URLSearchParams({ q: term, n: String(limit) });
  const what = `search ${client.options.imageName}`;
  const response = await client.request({ path: `/v1/search?${query}`, headers: {} });
  if (response.status !== 200) {
    await drain(response);
    return undefined;
  }
  const { results } = parse(
    what,
    resultsSchema,
    await readAll(what, response, DOCUMENT_LIMITS.manifestBytes),
  );
  return (results ?? []).slice(0, limit).map((one) => ({
    name: one.name,
    description: one.description ?? "",
    stars: one.star_count ?? 0,
    isOfficial: one.is_official ?? false,
    isAutomated: one.is_automated ?? false,
  }));
}

async function searchCatalog(client: RegistryClient, term: string, limit: number): Promise<RegistryMatch[]> {
  const what = `search ${client.options.imageName}`;
  const found: string[] = [];
  let path: string | undefined = `/v2/_catalog?n=${CATALOG_PAGE}`;
  for (let page = 0; path !== undefined && found.length < limit; page++) {
    if (page === MAX_CATALOG_PAGES) throw new SkiffError(`${what}: its catalogue has no end`);
    const response = await client.request({ path, headers: {} });
    if (response.status !== 200) throw await answerError(what, response);
    const next = nextPage(path, response.head.get("link"));
    const { repositories } = parse(
      what,
      catalogSchema,
      await readAll(what, response, DOCUMENT_LIMITS.manifestBytes),
    );
    found.push(...(repositories ?? []).filter((name) => name.includes(term)));
    path = next;
  }
  return found.slice(0, limit).map((name) => ({
    name,
    description: "",
    stars: 0,
    isOfficial: false,
    isAutomated: false,
  }));
}

function parse<S extends v.GenericSchema>(what: string, schema: S, bytes: Uint8Array): v.InferOutput<S> {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new VerificationError(`${what}: the answer is no JSON document`, { cause });
  }
  const result = v.safeParse(schema, json, { abortEarly: true });
  if (result.success) return result.output;
  throw new VerificationError(`${what}: the answer is no list of repositories`);
}
