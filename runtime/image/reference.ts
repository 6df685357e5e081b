/**
 * Image references: `[registry[:port]/]path[:tag][@digest]`, as docker and podman read them.
 *
 * The grammar is our own: @swimlane/docker-reference was meant to sit here, but its path expression nests
 * an optional separator in a repetition and takes 4.7 s for 14 letters followed by `!`. It stays the
 * oracle in the test.
 *
 * @see https://github.com/distribution/reference, the grammar in reference.go
 */
import { InvalidArgumentError } from "../errors.ts";
import { type Digest, parseDigest } from "../spec/digest.ts";
import { printable } from "../spec/printable.ts";

/** A reference whose registry is known. */
export interface Reference {
  /** `docker.io`, `quay.io`, `localhost:5000`, `[::1]:5000`. */
  domain: string;
  /** `library/busybox`. */
  path: string;
  tag?: string;
  digest?: Digest;
}

/** What the user wrote; `domain` is absent in a short name. */
export interface NameParts {
  domain?: string;
  path: string;
  tag?: string;
  digest?: Digest;
}

export const DEFAULT_DOMAIN = "docker.io";
export const DEFAULT_TAG = "latest";

/** Names of Docker Hub that mean `docker.io`. */
const DOCKER_HUB_NAMES: readonly string[] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

const NAME_MAX_LENGTH = 255;
const PATH = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*$/;
const DOMAIN = /^(?:[a-zA-Z0-9-]+(?:\.[a-zA-Z0-9-]+)*|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?$/;
const HYPHEN_AT_EDGE = /(?:^|\.)-|-(?:\.|:|$)/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const IMAGE_ID = /^[0-9a-f]{64}$/;

/**
 * Takes a name apart without deciding which registry a short name is from.
 * @throws InvalidArgumentError with the rule that is broken.
 */
export function parseName(text: string): NameParts {
  const fail = (why: string, hint?: string) =>
    new InvalidArgumentError(`parse image reference "${printable(text, 100)}": ${why}`, { hint });
  if (text === "") throw fail("it is empty");
  if (text.length > 1024) throw fail("it is too long");
  const scheme = /^[a-z][a-z-]*:\/\//.exec(text)?.[0];
  if (scheme === "docker://") return parseName(text.slice(scheme.length));
  if (scheme !== undefined) throw fail(`it names no image`, `leave out ${scheme}`);

  const at = text.indexOf("@");
  const digest = at < 0 ? undefined : parseDigest(text.slice(at + 1));
  let rest = at < 0 ? text : text.slice(0, at);

  const colon = rest.indexOf(":", rest.lastIndexOf("/") + 1);
  const tag = colon < 0 ? undefined : rest.slice(colon + 1);
  if (colon >= 0) rest = rest.slice(0, colon);
  if (tag !== undefined && !TAG.test(tag)) throw fail("the tag is malformed");

  const slash = rest.indexOf("/");
  const first = slash < 0 ? "" : rest.slice(0, slash);
  const domain = looksLikeDomain(first) ? first : undefined;
  const path = domain === undefined ? rest : rest.slice(slash + 1);
  if (domain !== undefined && !isDomain(domain)) throw fail("the registry's name is malformed");
  if (path === "") throw fail("it has no name");
  if (!PATH.test(path)) {
    throw fail(PATH.test(path.toLowerCase()) ? "the name must be lower case" : "the name is malformed");
  }
  if (domain === undefined && IMAGE_ID.test(path)) throw fail("64 hexadecimal digits are an id, not a name");
  if (rest.length > NAME_MAX_LENGTH) throw fail(`the name is longer than ${NAME_MAX_LENGTH} characters`);
  return {
    ...(domain === undefined ? {} : { domain }),
    path,
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
  };
}

/** A short name is one without a registry, such as `busybox` or `library/busybox`. */
export function isShortName(text: string): boolean {
  return parseName(text).domain === undefined;
}

/** What is no name at a registry, but a file or folder: `oci-archive:FILE`. @see containers-transports(5) */
export function isFileReference(text: string): boolean {
  return /^(dir|docker-archive|oci|oci-archive):/.test(text);
}

/** What leads into another program's store and can be no name: `docker-daemon:app:1`. @see containers-transports(5) */
export function isStoreReference(text: string): boolean {
  return /^(docker-daemon|containers-storage):.*[:@]/.test(text);
}

/**
 * The reference as docker normalises it: short names are `docker.io`'s, its one-part names `library/…`.
 * The tag is left as given; `withDefaultTag` adds `latest`.
 */
export function parseReference(text: string): Reference {
  return qualify(parseName(text), DEFAULT_DOMAIN);
}

/** Gives a name without a registry the one in `domain` (which may carry a path, `quay.io/team`). */
export function qualify(name: NameParts, domain: string): Reference {
  const slash = domain.indexOf("/");
  const prefix = name.domain !== undefined || slash < 0 ? "" : domain.slice(slash + 1) + "/";
  let host = name.domain ?? (slash < 0 ? domain : domain.slice(0, slash));
  if (DOCKER_HUB_NAMES.includes(host)) host = DEFAULT_DOMAIN;
  let path = prefix + name.path;
  if (host === DEFAULT_DOMAIN && !path.includes("/")) path = `library/${path}`;
  return {
    domain: host,
    path,
    ...(name.tag === undefined ? {} : { tag: name.tag }),
    ...(name.digest === undefined ? {} : { digest: name.digest }),
  };
}

/** Adds `latest` where neither a tag nor a digest says which image. */
export function withDefaultTag(reference: Reference): Reference {
  if (reference.tag !== undefined || reference.digest !== undefined) return reference;
  return { ...reference, tag: DEFAULT_TAG };
}

/** `docker.io/library/busybox`, without tag and digest. */
export function repositoryName(reference: Reference): string {
  return `${reference.domain}/${reference.path}`;
}

/** The whole reference as text; `parseReference` reads it back. */
export function formatReference(reference: Reference): string {
  const tag = reference.tag === undefined ? "" : `:${reference.tag}`;
  const digest = reference.digest === undefined ? "" : `@${reference.digest}`;
  return repositoryName(reference) + tag + digest;
}

/** As docker shows it: without `docker.io/library/`. */
export function familiarName(reference: Reference): string {
  const full = formatReference(reference);
  if (reference.domain !== DEFAULT_DOMAIN) return full;
  const path = full.slice(DEFAULT_DOMAIN.length + 1);
  const isOfficial = reference.path.startsWith("library/") && !reference.path.slice(8).includes("/");
  return isOfficial ? path.slice("library/".length) : path;
}

/** What distinguishes a registry from the first folder of a path. */
function looksLikeDomain(first: string): boolean {
  return first.includes(".") || first.includes(":") || first === "localhost" || /[A-Z]/.test(first);
}

function isDomain(domain: string): boolean {
  if (domain.length > 255 || !DOMAIN.test(domain) || HYPHEN_AT_EDGE.test(domain)) return false;
  const port = /:([0-9]+)$/.exec(domain.startsWith("[") ? domain.slice(domain.indexOf("]")) : domain)?.[1];
  return port === undefined || (Number(port) > 0 && Number(port) < 65536);
}
