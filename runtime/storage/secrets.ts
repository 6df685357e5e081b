/**
 * What secrets hold: `secrets/<id>` in the data folder, and in a container's folder the copies that were made for it. Each
 * is a file that nobody but the user can open, in a folder that is the user's alone.
 */

import type { Folders } from "../state/folders.ts";

export function secretsFolder({ data }: Folders): string {
  return `${data}/secrets`;
}

/** Writes a new file and its folder's entry to the disk. @throws {Deno.errors.AlreadyExists} */
export function writeSecretFile(folder: string, id: string, bytes: Uint8Array): void {
  Deno.mkdirSync(folder, { recursive: true, mode: 0o700 });
  using file = Deno.openSync(`${folder}/${id}`, { write: true, createNew: true, mode: 0o600 });
  for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
  file.syncSync();
  using parent = Deno.openSync(folder, { read: true });
  parent.syncSync();
}

/** undefined where there is none. */
export function readSecretFile(folder: string, id: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Deno.readFileSync(`${folder}/${id}`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** What a command that was killed has left, and what has been replaced or removed. */
export function removeOtherSecrets(folder: string, known: ReadonlySet<string>): void {
  try {
    for (const { name } of Deno.readDirSync(folder)) {
      if (!known.has(name)) Deno.removeSync(`${folder}/${name}`, { recursive: true });
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
