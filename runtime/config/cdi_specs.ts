/**
 * The devices that the folders of CDI specifications describe. Loaded only where one is asked for.
 *
 * @see CDI SPEC.md, CDI JSON Definition; containers.conf(5), cdi_spec_dirs
 */

import { hostReason, InvalidArgumentError } from "../errors.ts";
import { type CdiDocument, type CdiEdits, checkCdiDocument, joinEdits } from "../spec/cdi.ts";

/** Of a device that two have, that of the later folder counts. */
export const CDI_FOLDERS: readonly string[] = ["/etc/cdi", "/var/run/cdi"];

export interface CdiDevices {
  /** By qualified name. */
  byName: Map<string, FoundDevice>;
  /** What is wrong with which file; its devices are not there. */
  problems: string[];
}

interface FoundDevice {
  path: string;
  priority: number;
  document: CdiDocument;
  edits: CdiEdits;
}

export async function readCdiDevices(folders: readonly string[]): Promise<CdiDevices> {
  const byName = new Map<string, FoundDevice>();
  const conflicts = new Set<string>();
  const problems: string[] = [];
  for (const [priority, folder] of folders.entries()) {
    for (const path of listSpecs(folder)) {
      let document: CdiDocument;
      try {
        document = checkCdiDocument(await readDocument(path));
      } catch (error) {
        const reason = error instanceof InvalidArgumentError ? error.message : hostReason(error);
        problems.push(`failed to load CDI Spec ${path}: ${reason.split("\n")[0]}`);
        continue;
      }
      for (const { name, containerEdits } of document.devices) {
        const qualified = `${document.kind}=${name}`;
        const other = byName.get(qualified);
        if (other?.priority === priority) {
          problems.push(`conflicting device "${qualified}" (specs "${path}", "${other.path}")`);
          conflicts.add(qualified);
        } else {
          conflicts.delete(qualified);
          byName.set(qualified, { path, priority, document, edits: containerEdits });
        }
      }
    }
  }
  for (const name of conflicts) byName.delete(name);
  return { byName, problems };
}

/** What they come to together; undefined names are for the caller to have looked for. */
export function editsOf({ byName }: CdiDevices, names: readonly string[]): CdiEdits {
  const documents = new Set<CdiDocument>();
  return joinEdits(names.flatMap((name) => {
    const { document, edits } = byName.get(name)!;
    if (documents.has(document)) return [edits];
    documents.add(document);
    return [document.containerEdits ?? {}, edits];
  }));
}

function listSpecs(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)]
      .filter(({ name, isDirectory }) => !isDirectory && /\.(json|yaml)$/.test(name))
      .map(({ name }) => `${folder}/${name}`).sort();
  } catch {
    return []; // not there, or not for this user
  }
}

/** More than any has. */
const LIMIT_BYTES = 16 << 20;

async function readDocument(path: string): Promise<unknown> {
  // nobody waits for who may write to a FIFO
  const { isFile, size } = Deno.statSync(path);
  if (!isFile) throw new InvalidArgumentError("it is no file");
  if (size > LIMIT_BYTES) throw new InvalidArgumentError(`it is larger than ${LIMIT_BYTES} bytes`);
  const text = Deno.readTextFileSync(path);
  if (path.endsWith(".json")) return JSON.parse(text);
  const { parse } = await import("yaml");
  return parse(text);
}
