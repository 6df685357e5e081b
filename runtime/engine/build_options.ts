/** What the fronts ask of a build, and what it tells them. */

import { InvalidArgumentError } from "../errors.ts";
import type { BuildOptions, ContextSource } from "../build/options.ts";
import { printable } from "../spec/printable.ts";
import { formatReference, parseName, qualify, withDefaultTag } from "../image/reference.ts";

export { isGitAddress } from "../build/context/git_address.ts";
export type { CheckFinding } from "../build/dockerfile/ast.ts";
export type { BuildEvent, Vertex, VertexLog, VertexStatus } from "../build/events.ts";
export type {
  BuildOptions,
  BuildOutput,
  BuildResult,
  CacheTarget,
  ContextSource,
  DockerfileSource,
  LayerCompression,
  SecretSource,
  SshSource,
} from "../build/options.ts";

/** What a program asks for: all but the context has a default. */
export interface BuildRequest extends Partial<Omit<BuildOptions, "context">> {
  /** A folder's path, or any other source. */
  context: string | ContextSource;
}

/** The request with its defaults; names of images in full. */
export function completeBuildOptions({ context, ...given }: BuildRequest): BuildOptions {
  return {
    buildArgs: {},
    contexts: {},
    secrets: [],
    ssh: [],
    labels: {},
    annotations: {},
    platforms: [],
    pull: "missing",
    noCache: false,
    noCacheFilter: [],
    cacheFrom: [],
    cacheTo: [],
    addHosts: [],
    noHosts: false,
    noHostname: false,
    dns: [],
    dnsSearch: [],
    dnsOptions: [],
    ulimits: [],
    capAdd: [],
    capDrop: [],
    securityOpt: [],
    devices: [],
    groupAdd: [],
    volumes: [],
    allow: [],
    env: [],
    unsetEnv: [],
    unsetLabel: [],
    omitHistory: false,
    format: "oci",
    checkOnly: false,
    ...given,
    context: typeof context === "string" ? { kind: "folder", path: context } : context,
    tags: (given.tags ?? []).map(fullTag),
    outputs: (given.outputs ?? []).map((output) =>
      "names" in output && output.names !== undefined
        ? { ...output, names: output.names.map(fullTag) }
        : output
    ),
  };
}

/** The full name of a repository that is pushed to by digest. */
export function fullRepository(text: string): string {
  const parts = parseName(text);
  if (parts.tag !== undefined || parts.digest !== undefined) {
    throw new InvalidArgumentError(`can't push tagged ref ${printable(text)} by digest`);
  }
  return formatReference(qualify(parts, "localhost"));
}

/** The full name of an image that is built: without a registry it is `localhost/…`, as podman has it. */
export function fullTag(text: string): string {
  const parts = parseName(text);
  if (parts.digest !== undefined) {
    throw new InvalidArgumentError(`tag image "${text}": a name with a digest cannot be given`);
  }
  return formatReference(withDefaultTag(qualify(parts, "localhost")));
}
