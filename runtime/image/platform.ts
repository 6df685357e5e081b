/**
 * Platforms: `linux/arm64/v8`, and which image of an index runs on one.
 *
 * @see OCI image-spec image-index.md, platform variants; containerd/platforms compare.go
 */
import { InvalidArgumentError, NotFoundError } from "../errors.ts";
import {
  type Descriptor,
  type Index,
  INDEX_MEDIA_TYPES,
  MANIFEST_MEDIA_TYPES,
  type Platform,
} from "../spec/image.ts";
import { printable } from "../spec/printable.ts";

/** Other spellings of an architecture, and the variant they imply. */
const ALIASES: Readonly<Record<string, [architecture: string, variant?: string]>> = {
  x86_64: ["amd64"],
  "x86-64": ["amd64"],
  i386: ["386"],
  i486: ["386"],
  i586: ["386"],
  i686: ["386"],
  aarch64: ["arm64", "v8"],
  armhf: ["arm", "v7"],
  armel: ["arm", "v6"],
  armv6l: ["arm", "v6"],
  armv7l: ["arm", "v7"],
  armv8l: ["arm64", "v8"],
};

/** Of Linux, as Go names them: what a word alone may be. */
const ARCHITECTURES = new Set(
  "386 amd64 arm arm64 loong64 mips mips64 mips64le mipsle ppc64 ppc64le riscv64 s390x".split(" "),
);

/** The variant an image means when it names none. */
const DEFAULT_VARIANT: Readonly<Record<string, string>> = { arm: "v7", arm64: "v8", amd64: "v1" };

const PART = /^[A-Za-z0-9_.-]+$/;

/** What this machine runs. */
export function hostPlatform(arch: string = Deno.build.arch): Platform {
  return arch === "aarch64"
    ? { os: "linux", architecture: "arm64", variant: "v8" }
    : { os: "linux", architecture: "amd64" };
}

/**
 * Reads `os/architecture[/variant]`, or one part alone: an architecture, or the word `linux`.
 * @throws InvalidArgumentError
 */
export function parsePlatform(text: string, host: Platform = hostPlatform()): Platform {
  const parts = text.toLowerCase().split("/");
  if (parts.length > 3 || !parts.every((part) => PART.test(part))) {
    throw new InvalidArgumentError(
      `parse platform "${printable(text, 60)}": it is not os/architecture[/variant]`,
    );
  }
  if (parts.length === 1) {
    const [part] = parts as [string];
    if (part === "linux") return host;
    if (!(part in ALIASES) && !ARCHITECTURES.has(part)) {
      throw new InvalidArgumentError(
        `parse platform "${printable(text, 60)}": it is neither an operating system nor an architecture`,
      );
    }
    return normalise("linux", part, undefined);
  }
  return normalise(parts[0]!, parts[1]!, parts[2]);
}

export function formatPlatform(platform: Platform): string {
  const { os, architecture, variant } = platform;
  return printable(`${os}/${architecture}${variant === undefined ? "" : `/${variant}`}`, 60);
}

/**
 * The entry of an index that fits the platform best: the exact variant first, then the nearest older one.
 * An entry that names no platform counts only where nothing else fits.
 * @throws NotFoundError that lists what the index has.
 */
export function choosePlatform(what: string, index: Index, wanted: Platform): Descriptor {
  const usable = index.manifests.filter((m) =>
    MANIFEST_MEDIA_TYPES.includes(m.mediaType) || INDEX_MEDIA_TYPES.includes(m.mediaType)
  );
  let best: Descriptor | undefined;
  let bestRank = Infinity;
  for (const entry of usable) {
    const rank = rankOf(entry.platform, wanted);
    if (rank < bestRank) [best, bestRank] = [entry, rank];
  }
  if (best !== undefined) return best;
  const offered = [...new Set(usable.flatMap((m) => (m.platform ? [formatPlatform(m.platform)] : [])))]
    .filter((name) => name !== "unknown/unknown").slice(0, 20);
  throw new NotFoundError("image", what, {
    message: `choose an image of ${what}: there is none for ${formatPlatform(wanted)}`,
    hint: offered.length === 0 ? undefined : `it has ${offered.join(", ")}; choose one with --platform`,
  });
}

/** True where an image for `offered` runs on `wanted`. */
export function platformFits(offered: Platform, wanted: Platform): boolean {
  return rankOf(offered, wanted) !== Infinity;
}

/** 0 is exact; Infinity does not run. */
function rankOf(offered: Platform | undefined, wanted: Platform): number {
  if (offered === undefined) return 1000;
  const have = normalise(offered.os.toLowerCase(), offered.architecture.toLowerCase(), offered.variant);
  if (have.os !== wanted.os || have.architecture !== wanted.architecture) return Infinity;
  const haveVariant = have.variant ?? DEFAULT_VARIANT[have.architecture];
  const wantVariant = wanted.variant ?? DEFAULT_VARIANT[wanted.architecture];
  if (haveVariant === wantVariant) return 0;
  if (haveVariant === undefined || wantVariant === undefined) return Infinity;
  const [haveNumber, wantNumber] = [variantNumber(haveVariant), variantNumber(wantVariant)];
  if (Number.isNaN(haveNumber) || Number.isNaN(wantNumber)) return Infinity;
  return haveNumber < wantNumber ? wantNumber - haveNumber : Infinity;
}

/** `v8.1` is 8.1, `v7` is 7. */
function variantNumber(variant: string): number {
  return /^v\d+(\.\d+)?$/.test(variant) ? Number(variant.slice(1)) : NaN;
}

function normalise(os: string, architecture: string, variant: string | undefined): Platform {
  const [name, implied] = Object.hasOwn(ALIASES, architecture) ? ALIASES[architecture]! : [architecture];
  let chosen = (variant || undefined)?.toLowerCase() ?? implied;
  if (chosen !== undefined && /^\d/.test(chosen)) chosen = `v${chosen}`;
  return { os, architecture: name, ...(chosen === undefined ? {} : { variant: chosen }) };
}
