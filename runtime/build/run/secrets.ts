/**
 * `RUN --mount=type=secret`: values that a step sees, and nothing else ever holds: no layer, no history, no cache, no
 * argument of a program, no file of ours.
 *
 * @see Dockerfile reference, RUN --mount=type=secret
 */

import { BuildError, hostReason } from "../../errors.ts";
import { toBase64 } from "../../spec/base64.ts";
import type { FileContent } from "../../spec/runtime.ts";
import type { SecretSource } from "../options.ts";
import type { SolvedMount } from "../services.ts";

/** As BuildKit. */
const MAX_BYTES = 500 * 1024;

export interface StepSecrets {
  files: ({ path: string } & FileContent)[];
  env: string[];
}

/** @throws {BuildError} where one that the step requires was not given, or cannot be read */
export async function readSecrets(
  mounts: readonly (SolvedMount & { type: "secret" })[],
  sources: readonly SecretSource[],
): Promise<StepSecrets> {
  const found: StepSecrets = { files: [], env: [] };
  for (const { id, target, env, required, mode, uid, gid } of mounts) {
    const source = sources.findLast((one) => one.id === id);
    const value = source && await readSecret(source);
    if (value === undefined) {
      if (required) throw new BuildError(`secret ${id}: not found`);
      continue;
    }
    if (target !== undefined) found.files.push({ path: target, base64: toBase64(value), mode, uid, gid });
    if (env !== undefined) {
      const text = new TextDecoder().decode(value);
      if (text.includes("\0")) throw new BuildError(`secret ${id}: a variable cannot hold a zero byte`);
      found.env.push(`${env}=${text}`);
    }
  }
  return found;
}

/** Undefined where its variable is not set. */
export async function readSecret({ id, from }: SecretSource): Promise<Uint8Array | undefined> {
  if (from.kind === "env") {
    const text = Deno.env.get(from.name);
    return text === undefined ? undefined : new TextEncoder().encode(text);
  }
  try {
    const bytes = await Deno.readFile(from.path);
    if (bytes.length <= MAX_BYTES) return bytes;
  } catch (cause) {
    throw new BuildError(`read secret ${id}: ${hostReason(cause)}`, { cause });
  }
  throw new BuildError(`read secret ${id}: it is larger than ${MAX_BYTES} bytes`);
}
