/** Words of `build` that name things: contexts, secrets, agents, outputs, caches. @see docker buildx build reference */

import {
  type BuildOutput,
  type CacheTarget,
  type ContextSource,
  fullTag,
  type LayerCompression,
  type SecretSource,
  type SshSource,
} from "../../runtime/engine/build_options.ts";
import { InvalidArgumentError, UnsupportedError } from "../../runtime/errors.ts";
import { splitFields } from "../../runtime/spec/csv.ts";

const STDIN = 0;

/** `.`, `-`, a URL, a git repository; what a folder is called that looks like one of these begins with `./`. */
export function contextSource(text: string): ContextSource {
  if (text === "-") return { kind: "stdin", fd: STDIN };
  if (isGitUrl(text)) return { kind: "git", url: text };
  if (/^https?:\/\//.test(text)) return { kind: "url", url: text };
  return { kind: "folder", path: text };
}

/** @see BuildKit util/gitutil: IsGitTransport; docker builds `github.com/…` as git, too */
function isGitUrl(text: string): boolean {
  if (/^https?:\/\//.test(text)) return /\.git(?:[#?].*)?$/.test(text);
  return /^(?:git|ssh):\/\//.test(text) || /^git@[\w.-]+:/.test(text) || /^github\.com\//.test(text);
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
    const match = /^(.*?)(?:@(sha\d+:[0-9a-f]+)|:([\w][\w.-]*))?$/.exec(
      value.slice("oci-layout://".length),
    )!;
    return [name, { kind: "oci-layout", path: match[1]!, reference: match[2] ?? match[3] }];
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

/** `default`, `ID=SOCKET` */
export function sshSource(text: string): SshSource {
  const at = text.indexOf("=");
  if (at < 0) return { id: text, paths: [] };
  return { id: text.slice(0, at), paths: text.slice(at + 1).split(",").filter((path) => path !== "") };
}

/** What buildx has besides, and what it means here. */
const OUTPUT_KEYS: Record<string, readonly string[]> = {
  image: ["name", "push", "store", "unpack", "oci-mediatypes", "compression", "force-compression"],
  registry: ["name", "oci-mediatypes", "compression", "force-compression"],
  local: ["dest"],
  tar: ["dest"],
  oci: ["dest", "name", "tar", "compression", "oci-mediatypes"],
  docker: ["dest", "name", "tar", "compression"],
  cacheonly: [],
};

/** `type=local,dest=out`, `out`, `-`. `tags`: what an image is called that the output gives no name. */
export function buildOutput(text: string, tags: readonly string[]): BuildOutput {
  if (text === "") throw new InvalidArgumentError('output "": it is neither a path nor type=…');
  if (text === "-") return { type: "tar", dest: "-" };
  if (!text.includes("=") && !text.includes(",")) return { type: "local", dest: text };
  const fields = csvFields("output", text);
  const { type } = fields;
  if (type === undefined || !Object.hasOwn(OUTPUT_KEYS, type)) {
    const types = Object.keys(OUTPUT_KEYS).join(", ");
    throw new InvalidArgumentError(
      `output "${text}": ${type === undefined ? "it needs type=" : `type "${type}" is none of ${types}`}`,
    );
  }
  unknownKeys("output", text, fields, [
    "type",
    "rewrite-timestamp",
    ...OUTPUT_KEYS[type]!.includes("compression") ? ["compression-level"] : [],
    ...OUTPUT_KEYS[type]!,
  ]);
  const names = fields.name === undefined
    ? undefined
    : fields.name.split(",").filter((name) => name !== "").map(fullTag);
  switch (type) {
    case "cacheonly":
      return { type };
    case "image":
    case "registry":
      if (fields.compression === "uncompressed") {
        throw new UnsupportedError(`output "${text}": layers are pushed packed`);
      }
      return {
        type: "image",
        names: names ?? [...tags],
        push: type === "registry" || isTrue(fields.push),
        ...compressionOf(text, fields),
      };
    case "local":
    case "tar":
      if (!fields.dest) throw new InvalidArgumentError(`output "${text}": it needs dest=`);
      return { type, dest: fields.dest };
    default:
      if (fields.tar !== undefined && !isTrue(fields.tar)) {
        throw new UnsupportedError(`output "${text}": a layout is written as a tar`, {
          hint: "save the image with --format oci-dir",
        });
      }
      // as for docker: without a place it is the store
      if (type === "docker" && fields.dest === undefined) {
        return { type: "image", names: names ?? [...tags], push: false };
      }
      return {
        type: type as "oci" | "docker",
        dest: fields.dest ?? "-",
        names,
        ...compressionOf(text, fields),
      };
  }
}

const LEVELS: Record<LayerCompression, number> = { gzip: 9, zstd: 20, uncompressed: -1 };

function compressionOf(text: string, fields: Record<string, string>): {
  compression?: LayerCompression;
  level?: number;
} {
  const { compression, "compression-level": level } = fields;
  if (compression !== undefined && !Object.hasOwn(LEVELS, compression)) {
    throw new UnsupportedError(`output "${text}": compression is gzip, zstd or uncompressed`);
  }
  if (level === undefined) {
    return compression === undefined ? {} : { compression: compression as LayerCompression };
  }
  const chosen = (compression ?? "gzip") as LayerCompression;
  if (!/^\d{1,2}$/.test(level) || Number(level) < 1 || Number(level) > LEVELS[chosen]) {
    throw new InvalidArgumentError(
      chosen === "uncompressed"
        ? `output "${text}": what is not packed has no level`
        : `output "${text}": the level of ${chosen} is 1 to ${LEVELS[chosen]}`,
    );
  }
  return { compression: chosen, level: Number(level) };
}

/** `type=registry,ref=NAME,mode=max`, or a name alone. */
export function cacheTarget(option: "cache-from" | "cache-to", text: string): CacheTarget {
  if (!text.includes("=")) return { type: "registry", reference: text, mode: "min" };
  const fields = csvFields(option, text);
  const { type = "registry", ref, mode = "min" } = fields;
  if (mode !== "min" && mode !== "max") {
    throw new InvalidArgumentError(`${option} "${text}": its mode is min or max`);
  }
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
      return { type, path, mode };
    }
    case "registry":
      if (!ref) throw new InvalidArgumentError(`${option} "${text}": it needs ref=`);
      return { type, reference: ref, mode };
    default:
      throw new UnsupportedError(`${option} "${text}": caches of type ${type} cannot be reached`, {
        hint: "type=registry, type=local and type=inline can",
      });
  }
}

function isTrue(text: string | undefined): boolean {
  return text !== undefined && /^(1|t|true)$/i.test(text);
}

function pair(option: string, text: string): [key: string, value: string] {
  const at = text.indexOf("=");
  if (at < 1) throw new InvalidArgumentError(`${option} "${text}": it is not NAME=VALUE`);
  return [text.slice(0, at), text.slice(at + 1)];
}

/** One line of CSV of `key=value`; a word without `=` is a key that is true. */
function csvFields(option: string, text: string): Record<string, string> {
  const fields: Record<string, string> = Object.create(null);
  for (const field of splitFields(text).filter((field) => field !== "")) {
    const equals = field.indexOf("=");
    const key = (equals < 0 ? field : field.slice(0, equals)).trim().toLowerCase();
    if (key === "") throw new InvalidArgumentError(`${option} "${text}": a field has no name`);
    fields[key] = equals < 0 ? "true" : field.slice(equals + 1);
  }
  return fields;
}

function unknownKeys(
  option: string,
  text: string,
  fields: Record<string, string>,
  known: readonly string[],
): void {
  const strange = Object.keys(fields).find((key) => !known.includes(key));
  if (strange !== undefined) throw new InvalidArgumentError(`${option} "${text}": unknown key "${strange}"`);
}
