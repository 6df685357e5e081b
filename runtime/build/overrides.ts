/** Options of `podman build` that change what a Dockerfile says: `--from`, `--env`, `--unsetenv`, `--unsetlabel`. Pure. */

import { InvalidArgumentError } from "../errors.ts";
import type { ImageConfig } from "../spec/image.ts";
import type { Dockerfile, EnvInstruction } from "./dockerfile/ast.ts";
import type { BuildOptions } from "./options.ts";

/** The file as if it began with another image, and set variables wherever it begins with an image. */
export function overrideDockerfile(
  dockerfile: Dockerfile,
  { from, env }: Pick<BuildOptions, "from" | "env">,
): Dockerfile {
  if (from === undefined && env.length === 0) return dockerfile;
  const earlier = new Set<string>();
  const stages = dockerfile.stages.map((stage, index) => {
    const base = index === 0 && from !== undefined ? from : stage.base;
    const isOnStage = earlier.has(base.toLowerCase());
    if (stage.name !== undefined) earlier.add(stage.name);
    if (isOnStage || env.length === 0) return { ...stage, base };
    const set: EnvInstruction = {
      keyword: "ENV",
      isLegacy: false,
      pairs: env.map((word) => {
        const at = word.indexOf("=");
        if (at <= 0) throw new InvalidArgumentError(`set environment: invalid variable "${word}"`);
        return { key: word.slice(0, at), value: quoted(word.slice(at + 1)) };
      }),
      original: `ENV ${env.join(" ")}`,
      location: stage.location,
    };
    return { ...stage, base, instructions: [set, ...stage.instructions] };
  });
  return { ...dockerfile, stages };
}

/** As a word of the Dockerfile in which nothing is expanded. */
function quoted(value: string): string {
  return `'${value.replaceAll("'", `'"'"'`)}'`;
}

/** The image's document without what it shall not have. */
export function stripConfig(
  image: ImageConfig,
  { unsetEnv, unsetLabel, omitHistory }: Pick<BuildOptions, "unsetEnv" | "unsetLabel" | "omitHistory">,
): ImageConfig {
  const { Env, Labels } = image.config ?? {};
  const config = { ...image.config };
  if (Env !== undefined && unsetEnv.length > 0) {
    config.Env = Env.filter((word) => !unsetEnv.includes(word.split("=", 1)[0]!));
  }
  if (Labels !== undefined && unsetLabel.length > 0) {
    config.Labels = Object.fromEntries(Object.entries(Labels).filter(([key]) => !unsetLabel.includes(key)));
  }
  const stripped: ImageConfig = { ...image, ...(image.config === undefined ? {} : { config }) };
  if (omitHistory) delete stripped.history;
  return stripped;
}
