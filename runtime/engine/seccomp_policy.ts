/** `--seccomp-policy image`: the profile is the one that the image has in a label. @see podman-run(1) */

import type { ContainerConfig } from "../container/config.ts";
import { InvalidArgumentError } from "../errors.ts";
import { parseDockerSeccomp } from "../security/seccomp_docker.ts";
import type { ImageConfig } from "../spec/image.ts";
import type { CreateOptions } from "./options.ts";

const LABEL = "io.containers.seccomp.profile";

/** `--security-opt seccomp=` has the last word. */
export function applySeccompPolicy(
  { seccompPolicy, securityOpt }: CreateOptions,
  config: ContainerConfig,
  image: ImageConfig | undefined,
): void {
  if (seccompPolicy === "default" || seccompPolicy === "") return;
  if (seccompPolicy !== "image") {
    throw new InvalidArgumentError(
      `invalid seccomp policy "${seccompPolicy}": valid policies are ["default" "image"]`,
    );
  }
  if (securityOpt?.some((word) => /^seccomp[=:]/.test(word))) return;
  if (image === undefined) {
    throw new InvalidArgumentError("cannot read seccomp profile without a valid image");
  }
  const json = image.config?.Labels?.[LABEL];
  if (!json) throw new InvalidArgumentError("no seccomp policy defined by image");
  try {
    parseDockerSeccomp(json);
  } catch (cause) {
    throw new InvalidArgumentError(`loading seccomp profile failed: ${(cause as Error).message}`, { cause });
  }
  // as podman: it has none
  if (config.privileged) return;
  config.security.seccomp = { kind: "profile", path: `image:${LABEL}`, json };
}
