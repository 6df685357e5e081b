/** Words of `build` that name things: contexts, secrets, agents, caches. @see docker buildx build reference */

import {
  type CacheTarget,
  type ContextSource,
  isGitAddress,
  type SecretSource,
  type SshSource,
} from "../../runtime/engine/build_options.ts";
import { InvalidArgumentError, UnsupportedError } from "../../runtime/errors.ts";
import { splitFields } from "../../runtime/spec/csv.ts";

const STDIN = 0;

/** `.`, `-`, a URL, a git repository; what a folder is called that looks like one of these begins with `./`. */
export function contextSource(text: string): ContextSource {
  if (text === "-") return { kind: "stdin", fd: STDIN };
  // docker builds `github.com/…` as git, too
  if (isGitAddress(text) || /^github\.com\//.test(text)) return { kind: "git", url: text };
  if (/^https?:\/\//.test(text)) return { kind: "url", url: text };
  return { kind: "folder", path: text };
}

/** `--build-context NAME=SOURCE` */
export function namedContext(text: string): [name: string, source: ContextSource] {
  const [name, value] = pair("build-context", text);
  if (value.startsWith("docker-image://")) {
    return [name, { kind: "image", name: value.slice("docker-image://".length) }];
  }
  if (value.startsWith("container-image://")) {
    return [name, { kind: "image", name: value.slice("container-image://".length) }];
  }
  if (value.startsWith("oci-layout://")) {
    const [, path, digest, tag] = /^([^@:]*)(?:@(sha\d+:[0-9a-f]+)|:(.+))?$/.exec(
      value.slice("oci-layout://".length),
    ) ?? [];
    if (!path) {
      throw new InvalidArgumentError(`build-context "${text}": it is not oci-layout://PATH[:TAG|@DIGEST]`);
    }
    return [name, { kind: "oci-layout", path, reference: digest ?? tag }];
  }
  return [name, contextSource(value)];
}

/** `id=ID,src=FILE`, `id=ID,env=NAME`; `id=ID` alone is the variable of that name, else the file. */
export function secretSource(text: string, env: Readonly<Record<string, string>>): SecretSource {
  const fields = csvFields("secret", text);
  const { id, type, env: variable } = fields;
  const path = fields.src ?? fields.source;
  unknownKeys("secret", text, fields, ["id", "type", "src", "source", "env"]);
  if (!id) throw new InvalidArgumentError(`secret "${text}": it needs id=`);
  if (type !== undefined && type !== "file" && type !== "env") {
    throw new InvalidArgumentError(`secret "${text}": its type is file or env`);
  }
  if (variable !== undefined) return { id, from: { kind: "env", name: variable } };
  if (path === undefined && type !== "file" && env[id] !== undefined) {
    return { id, from: { kind: "env", name: id } };
  }
  if (type === "env") return { id, from: { kind: "env", name: path ?? id } };
  return { id, from: { kind: "file", path: path ?? id } };
}

/** `default`, `ID=SOCKET`, `ID=KEY,KEY` */
export function sshSource(text: string): SshSource {
  const at = text.indexOf("=");
  if (at < 0) return { id: text || "default", paths: [] };
  return {
    id: text.slice(0, at) || "default",
    paths: text.slice(at + 1).split(",").filter((path) => path !== ""),
  };
}

const CACHE_FROM_KEYS: Record<string, readonly string[]> = {
  inline: [],
  local: ["src", "mode"],
  registry: ["ref", "mode"],
};
const CACHE_TO_KEYS: Record<string, readonly string[]> = {
  inline: ["mode"],
  local: ["dest", "mode", "ignore-error", "image-manifest", "oci-mediatypes", "compression"],
  registry: ["ref", "mode", "ignore-error", "image-manifest", "oci-mediatypes", "compression"],
};
/** What a cache is in any case. */
const CACHE_FIXED = { "image-manifest": "true", "oci-mediatypes": "true", compression: "uncompressed" };

/** `type=registry,ref=NAME,mode=max`, or a name alone. */
export function cacheTarget(option: "cache-from" | "cache-to", text: string): CacheTarget {
  if (!text.includes("=")) return { type: "registry", reference: text, mode: "min" };
  const fields = csvFields(option, text);
  const { type = "registry", ref, mode = "min" } = fields;
  if (mode !== "min" && mode !== "max") {
    throw new InvalidArgumentError(`${option} "${text}": its mode is min or max`);
  }
  const keys = option === "cache-from" ? CACHE_FROM_KEYS : CACHE_TO_KEYS;
  unknownKeys(option, text, fields, ["type", ...keys[type] ?? Object.keys(fields)]);
  for (const [key, only] of Object.entries(CACHE_FIXED)) {
    if (fields[key] === undefined || fields[key] === only) continue;
    throw new UnsupportedError(`${option} "${text}": ${key} is always ${only}`);
  }
  const ignoreError = isTrue(fields["ignore-error"]) ? { ignoreError: true } : {};
  switch (type) {
    case "inline":
      return { type };
    case "local": {
      const path = fields.src ?? fields.dest;
      if (!path) {
        throw new InvalidArgumentError(
          `${option} "${text}": it needs ${option === "cache-to" ? "dest=" : "src="}`,
        );
      }
      return { type, path, mode, ...ignoreError };
    }
    case "registry":
      if (!ref) throw new InvalidArgumentError(`${option} "${text}": it needs ref=`);
      return { type, reference: ref, mode, ...ignoreError };
    default:
      throw new UnsupportedError(`${option} "${text}": caches of type ${type} cannot be reached`, {
        hint: "type=registry, type=local and type=inline can",
      });
  }
}

export function isTrue(text: string | undefined): boolean {
  return text !== undefined && /^(1|t|true)$/i.test(text);
}

export function isFalse(text: string | undefined): boolean {
  return text !== undefined && !isTrue(text);
}

function pair(option: string, text: string): [key: string, value: string] {
  const at = text.indexOf("=");
  if (at < 1) throw new InvalidArgumentError(`${option} "${text}": it is not NAME=VALUE`);
  return [text.slice(0, at), text.slice(at + 1)];
}

/** One line of CSV of `key=value`; a word without `=` is a key that is true. */
export function csvFields(option: string, text: string): Record<string, string> {
  const fields: Record<string, string> = Object.create(null);
  for (const field of splitFields(text).filter((field) => field !== "")) {
    const equals = field.indexOf("=");
    const key = (equals < 0 ? field : field.slice(0, equals)).trim().toLowerCase();
    if (key === "") throw new InvalidArgumentError(`${option} "${text}": a field has no name`);
    fields[key] = equals < 0 ? "true" : field.slice(equals + 1);
  }
  return fields;
}

export function unknownKeys(
  option: string,
  text: string,
  fields: Record<string, string>,
  known: readonly string[],
): void {
  const strange = Object.keys(fields).find((key) => !known.includes(key));
  if (strange !== undefined) throw new InvalidArgumentError(`${option} "${text}": unknown key "${strange}"`);
}
