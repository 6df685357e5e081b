/**
 * The secrets of a container: copied into its folder when it is made, and given to its programs when they start. In the
 * container they are files that were never on a disk; in what describes the container there are their names alone.
 */

import type { ContainerConfig } from "../container/config.ts";
import { type ContainerSecret, parseSecret, SECRETS_FOLDER } from "../container/secret_option.ts";
import { NotFoundError, SkiffError } from "../errors.ts";
import type { MonitorPlan } from "../monitor/plan.ts";
import type { ProcessSpec } from "../spec/runtime.ts";
import { toBase64 } from "../spec/base64.ts";
import type { Database } from "../state/db.ts";
import { readSecretFile, writeSecretFile } from "../storage/secrets.ts";
import type { Engine } from "./engine.ts";
import { namedSecret, readSecret } from "./secrets.ts";

/** Writes copies into the folder of a new container. */
export type FillSecrets = (containerDir: string) => void;

/** @throws {NotFoundError} where there is no such secret */
export async function resolveSecrets(
  engine: Engine,
  db: Database,
  words: readonly string[],
): Promise<{ secrets: ContainerSecret[]; fill: FillSecrets }> {
  const copies = new Map<string, Uint8Array>();
  const byPlace = new Map<string, ContainerSecret>();
  for (const { source, ...request } of words.map(parseSecret)) {
    const { row: { id, name }, content } = await readSecret(engine, db, source);
    if (request.kind === "env") byPlace.set(request.variable, { ...request, name });
    else {
      copies.set(id, content);
      byPlace.set(request.destination, { ...request, id, name });
    }
  }
  return {
    secrets: [...byPlace.values()],
    fill: (dir) => copies.forEach((content, id) => writeSecretFile(folderOf(dir), id, content)),
  };
}

/** For a container with the same configuration as that of `originalDir`. */
export function copySecrets({ secrets = [] }: ContainerConfig, originalDir: string): FillSecrets {
  const ids = new Set(secrets.flatMap((secret) => secret.kind === "mount" ? [secret.id] : []));
  return (dir) => ids.forEach((id) => writeSecretFile(folderOf(dir), id, contentOf(originalDir, id)));
}

/** Adds the files to the plan, and the variables to each program that is in it. */
export async function addSecrets(engine: Engine, config: ContainerConfig, plan: MonitorPlan): Promise<void> {
  const { spec, annex } = plan.init;
  if (needsFolder(config)) {
    const owner = annex.nestedUserns ? ["uid=0", "gid=0"] : [];
    const options = ["nosuid", "nodev", "noexec", "mode=755", "size=64k", ...owner];
    spec.mounts.push({ destination: SECRETS_FOLDER, type: "tmpfs", source: "tmpfs", options });
  }
  for (const secret of config.secrets ?? []) {
    if (secret.kind !== "mount") continue;
    const { destination, mode } = secret;
    const base64 = toBase64(contentOf(plan.containerDir, secret.id));
    // with a single-id map there is nobody else
    const { uid, gid } = annex.fakeOwnership ? { uid: 0, gid: 0 } : secret;
    const options = ["nosuid", "nodev", "noexec", ...(config.readOnly ? ["ro"] : [])];
    const content = { base64, mode, uid, gid };
    spec.mounts.push({ destination, type: "tmpfs", source: "secret", options, content });
  }
  const health = plan.supervision?.health;
  const programs = [{ process: spec.process, annex }, health?.exec, health?.startup?.exec];
  for (const program of programs) {
    if (program) await addSecretVariables(engine, config, program);
  }
}

/** So that their places are in memory, too, and nothing of them is in the container's own files. */
function needsFolder({ secrets = [], mounts }: ContainerConfig): boolean {
  return !mounts.some(({ destination }) => destination === SECRETS_FOLDER) &&
    secrets.some((secret) => secret.kind === "mount" && secret.destination.startsWith(`${SECRETS_FOLDER}/`));
}

/** As podman: what `--env` says under the same name is not seen. */
export async function addSecretVariables(
  engine: Engine,
  { secrets = [] }: ContainerConfig,
  { process, annex }: { process: ProcessSpec; annex: { setHome: boolean } },
): Promise<void> {
  const asked = secrets.filter((secret) => secret.kind === "env");
  if (asked.length === 0) return;
  const db = await engine.database();
  for (const { name, variable } of asked) {
    const text = variableText(name, (await readSecret(engine, db, name, namedSecret)).content);
    process.env = [...process.env.filter((word) => !word.startsWith(`${variable}=`)), `${variable}=${text}`];
    if (variable === "HOME") annex.setHome = false;
  }
}

function variableText(name: string, content: Uint8Array): string {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(content);
  } catch (cause) {
    throw new SkiffError(`use secret "${name}": it is not text, and so cannot be a variable`, { cause });
  }
  if (!text.includes("\0")) return text;
  throw new SkiffError(`use secret "${name}": a variable cannot hold a zero byte`);
}

function contentOf(containerDir: string, id: string): Uint8Array {
  const content = readSecretFile(folderOf(containerDir), id);
  if (content !== undefined) return content;
  throw new NotFoundError("secret", id, { message: `read secret ${id}: the container's copy is gone` });
}

function folderOf(containerDir: string): string {
  return `${containerDir}/secrets`;
}
