/** `--output` of builds. @see docs.docker.com/reference/cli/docker/buildx/build, --output; podman-build(1) */

import {
  type BuildOutput,
  fullRepository,
  fullTag,
  type LayerCompression,
} from "../../runtime/engine/build_options.ts";
import { InvalidArgumentError, UnsupportedError } from "../../runtime/errors.ts";
import { csvFields, isFalse, isTrue, unknownKeys } from "./build_sources.ts";

const IMAGE_KEYS = [
  ...["name", "oci-mediatypes", "compression", "force-compression"],
  ...["push-by-digest", "name-canonical", "registry.insecure"],
];

/** What buildx has besides, and what it means here. */
const OUTPUT_KEYS: Record<string, readonly string[]> = {
  image: [...IMAGE_KEYS, "push", "store", "unpack"],
  registry: IMAGE_KEYS,
  local: ["dest", "platform-split"],
  tar: ["dest"],
  oci: ["dest", "name", "tar", "compression", "force-compression", "oci-mediatypes"],
  docker: ["dest", "name", "tar", "compression", "force-compression", "oci-mediatypes"],
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
  const known = Object.keys(fields).filter((key) => !ANNOTATION_KEY.test(key) || !takesAnnotations(type));
  unknownKeys("output", text, Object.fromEntries(known.map((key) => [key, fields[key]!])), [
    "type",
    "rewrite-timestamp",
    ...OUTPUT_KEYS[type]!.includes("compression") ? ["compression-level"] : [],
    ...OUTPUT_KEYS[type]!,
  ]);
  const byDigest = isTrue(fields["push-by-digest"]);
  const names = fields.name === undefined
    ? undefined
    : fields.name.split(",").filter((name) => name !== "").map(byDigest ? fullRepository : fullTag);
  switch (type) {
    case "cacheonly":
      return { type };
    case "image":
    case "registry":
      if (fields.compression === "uncompressed") {
        throw new UnsupportedError(`output "${text}": layers are pushed packed`);
      }
      if (fields.store !== undefined && !isTrue(fields.store)) {
        throw new UnsupportedError(`output "${text}": an image is always recorded`, {
          hint: "use type=cacheonly to record none",
        });
      }
      if (byDigest && names === undefined) {
        throw new InvalidArgumentError(`output "${text}": push-by-digest needs name=`);
      }
      return {
        type: "image",
        names: names ?? [...tags],
        push: type === "registry" || isTrue(fields.push),
        ...(byDigest && { byDigest }),
        ...(isTrue(fields["registry.insecure"]) && { insecure: true }),
        ...compressionOf(text, fields),
      };
    case "local":
    case "tar":
      if (!fields.dest) throw new InvalidArgumentError(`output "${text}": it needs dest=`);
      if (type === "tar") return { type, dest: fields.dest };
      return { type, dest: fields.dest, ...(isFalse(fields["platform-split"]) && { merge: true }) };
    default:
      if (isFalse(fields.tar) && (!fields.dest || fields.dest === "-")) {
        throw new InvalidArgumentError(`output "${text}": a folder needs dest=`);
      }
      // as for docker: without a place it is the store
      if (type === "docker" && fields.dest === undefined) {
        return { type: "image", names: names ?? [...tags], push: false };
      }
      return {
        type: type as "oci" | "docker",
        dest: fields.dest ?? "-",
        ...(isFalse(fields.tar) && { asFolder: true }),
        names,
        ...compressionOf(text, fields),
      };
  }
}

/** `annotation.KEY`, `annotation[PLATFORM].KEY`, and with a level: `annotation-index.KEY`. */
const ANNOTATION_KEY =
  /^annotation(?:-(manifest|index|manifest-descriptor|index-descriptor))?(\[[^\]]+\])?\.(.+)$/;

function takesAnnotations(type: string): boolean {
  return type === "image" || type === "registry" || type === "oci";
}

/** Those that outputs have, in the words of `--annotation`. */
export function outputAnnotations(texts: readonly string[]): [key: string, value: string][] {
  return texts.filter((text) => text.includes("annotation")).flatMap((text) =>
    Object.entries(csvFields("output", text)).flatMap(([field, value]): [string, string][] => {
      const [, level = "manifest", platform = "", key] = ANNOTATION_KEY.exec(field) ?? [];
      return key === undefined ? [] : [[`${level}${platform}:${key}`, value]];
    })
  );
}

/** The format of manifests that outputs ask for; undefined where they do not say. */
export function outputFormat(texts: readonly string[]): "oci" | "docker" | undefined {
  const asked = new Set(
    texts.filter((text) => text.includes("oci-mediatypes")).flatMap((text) => {
      const { type, "oci-mediatypes": said } = csvFields("output", text);
      // the path of a folder may have the word in it
      if (type === undefined || said === undefined) return [];
      const isOci = isTrue(said);
      if (!isOci && type === "oci") {
        throw new InvalidArgumentError(`output "${text}": an OCI layout has OCI's media types`);
      }
      return isOci ? "oci" : "docker";
    }),
  );
  if (asked.size > 1) throw new InvalidArgumentError("--output: oci-mediatypes is one for all outputs");
  return [...asked][0];
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
