/** `search`: images of registries by a part of their name, and the tags of one. */

import { loadRegistriesConf } from "../config/registries_conf.ts";
import { configSources } from "../config/sources.ts";
import { InvalidArgumentError, SkiffError } from "../errors.ts";
import { parseName } from "../image/reference.ts";
import { type PlaceOptions, tryPlaces } from "../registry/places.ts";
import { searchRegistry } from "../registry/search.ts";
import { printable } from "../spec/printable.ts";

export interface SearchOptions extends PlaceOptions {
  /** Of each registry; the default is 25. */
  limit?: number;
  stars?: number;
  isOfficial?: boolean;
  isAutomated?: boolean;
}

/** A line of `podman search`; the words are those of its JSON. */
export interface SearchResult {
  /** The registry. */
  Index: string;
  Name: string;
  Description: string;
  Stars: number;
  /** `[OK]` or nothing. */
  Official: string;
  Automated: string;
  Tag: string;
}

export interface RepositoryTags {
  Name: string;
  Tags: string[];
}

/** podman's and docker's. */
const DEFAULT_LIMIT = 25;

/**
 * `term` is `[REGISTRY/]WORD`; without a registry those of registries.conf are asked, side by side.
 *
 * @returns also why a registry could not be asked, where another has answered
 * @throws {SkiffError} where none can be asked
 */
export async function search(
  term: string,
  options: SearchOptions = {},
): Promise<{ results: SearchResult[]; failures: Error[] }> {
  const { registries, word } = await placesOf(term, options);
  const { limit = DEFAULT_LIMIT } = options;
  const failures: Error[] = [];
  const lists = await Promise.all(registries.map(async (registry) => {
    try {
      // what is filtered out does not count, but podman asks for no more than that either
      const found = await searchRegistry(registry, word, limit, options);
      return found.map((one): SearchResult => ({
        Index: registry,
        Name: fullName(registry, one.name),
        Description: one.description,
        Stars: one.stars,
        Official: one.isOfficial ? "[OK]" : "",
        Automated: one.isAutomated ? "[OK]" : "",
        Tag: "",
      }));
    } catch (cause) {
      if (!(cause instanceof SkiffError)) throw cause;
      failures.push(
        new SkiffError(`couldn't search registry "${printable(registry)}": ${cause.message}`, {
          cause,
          hint: cause.hint,
        }),
      );
      return [];
    }
  }));
  if (failures.length > 0 && failures.length === registries.length) throw failures[0]!;
  return { results: lists.flat().filter((one) => passes(one, options)), failures };
}

/** Tags of a repository, at most `limit`; the name's own tag does not matter. @throws RegistryError */
export async function searchTags(term: string, options: SearchOptions = {}): Promise<RepositoryTags> {
  const { domain, path } = parseName(term);
  const name = domain === undefined ? path : `${domain}/${path}`;
  const { limit = DEFAULT_LIMIT } = options;
  return await tryPlaces(name, options, async (client, reference) => ({
    Name: `${reference.domain}/${reference.path}`,
    Tags: (await client.listTags(limit)).slice(0, limit),
  }));
}

async function placesOf(term: string, options: SearchOptions) {
  const slash = term.indexOf("/");
  if (slash === 0) throw new InvalidArgumentError(`search "${printable(term)}": it names no registry`);
  if (slash > 0) return { registries: [term.slice(0, slash)], word: term.slice(slash + 1) };
  const conf = await loadRegistriesConf(options.sources ?? configSources());
  return { registries: [...new Set(conf.unqualifiedSearch ?? ["docker.io"])], word: term };
}

/** Docker Hub's own images are below `library/`, which its search leaves out. */
function fullName(registry: string, name: string): string {
  return registry === "docker.io" && !name.includes("/")
    ? `${registry}/library/${name}`
    : `${registry}/${name}`;
}

function passes(one: SearchResult, { stars = 0, isOfficial, isAutomated }: SearchOptions): boolean {
  return one.Stars >= stars && (isOfficial === undefined || isOfficial === (one.Official !== "")) &&
    (isAutomated === undefined || isAutomated === (one.Automated !== ""));
}
