/** `pull`: brings an image from a registry into the store. */

import { NotFoundError, RegistryError, UnsupportedError } from "../errors.ts";
import { isFileReference, isStoreReference } from "../image/reference.ts";
import { parsePlatform, platformFits } from "../image/platform.ts";
import { findStoredImage, type FoundImage, HOST_IMAGE, imagesLockPath, recordImage } from "../image/store.ts";
import type { PullProgress } from "../registry/pull.ts";
import { printable } from "../spec/printable.ts";
import type { Database } from "../state/db.ts";
import { recordEvent } from "../state/events.ts";
import { takeLock } from "../state/locks.ts";
import { layerForm } from "../storage/layers.ts";
import type { Engine } from "./engine.ts";
import type { PullPolicy } from "./options.ts";

export { isFileReference };
export type { PullProgress } from "../registry/pull.ts";

export interface PullOptions {
  /** `linux/arm64`; by default this machine's. */
  platform?: string;
  tlsVerify?: boolean;
  authFile?: string;
  /** Instead of a login of the auth files. */
  credentials?: { username: string; password: string };
  /** Certificates are there instead of in certs.d. */
  certDir?: string;
  policy?: PullPolicy;
  /** Further attempts after one that failed. */
  retries?: number;
  retryDelayMs?: number;
  /** Layers with a table of contents (eStargz, zstd:chunked) are fetched when they are read. */
  lazy?: boolean;
  /** For encrypted layers, `FILE[:PASSPHRASE]`; each is tried. */
  decryptionKeys?: readonly string[];
  /** The reference is a name, whatever it looks like: where it is a stranger's it opens no file. */
  isName?: boolean;
  signal?: AbortSignal;
  progress?: (event: PullProgress) => void;
}

/** Transports of podman's that lead to a store of another program. @see containers-transports(5) */
const OTHER_STORES: Record<string, { why: string; hint: string }> = {
  "docker-daemon": {
    why: "skiff does not talk to Docker's daemon",
    hint: "docker save IMAGE | skiff load",
  },
  "containers-storage": {
    why: "that is the store of podman and buildah, which skiff does not read",
    hint: "podman save IMAGE | skiff load",
  },
};

/** Pulls and records one image, as the policy asks for. Returns its id (64 hex digits) and full name. */
export async function pull(
  engine: Engine,
  reference: string,
  options: PullOptions = {},
): Promise<{ id: string; name: string; digest: string }> {
  if (reference === HOST_IMAGE) {
    throw new UnsupportedError(`pull image "${HOST_IMAGE}": it is made of this machine's own folders`);
  }
  const { isName = false } = options;
  if (!isName && isFileReference(reference)) {
    return (await (await import("./pull_files.ts")).pullFiles(engine, reference, options)).at(-1)!;
  }
  if (!isName && isStoreReference(reference)) refuseOtherStore(reference);
  const { policy = "always" } = options;
  const db = await engine.database();
  const found = policy === "always" ? undefined : findStoredImage(db, reference);
  if (found?.image.list !== undefined) return await pullListed(engine, db, found, reference, options);
  const stored = found && fitting(found, reference, options.platform);
  if (stored !== undefined && policy !== "newer") return stored;
  if (policy === "never") {
    throw new NotFoundError("image", reference, { message: `${reference}: image not known` });
  }
  if (!isName) refuseOtherStore(reference);
  const { pullImage } = await import("../registry/pull.ts");
  const { retryOf } = await import("../registry/retry.ts");
  // shared: pulls go on side by side, but nobody takes away content that has no row yet
  using _lock = (await takeLock(imagesLockPath(engine.folders), { shared: true, signal: options.signal }))!;
  const { folders, namespaces } = engine;
  if (options.lazy) (await import("./lazy_root.ts")).checkLazyWorks();
  const context = { folders, namespaces, form: layerForm(namespaces), lazy: options.lazy };
  try {
    const image = await pullImage(context, reference, { ...options, retry: retryOf(options) });
    const id = await recordImage(db, image);
    recordEvent(folders, { type: "image", action: "pull", id, name: reference });
    return { id, name: image.name, digest: image.digest };
  } catch (error) {
    // "newer" is content with what is here when the registry cannot be asked
    if (stored === undefined || !(error instanceof RegistryError)) throw error;
    return stored;
  }
}

/** @throws {UnsupportedError} where the reference leads into one */
function refuseOtherStore(reference: string): void {
  const colon = reference.indexOf(":");
  const store = reference.slice(0, Math.max(0, colon));
  if (!Object.hasOwn(OTHER_STORES, store)) return;
  const { why, hint } = OTHER_STORES[store]!;
  throw new UnsupportedError(`pull "${printable(reference)}": ${why}`, { hint });
}

/** Of a list of the store: its image for the platform, pulled from where the list found it. */
async function pullListed(
  engine: Engine,
  db: Database,
  found: FoundImage,
  reference: string,
  options: PullOptions,
) {
  const { chooseEntry, imageOfEntry, listOf } = await import("../image/list.ts");
  const wanted = options.platform === undefined ? undefined : parsePlatform(options.platform);
  const entry = chooseEntry(listOf(found.image), reference, wanted);
  const name = found.name ?? reference;
  const image = imageOfEntry(db, engine.folders, entry);
  if (image !== undefined) return { id: image.id, digest: image.digest, name };
  if (entry.source === undefined || options.policy === "never") {
    throw new NotFoundError("image", reference, {
      message: `${reference}: image ${entry.digest.slice(0, 19)} of the list is not in the store`,
    });
  }
  const { tlsVerify = entry.tlsVerify } = options;
  const pulled = await pull(engine, `${entry.source}@${entry.digest}`, {
    ...options,
    tlsVerify,
    policy: "missing",
  });
  return { ...pulled, name };
}

function fitting(found: FoundImage, reference: string, platform: string | undefined) {
  const { id, digest } = found.image;
  if (platform !== undefined && !platformFits(found.image, parsePlatform(platform))) return undefined;
  return { id, digest, name: found.name ?? reference };
}
