/** Options of what pushes images: `push` and `manifest push`. */

import { isPackingFormat, LEVELS, type Packing } from "../../runtime/archive/packing.ts";
import type { PushOptions } from "../../runtime/engine/push.ts";
import { InvalidArgumentError, UnsupportedError } from "../../runtime/errors.ts";
import { printable } from "../../runtime/spec/printable.ts";
import type { Flags, Values } from "../command.ts";
import { REGISTRY_FLAGS, registryFrom } from "./registry_login.ts";
import { retriesFrom, RETRY_FLAGS } from "./retry.ts";

/** Of `artifact push` as well. */
export const SIGNING_FLAGS = {
  "sign-by": { kind: "string", value: "KEY", help: "Sign by that key of gpg's, named by its fingerprint" },
  "sign-by-sigstore": {
    kind: "string",
    value: "FILE",
    help: "Sign as FILE says, see containers-sigstore-signing-params.yaml(5)",
  },
  "sign-by-sigstore-private-key": {
    kind: "string",
    value: "FILE",
    help: "Sign by the private key in FILE, as cosign and skopeo make it",
  },
  "sign-passphrase-file": { kind: "string", value: "FILE", help: "The key's passphrase is in FILE" },
} as const satisfies Flags;

export const PUSH_FLAGS = {
  ...REGISTRY_FLAGS,
  compress: { kind: "bool", help: "To dir: pack layers that are not packed" },
  "compression-format": {
    kind: "string",
    value: "FORMAT",
    help:
      "Pack layers with gzip, zstd or zstd:chunked (default: those that are packed stay, others as containers.conf says, or gzip)",
  },
  "compression-level": { kind: "uint", value: "LEVEL", help: "gzip 1 to 9, zstd 1 to 20" },
  digestfile: { kind: "string", value: "FILE", help: "Write the digest of the pushed image to FILE" },
  "disable-content-trust": { kind: "bool", help: "Of Docker, without effect", hidden: true },
  "force-compression": {
    kind: "bool",
    help: "Of podman: layers in another form are never reused, here always",
  },
  format: { kind: "string", short: "f", value: "FORMAT", help: "Kind of manifest: oci or v2s2 (docker)" },
  quiet: { kind: "bool", short: "q", help: "Show no progress" },
  "remove-signatures": { kind: "bool", help: "Of podman: signatures are not kept, so none is pushed" },
  ...SIGNING_FLAGS,
  ...RETRY_FLAGS,
} as const satisfies Flags;

export async function pushOptionsFrom(
  options: Values<typeof PUSH_FLAGS>,
  given: ReadonlySet<string>,
): Promise<PushOptions> {
  const { format, compress } = options;
  return {
    format: dialectFrom(format),
    packing: packingFrom(options["compression-format"], options["compression-level"]),
    compress,
    ...await registryFrom(options, given),
    sign: await signingFrom(options),
    ...retriesFrom(options),
  };
}

export async function signingFrom(options: Values<typeof SIGNING_FLAGS>): Promise<PushOptions["sign"]> {
  const { "sign-by": gpg, "sign-by-sigstore": parameters, "sign-by-sigstore-private-key": key } = options;
  if (!gpg && !parameters && !key) return undefined;
  const { readSigningFlags } = await import("./signing.ts");
  return await readSigningFlags({ gpg, parameters, key, passphraseFile: options["sign-passphrase-file"] });
}

const DIALECTS: Record<string, PushOptions["format"]> = { oci: "oci", v2s2: "docker", docker: "docker" };

/** The words are podman's where it has some. */
function dialectFrom(format: string | undefined): PushOptions["format"] {
  if (format === undefined || format === "") return undefined;
  if (format === "v2s1") {
    throw new UnsupportedError("--format v2s1: manifests of schema 1 are not made, registries refuse them", {
      hint: "use --format v2s2",
    });
  }
  if (!Object.hasOwn(DIALECTS, format)) {
    throw new InvalidArgumentError(
      `unknown format ${
        JSON.stringify(printable(format))
      }. Choose on of the supported formats: 'oci', 'v2s1', or 'v2s2'`,
    );
  }
  return DIALECTS[format];
}

function packingFrom(format: string | undefined, level: number | undefined): PushOptions["packing"] {
  if (format === undefined || format === "") {
    if (level === undefined) return undefined;
    throw new InvalidArgumentError("--compression-level needs --compression-format");
  }
  const known = packingFormat(format);
  if (level !== undefined && (level < 1 || level > LEVELS[known])) {
    throw new InvalidArgumentError(`--compression-level of ${known} is 1 to ${LEVELS[known]}`);
  }
  return { format: known, level };
}

/** @throws {InvalidArgumentError} in podman's words */
export function packingFormat(text: string): Packing["format"] {
  if (isPackingFormat(text)) return text;
  throw new InvalidArgumentError(`cannot find compressor for ${JSON.stringify(printable(text))}`);
}
