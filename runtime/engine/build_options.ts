/** What the fronts ask of a build, and what it tells them. */

import { InvalidArgumentError } from "../errors.ts";
import { formatReference, parseName, qualify, withDefaultTag } from "../image/reference.ts";

export type { CheckFinding } from "../build/dockerfile/ast.ts";
export type { BuildEvent, Vertex, VertexLog, VertexStatus } from "../build/events.ts";
export type {
  BuildOptions,
  BuildOutput,
  BuildResult,
  CacheTarget,
  ContextSource,
  LayerCompression,
  SecretSource,
  SshSource,
} from "../build/options.ts";

/** The full name of an image that is built: without a registry it is `localhost/…`, as podman has it. */
export function fullTag(text: string): string {
  const parts = parseName(text);
  if (parts.digest !== undefined) {
    throw new InvalidArgumentError(`tag image "${text}": a name with a digest cannot be given`);
  }
  return formatReference(withDefaultTag(qualify(parts, "localhost")));
}
