/**
 * Which storage driver is used: the first that works, found out by trying and remembered for as long as the
 * machine runs (`storage.json` in the data folder), or the one that the user wants.
 */

import { HostError, InvalidArgumentError } from "../../errors.ts";
import { readBootId } from "../../state/boot.ts";
import type { StorageContext } from "../layers.ts";
import type { DriverName, StorageDriver } from "./driver.ts";
import { fuseOverlayfs } from "./fuse_overlayfs.ts";
import { overlay } from "./overlay.ts";
import { vfs } from "./vfs.ts";

/** In order of preference. */
export const DRIVERS: readonly StorageDriver[] = [overlay, fuseOverlayfs, vfs];

/** What was found out in this boot. */
interface Findings {
  version: 1;
  bootId: string;
  /** Rootless and root, single id or many: the kernel may allow one and not the other. */
  namespaces: string;
  /** Null where it works, else why not. */
  reasons: Partial<Record<DriverName | typeof MAPPED_LAYERS, string | null>>;
}

/** What else is found out: whether the kernel shows layers with other owners. */
export const MAPPED_LAYERS = "idmapped-layers";

/** Null where it works: what is remembered of this boot, else (and where `isRetried`, of a failure) what `probe` finds. */
export async function findReason(
  context: StorageContext,
  name: DriverName | typeof MAPPED_LAYERS,
  probe: () => Promise<string | null>,
  isRetried = false,
): Promise<string | null> {
  const findings = readFindings(context);
  const known = findings.reasons[name];
  if (known === null || (known !== undefined && !isRetried)) return known;
  const reason = await probe();
  findings.reasons[name] = reason;
  writeFindings(context, findings);
  return reason;
}

/** A driver by its name. @throws {InvalidArgumentError} */
export function driverNamed(name: string): StorageDriver {
  const driver = DRIVERS.find((one) => one.name === name);
  if (driver !== undefined) return driver;
  const names = DRIVERS.map((one) => one.name).join(", ");
  throw new InvalidArgumentError(`use storage driver "${name}": only ${names} are known`);
}

/**
 * The driver to use. `forced` is used or refused, never replaced.
 *
 * @throws {HostError} where the forced one does not work here
 */
export async function chooseDriver(context: StorageContext, forced?: string): Promise<StorageDriver> {
  const candidates = forced === undefined || forced === "" ? DRIVERS : [driverNamed(forced)];
  let reason: string | null = null;
  for (const driver of candidates) {
    // One that is asked for by name is tried again: the missing program may be installed by now.
    reason = await findReason(context, driver.name, () => driver.probe(context), Boolean(forced));
    if (reason === null) return driver;
  }
  throw new HostError(`use storage driver ${candidates.at(-1)!.name}: ${reason}`, {
    hint: "leave out --storage-driver to use what works here",
  });
}

/** What the trials of this boot found so far: null where a driver works, else why not. */
export function knownReasons(context: StorageContext): Findings["reasons"] {
  return readFindings(context).reasons;
}

function readFindings(context: StorageContext): Findings {
  const fresh: Findings = {
    version: 1,
    bootId: readBootId(),
    namespaces: namespacesKey(context),
    reasons: {},
  };
  try {
    const found = JSON.parse(Deno.readTextFileSync(findingsPath(context))) as Findings;
    const isCurrent = found.version === 1 && found.bootId === fresh.bootId &&
      found.namespaces === fresh.namespaces;
    return isCurrent ? found : fresh;
  } catch {
    return fresh; // Not written yet, or not by us: then it is found out again.
  }
}

function writeFindings(context: StorageContext, findings: Findings): void {
  const temporary = `${context.folders.tmp}/storage-${crypto.randomUUID()}`;
  Deno.writeTextFileSync(temporary, JSON.stringify(findings), { mode: 0o600 });
  Deno.renameSync(temporary, findingsPath(context));
}

function findingsPath(context: StorageContext): string {
  return `${context.folders.data}/storage.json`;
}

function namespacesKey({ namespaces }: StorageContext): string {
  return namespaces.isRootless ? (namespaces.maps.isSingle ? "single" : "full") : "root";
}
