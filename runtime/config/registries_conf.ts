/**
 * registries.conf, version 2: which registries a short name may come from, mirrors, and what is insecure.
 *
 * @see containers-registries.conf(5), containers-registries.conf.d(5)
 */
import { InvalidArgumentError } from "../errors.ts";
import { parseToml } from "./plain_toml.ts";
import { type ConfigSources, listOptional, readOptional } from "./sources.ts";

export type ShortNameMode = "enforcing" | "permissive" | "disabled";
export type MirrorUse = "all" | "digest-only" | "tag-only";

export interface MirrorConfig {
  location: string;
  insecure: boolean;
  use: MirrorUse;
}

/** One `[[registry]]`. */
export interface RegistryConfig {
  /** `host[:port][/path]`, or `*.domain`. */
  prefix: string;
  /** What the prefix is replaced with; absent with a `*.` prefix that keeps the host. */
  location?: string;
  insecure: boolean;
  blocked: boolean;
  mirrors: MirrorConfig[];
}

export interface RegistriesConf {
  /** In the order they are asked. Undefined: nobody said, so short names are Docker Hub's. */
  unqualifiedSearch?: string[];
  shortNameMode: ShortNameMode;
  aliases: Record<string, string>;
  registries: RegistryConfig[];
  credentialHelpers: string[];
}

/** Where one pull may be tried. */
export interface PullSource {
  /** `host[:port]`. */
  host: string;
  /** Path of the repository there. */
  path: string;
  /** Plain http, or a certificate nobody vouches for, is accepted. */
  insecure: boolean;
  isMirror: boolean;
}

type Table = Record<string, unknown>;

/**
 * Reads the user's file (or else the system's), and the drop-in folders of both over it.
 * @param needsAliases false: lists of short names are passed over, for who has a name in full
 * @throws InvalidArgumentError naming file and key
 */
export async function loadRegistriesConf(
  sources: ConfigSources,
  needsAliases = true,
): Promise<RegistriesConf> {
  const system = `${sources.systemDir}/containers`;
  const user = `${sources.configHome}/containers`;
  const conf = emptyRegistriesConf();
  const named = sources.env.CONTAINERS_REGISTRIES_CONF;
  const mains = named === undefined ? [`${user}/registries.conf`, `${system}/registries.conf`] : [named];
  for (const path of mains) {
    const text = await readOptional(path);
    if (text === null) {
      if (named !== undefined) throw new InvalidArgumentError(`read ${path}: no such file`);
      continue;
    }
    mergeRegistriesConf(conf, path, text);
    break;
  }
  for (const folder of [`${system}/registries.conf.d`, `${user}/registries.conf.d`]) {
    for (const name of await listOptional(folder, ".conf")) {
      const text = await readOptional(`${folder}/${name}`);
      if (text === null || !needsAliases && hasAliasesOnly(text)) continue;
      mergeRegistriesConf(conf, `${folder}/${name}`, text);
    }
  }
  if (!needsAliases) return conf;
  const remembered = `${sources.cacheHome}/containers/short-name-aliases.conf`;
  const text = await readOptional(remembered);
  if (text !== null) mergeRegistriesConf(conf, remembered, text);
  return conf;
}

/** Whether its first words begin that table, and no other begins behind it. */
function hasAliasesOnly(text: string): boolean {
  return /^(?:\s|#[^\n]*\n)*\[aliases\][^[]*$/.test(text);
}

export function emptyRegistriesConf(): RegistriesConf {
  return {
    shortNameMode: "permissive",
    aliases: {},
    registries: [],
    credentialHelpers: ["containers-auth.json"],
  };
}

/** Lays one file over what was read before: lists are replaced, aliases and registries merged by key. */
export function mergeRegistriesConf(conf: RegistriesConf, path: string, text: string): void {
  const reader = new Reader(path);
  const root = reader.parse(text);
  if (root.registries !== undefined) {
    throw new InvalidArgumentError(`read ${path}: it is in the old version 1 format`, {
      hint: "write [[registry]] tables as containers-registries.conf(5) describes",
    });
  }
  const search = reader.strings(root, "unqualified-search-registries");
  if (search !== undefined) conf.unqualifiedSearch = search.map((s) => reader.location(s));
  const helpers = reader.strings(root, "credential-helpers");
  if (helpers !== undefined) conf.credentialHelpers = helpers;
  const mode = reader.oneOf(root, "short-name-mode", ["enforcing", "permissive", "disabled"] as const);
  if (mode !== undefined) conf.shortNameMode = mode;
  for (const [name, target] of Object.entries(reader.table(root, "aliases"))) {
    if (typeof target !== "string") throw reader.error(`aliases.${name}`, "it is no text");
    // An empty target takes an alias of an earlier file back.
    if (target === "") delete conf.aliases[name];
    else conf.aliases[name] = target;
  }
  for (const table of reader.tables(root, "registry")) {
    const registry = readRegistry(reader, table);
    conf.registries = [...conf.registries.filter((r) => r.prefix !== registry.prefix), registry];
  }
}

function readRegistry(reader: Reader, table: Table): RegistryConfig {
  const location = reader.string(table, "location");
  const prefix = reader.string(table, "prefix") || location;
  if (prefix === undefined || prefix === "") {
    throw reader.error("registry", "it has neither prefix nor location");
  }
  const isWildcard = prefix.startsWith("*.");
  reader.location(isWildcard ? prefix.slice(2) : prefix);
  if (isWildcard && prefix.includes("/")) throw reader.error("registry.prefix", `"${prefix}" has a path`);
  if (!isWildcard && location === undefined) throw reader.error(`registry "${prefix}"`, "it has no location");
  const digestOnly = reader.boolean(table, "mirror-by-digest-only");
  return {
    prefix,
    ...(location === undefined || location === "" ? {} : { location: reader.location(location) }),
    insecure: reader.boolean(table, "insecure"),
    blocked: reader.boolean(table, "blocked"),
    mirrors: reader.tables(table, "mirror").map((mirror) => {
      const place = reader.string(mirror, "location");
      if (place === undefined) throw reader.error("registry.mirror", "it has no location");
      const use = reader.oneOf(mirror, "pull-from-mirror", ["all", "digest-only", "tag-only"] as const);
      return {
        location: reader.location(place),
        insecure: reader.boolean(mirror, "insecure"),
        use: use ?? (digestOnly ? "digest-only" : "all"),
      };
    }),
  };
}

/** The registry table that covers `name` (`host[:port]/path`): the longest prefix that ends at a boundary. */
export function findRegistry(conf: RegistriesConf, name: string): RegistryConfig | undefined {
  let best: RegistryConfig | undefined;
  for (const registry of conf.registries) {
    if (prefixMatches(registry.prefix, name) && registry.prefix.length > (best?.prefix.length ?? -1)) {
      best = registry;
    }
  }
  return best;
}

/**
 * The places to try for an image, mirrors first.
 * @param name `host[:port]/path`, without tag and digest
 * @throws InvalidArgumentError where the registry is blocked
 */
export function pullSources(conf: RegistriesConf, name: string, by: "tag" | "digest"): PullSource[] {
  const registry = findRegistry(conf, name);
  if (registry === undefined) return [sourceAt(name, false, false)];
  if (registry.blocked) {
    throw new InvalidArgumentError(`pull from ${registry.prefix}: registries.conf blocks this registry`);
  }
  const rest = registry.prefix.startsWith("*.") ? undefined : name.slice(registry.prefix.length);
  const mirrors = registry.mirrors
    .filter((m) => m.use === "all" || m.use === `${by}-only`)
    .map((m) => sourceAt(m.location + (rest ?? name.slice(name.indexOf("/"))), m.insecure, true));
  const own = registry.location === undefined || registry.location === registry.prefix
    ? name
    : registry.location + (rest ?? name.slice(name.indexOf("/")));
  return [...mirrors, sourceAt(own, registry.insecure, false)];
}

function sourceAt(name: string, insecure: boolean, isMirror: boolean): PullSource {
  const slash = name.indexOf("/");
  if (slash < 0) {
    throw new InvalidArgumentError(`pull from ${name}: registries.conf leaves no repository name`);
  }
  return { host: name.slice(0, slash), path: name.slice(slash + 1), insecure, isMirror };
}

/** `quay.io/team` covers `quay.io/team/app` but not `quay.io/teams`; `*.io` covers `quay.io/…`. */
function prefixMatches(prefix: string, name: string): boolean {
  if (prefix.startsWith("*.")) {
    const host = name.split("/")[0]!.replace(/:\d+$/, "");
    return host.endsWith(prefix.slice(1)) && host.length > prefix.length - 1;
  }
  if (!name.startsWith(prefix)) return false;
  const next = name[prefix.length];
  // A prefix without a port covers any port of the host: `host` and `host:5000/app`.
  return next === undefined || next === "/" ||
    (next === ":" && !prefix.includes("/") && !prefix.includes(":"));
}

/** Typed access to a TOML document; every error names file and key. */
class Reader {
  constructor(private readonly path: string) {}

  parse(text: string): Table {
    try {
      return parseToml(text);
    } catch (cause) {
      const line = String((cause as Error).message).split("\n")[0]!.trim();
      throw new InvalidArgumentError(`read ${this.path}: ${line}`, { cause });
    }
  }

  string(table: Table, key: string): string | undefined {
    const value = table[key];
    if (value === undefined || typeof value === "string") return value;
    throw this.error(key, "it is no text");
  }

  boolean(table: Table, key: string): boolean {
    const value = table[key] ?? false;
    if (typeof value === "boolean") return value;
    throw this.error(key, "it is neither true nor false");
  }

  strings(table: Table, key: string): string[] | undefined {
    const value = table[key];
    if (value === undefined) return undefined;
    if (Array.isArray(value) && value.every((v) => typeof v === "string")) return value;
    throw this.error(key, "it is no list of texts");
  }

  oneOf<const T extends string>(table: Table, key: string, words: readonly T[]): T | undefined {
    const value = this.string(table, key);
    if (value === undefined || value === "") return undefined;
    const word = words.find((w) => w === value);
    if (word === undefined) throw this.error(key, `"${value}" is none of ${words.join(", ")}`);
    return word;
  }

  table(table: Table, key: string): Table {
    const value = table[key] ?? {};
    if (typeof value === "object" && !Array.isArray(value)) return value as Table;
    throw this.error(key, "it is no table");
  }

  tables(table: Table, key: string): Table[] {
    const value = table[key] ?? [];
    if (Array.isArray(value) && value.every((v) => typeof v === "object" && v !== null)) return value;
    throw this.error(key, `it is no list of tables, write [[${key}]]`);
  }

  /** `host[:port][/path]`: no scheme, no tag, no `..`. */
  location(text: string): string {
    const bare = text.replace(/\/$/, "");
    if (
      /^(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(?::\d{1,5})?(?:\/[a-z0-9._-]+)*$/.test(bare) &&
      !bare.includes("..")
    ) {
      return bare;
    }
    throw this.error("location", `"${text}" is not host[:port][/path]`);
  }

  error(key: string, why: string): InvalidArgumentError {
    return new InvalidArgumentError(`read ${this.path}: ${key}: ${why}`);
  }
}
