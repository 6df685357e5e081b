/**
 * Where a push goes, as podman's DESTINATION says it: a name at a registry, or `transport:details`.
 *
 * @see podman-push(1), containers-transports(5)
 */

import { InvalidArgumentError, UnsupportedError } from "../errors.ts";
import { formatReference, parseReference, type Reference, withDefaultTag } from "../image/reference.ts";
import { printable } from "../spec/printable.ts";

export type PushDestination =
  | { transport: "docker"; reference: Reference }
  /** `name`: what the image is called in there. */
  | { transport: FileTransport; path: string; name?: string };

export type FileDestination = Exclude<PushDestination, { transport: "docker" }>;

export type FileTransport = "dir" | "oci" | "oci-archive" | "docker-archive";

const REFUSED: Record<string, { why: string; hint: string }> = {
  "docker-daemon": {
    why: "skiff does not talk to Docker's daemon",
    hint: "push to docker-archive:FILE and give that to `docker load`",
  },
  "containers-storage": {
    why: "that is the store of podman and buildah, which is theirs to write to",
    hint: "push to oci-archive:FILE and give that to `podman load`",
  },
  atomic: { why: "there is no such registry any more", hint: "push to a registry by its name" },
  ostree: { why: "skiff writes no ostree repositories", hint: "push to oci:PATH" },
  sif: { why: "skiff writes no Singularity images", hint: "push to oci-archive:FILE" },
  tarball: { why: "a tarball is only read", hint: "push to oci-archive:FILE" },
};

/** A name without a registry is Docker Hub's, as for podman. @throws InvalidArgumentError, UnsupportedError */
export function parsePushDestination(text: string): PushDestination {
  const colon = text.indexOf(":");
  const transport = colon < 0 ? undefined : text.slice(0, colon);
  const rest = text.slice(colon + 1);
  switch (transport) {
    case "dir":
      return { transport, path: checkPath(text, rest) };
    case "oci":
    case "oci-archive":
      return { transport, ...splitName(text, rest) };
    case "docker-archive": {
      const { path, name } = splitName(text, rest);
      const full = name === undefined ? undefined : formatReference(withDefaultTag(parseReference(name)));
      if (full?.includes("@")) {
        throw new InvalidArgumentError(`push to "${printable(text)}": a docker-archive has names with a tag`);
      }
      return { transport, path, ...(full === undefined ? {} : { name: full }) };
    }
  }
  if (transport !== undefined && Object.hasOwn(REFUSED, transport)) {
    const { why, hint } = REFUSED[transport]!;
    throw new UnsupportedError(`push to "${printable(text)}": ${why}`, { hint });
  }
  return { transport: "docker", reference: registryReference(text, transport) };
}

function registryReference(text: string, transport: string | undefined): Reference {
  let reference: Reference;
  try {
    reference = parseReference(text.startsWith("docker://") ? text.slice("docker://".length) : text);
  } catch (cause) {
    const why = transport === undefined
      ? "expected colon-separated transport:reference"
      : transport === "docker"
      ? (cause as Error).message
      : `unknown transport "${printable(transport)}"`;
    throw new InvalidArgumentError(`Invalid image name "${printable(text)}", ${why}`, { cause });
  }
  if (reference.tag !== undefined && reference.digest !== undefined) {
    throw new InvalidArgumentError(`push to "${printable(text)}": it has both a tag and a digest`);
  }
  return withDefaultTag(reference);
}

/** `PATH[:NAME]`; a name may have colons itself. */
function splitName(text: string, rest: string): { path: string; name?: string } {
  const colon = rest.indexOf(":");
  const path = checkPath(text, colon < 0 ? rest : rest.slice(0, colon));
  const name = colon < 0 ? "" : rest.slice(colon + 1);
  return { path, ...(name === "" ? {} : { name }) };
}

function checkPath(text: string, path: string): string {
  if (path === "") throw new InvalidArgumentError(`push to "${printable(text)}": it names no path`);
  if (path.includes("\0")) {
    throw new InvalidArgumentError(`push to "${printable(text)}": its path is malformed`);
  }
  return path;
}
