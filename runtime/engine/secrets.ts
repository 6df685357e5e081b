/**
 * `secret create|ls|inspect|exists|rm`: values that containers get by name, and that nothing else shows.
 *
 * A secret is a row, and a file with what it holds. The file comes first and goes last, under a lock; one that no row
 * names is removed by the next change.
 */

import { findContainersConf } from "../config/containers_conf_files.ts";
import {
  ConflictError,
  InvalidArgumentError,
  NotFoundError,
  SkiffError,
  UnsupportedError,
} from "../errors.ts";
import type { Database } from "../state/db.ts";
import { randomId } from "../state/ids.ts";
import { takeLock } from "../state/locks.ts";
import { deleteSecret, findSecretByName, listSecrets, putSecret, type SecretRow } from "../state/secrets.ts";
import { readSecretFile, removeOtherSecrets, secretsFolder, writeSecretFile } from "../storage/secrets.ts";
import { timestamp } from "./clock.ts";
import type { Engine } from "./engine.ts";
import type { SecretDriver } from "./secret_drivers.ts";

/** A secret as podman's `secret inspect` describes it. */
export interface SecretInfo {
  ID: string;
  CreatedAt: string;
  UpdatedAt: string;
  Spec: {
    Name: string;
    Driver: { Name: string; Options: Record<string, string> };
    Labels: Record<string, string>;
  };
  /** What it holds, where that was asked for. */
  SecretData?: string;
}

export interface SecretCreateOptions {
  /** `file`, `pass` or `shell`. */
  driver?: string;
  driverOptions?: Record<string, string>;
  labels?: Record<string, string>;
  /** A secret of that name gets this content. */
  replace?: boolean;
}

/** podman's. */
const MAX_BYTES = 512_000;
const ID_DIGITS = 25;

/** Gives the id. */
export async function secretCreate(
  engine: Engine,
  name: string,
  content: Uint8Array,
  options: SecretCreateOptions = {},
): Promise<string> {
  checkSecretName(name);
  const { name: driver, options: driverOptions, other } = await chooseDriver(options);
  if (content.length === 0 || content.length >= MAX_BYTES) {
    throw new InvalidArgumentError(`secret data must be larger than 0 and less than ${MAX_BYTES} bytes`);
  }
  return await changeSecrets(engine, async (db, folder) => {
    const former = findSecretByName(db, name);
    if (former && !options.replace) throw new ConflictError(`${name}: secret name in use`);
    const id = randomId().slice(0, ID_DIGITS), now = timestamp();
    const { labels = {} } = options;
    const row = {
      id,
      name,
      driver,
      options: driverOptions,
      labels,
      createdAt: former?.createdAt ?? now,
      updatedAt: now,
    };
    if (other) await withDriver(`creating secret ${name}`, () => other.store(id, new Uint8Array(content)));
    else writeSecretFile(folder, id, content);
    await db.transaction(() => putSecret(db, row));
    if (former) await withDriver(`replacing secret ${name}`, () => removeFormer(former));
    return id;
  });
}

/** All secrets, by name. */
export async function secrets(engine: Engine): Promise<SecretInfo[]> {
  return listSecrets(await engine.database()).map((row) => describe(engine, row));
}

/** @throws {NotFoundError} */
export async function secretInspect(
  engine: Engine,
  text: string,
  { showSecret = false }: { showSecret?: boolean } = {},
): Promise<SecretInfo> {
  const db = await engine.database();
  if (!showSecret) return describe(engine, findSecret(db, text));
  const { row, content } = await readSecret(engine, db, text);
  return { ...describe(engine, row), SecretData: new TextDecoder().decode(content) };
}

export async function secretExists(engine: Engine, text: string): Promise<boolean> {
  try {
    findSecret(await engine.database(), text);
    return true;
  } catch (error) {
    if (error instanceof NotFoundError) return false;
    throw error;
  }
}

/** What a driver has of a secret that is another by now. */
async function removeFormer(row: SecretRow): Promise<void> {
  try {
    await (await openDriverOf(row))?.remove(row.id);
  } catch (error) {
    if (!(error instanceof NotFoundError)) throw error;
  }
}

/** Containers that have it keep it. Gives the id. @throws {NotFoundError} */
export async function secretRm(engine: Engine, text: string): Promise<string> {
  return await changeSecrets(engine, async (db) => {
    const row = findSecret(db, text);
    await withDriver(`deleting secret ${text}`, async () => (await openDriverOf(row))?.remove(row.id));
    await db.transaction(() => deleteSecret(db, row.id));
    return row.id;
  });
}

/** What it holds now. @throws {NotFoundError} */
export async function readSecret(
  engine: Engine,
  db: Database,
  text: string,
  find = findSecret,
): Promise<{ row: SecretRow; content: Uint8Array<ArrayBuffer> }> {
  for (;;) {
    const row = find(db, text);
    const other = await openDriverOf(row);
    if (other) return { row, content: await other.lookup(row.id) };
    const content = readSecretFile(secretsFolder(engine.folders), row.id);
    if (content !== undefined) return { row, content };
    // replaced between the two looks; only damage takes a file away and leaves its row
    if (find(db, text).id === row.id) {
      throw new NotFoundError("secret", text, { message: `read secret "${text}": its content is gone` });
    }
  }
}

/** By its name alone, as it was recorded: what an id begins with would be another secret. */
export function namedSecret(db: Database, name: string): SecretRow {
  const row = findSecretByName(db, name);
  if (row) return row;
  throw new NotFoundError("secret", name, {
    message: `no secret with name or id "${name}": no such secret`,
  });
}

/** By name, id, or what an id begins with. */
function findSecret(db: Database, text: string): SecretRow {
  const named = findSecretByName(db, text);
  if (named) return named;
  const found = /^[0-9a-f]+$/.test(text) ? listSecrets(db).filter(({ id }) => id.startsWith(text)) : [];
  if (found.length > 1) {
    throw new ConflictError(`more than one result secret with prefix ${text}: secret is ambiguous`);
  }
  return found[0] ?? namedSecret(db, text);
}

async function changeSecrets<T>(
  engine: Engine,
  change: (db: Database, folder: string) => Promise<T>,
): Promise<T> {
  const db = await engine.database();
  using _lock = await takeLock(`${engine.folders.locks}/secrets`);
  const folder = secretsFolder(engine.folders);
  const tidy = () => removeOtherSecrets(folder, new Set(listSecrets(db).map(({ id }) => id)));
  let result: T;
  try {
    result = await change(db, folder);
  } catch (error) {
    try {
      tidy();
    } catch {
      // the first error says more
    }
    throw error;
  }
  tidy();
  return result;
}

function describe({ folders }: Engine, row: SecretRow): SecretInfo {
  return {
    ID: row.id,
    CreatedAt: row.createdAt,
    UpdatedAt: row.updatedAt,
    Spec: {
      Name: row.name,
      Driver: {
        Name: row.driver,
        Options: row.driver === "file" ? { path: secretsFolder(folders) } : row.options,
      },
      Labels: row.labels,
    },
  };
}

function checkSecretName(name: string): void {
  if (/^[^=/,\0]{1,253}$/u.test(name)) return;
  throw new InvalidArgumentError(
    `secret name "${name}" can not include '=', '/', ',', or the '\\0' (NULL) and be between 1 and 253 characters: invalid secret name`,
  );
}

/** What it is to be kept by: as asked, or as containers.conf has it. */
async function chooseDriver(
  { driver, driverOptions = {} }: SecretCreateOptions,
): Promise<{ name: string; options: Record<string, string>; other?: SecretDriver }> {
  const conf = await secretsConf();
  const name = driver || conf.driver || "file";
  const isOfConf = driver === undefined || driver === "" || driver === conf.driver;
  const options = { ...(isOfConf ? conf.opts : {}), ...driverOptions };
  const [option] = Object.keys(name === "file" ? driverOptions : {});
  if (option !== undefined) {
    throw new UnsupportedError(
      `use secret driver option "${option}": the driver file has none, secrets are in skiff's own folder`,
    );
  }
  return name === "file" ? { name, options: {} } : { name, options, other: await openOther(name, options) };
}

async function secretsConf(): Promise<{ driver?: string; opts?: Record<string, string> }> {
  const files = findContainersConf();
  if (files.length === 0) return {};
  const { readContainersConf } = await import("../config/containers_conf.ts");
  return readContainersConf(files).secrets;
}

async function openOther(name: string, options: Record<string, string>): Promise<SecretDriver> {
  return await (await import("./secret_drivers.ts")).openSecretDriver(name, options);
}

async function openDriverOf(row: SecretRow): Promise<SecretDriver | undefined> {
  return row.driver === "file" ? undefined : await openOther(row.driver, row.options);
}

/** Says what was done when it failed, as podman does. */
async function withDriver<T>(action: string, work: () => Promise<T> | undefined): Promise<T | undefined> {
  try {
    return await work();
  } catch (cause) {
    throw new SkiffError(`${action}: ${(cause as Error).message}`, {
      cause,
      hint: cause instanceof SkiffError ? cause.hint : undefined,
    });
  }
}
