/** What containers.conf says about pushes. @see containers.conf(5), compression_format, compression_level, add_compression */

import { compressionOf, isPackingFormat, LEVELS, type Packing } from "../archive/packing.ts";
import { findContainersConf } from "../config/containers_conf_files.ts";
import { InvalidArgumentError } from "../errors.ts";
import type { PushOptions } from "./push.ts";

export interface PushDefaults {
  /** Of layers that are not packed. */
  packing?: Packing;
  addPacking?: Packing["format"][];
}

/** @throws {InvalidArgumentError} where it names what is no way of packing */
export async function pushDefaults({ format: dialect }: Pick<PushOptions, "format">): Promise<PushDefaults> {
  const files = findContainersConf();
  if (files.length === 0) return {};
  const { readContainersConf } = await import("../config/containers_conf.ts");
  const { compression_format: format, compression_level: level, add_compression: add } = readContainersConf(
    files,
  ).engine as {
    compression_format?: string;
    compression_level?: number;
    add_compression?: string[];
  };
  const addPacking = add?.length ? add.map((word) => formatOf("add_compression", word)) : undefined;
  const chosen = formatOf("compression_format", format || "gzip");
  // a v2s2 manifest has no other
  const known = dialect === "docker" && compressionOf({ format: chosen }) === "zstd" ? "gzip" : chosen;
  if (!format && level === undefined) return { addPacking };
  if (level !== undefined && known === chosen && (level < 1 || level > LEVELS[known])) {
    throw new InvalidArgumentError(`containers.conf: compression_level of ${known} is 1 to ${LEVELS[known]}`);
  }
  return { packing: { format: known, level: known === chosen ? level : undefined }, addPacking };
}

function formatOf(key: string, word: string): Packing["format"] {
  if (isPackingFormat(word)) return word;
  throw new InvalidArgumentError(
    `containers.conf: ${key}: cannot find compressor for ${JSON.stringify(word)}`,
  );
}
