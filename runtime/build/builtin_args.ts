/**
 * Build arguments that mean something to the builder itself, whether an ARG asks for them or not.
 *
 * @see Dockerfile reference, "BuildKit built-in build args"
 */

import { InvalidArgumentError } from "../errors.ts";
import { parseBool } from "./dockerfile/directives.ts";
import type { BuildOptions } from "./options.ts";

type Given = Pick<BuildOptions, "buildArgs">;

/** `BUILDKIT_CACHE_MOUNT_NS`: goes before the ids of cache mounts. */
export function cacheMountId({ buildArgs }: Given, id: string): string {
  const namespace = buildArgs.BUILDKIT_CACHE_MOUNT_NS;
  return namespace ? `${namespace}/${id}` : id;
}

/** `BUILDKIT_SANDBOX_HOSTNAME`: of RUN. */
export function sandboxHostname({ buildArgs }: Given): string | undefined {
  return buildArgs.BUILDKIT_SANDBOX_HOSTNAME || undefined;
}

/** Of `# syntax=`, or `BUILDKIT_SYNTAX` in its place: the image of a frontend that is not docker's own. */
export function foreignSyntax({ buildArgs }: Given, directive: string | undefined): string | undefined {
  const syntax = (buildArgs.BUILDKIT_SYNTAX || directive || "").split(" ")[0]!;
  if (syntax === "" || syntax === "dockerfile.v0") return undefined;
  return /^((index\.)?docker\.io\/)?docker\/dockerfile(-upstream)?([:@].*)?$/.test(syntax)
    ? undefined
    : syntax;
}

/** `BUILDKIT_CONTEXT_KEEP_GIT_DIR`: a repository that is a context has its `.git`. */
export function keepsGitDir(given: Given): boolean {
  return isTrue(given, "BUILDKIT_CONTEXT_KEEP_GIT_DIR");
}

/** Whether results are told apart by platform: where several were asked for, or with `BUILDKIT_MULTI_PLATFORM`. */
export function isMultiPlatform(given: Given & Pick<BuildOptions, "platforms">): boolean {
  return given.platforms.length > 1 || isTrue(given, "BUILDKIT_MULTI_PLATFORM");
}

function isTrue({ buildArgs }: Given, name: string): boolean {
  const text = buildArgs[name];
  if (text === undefined || text === "") return false;
  const truth = parseBool(text);
  if (truth === undefined) {
    throw new InvalidArgumentError(`build argument ${name}: "${text}" is not true or false`);
  }
  return truth;
}
