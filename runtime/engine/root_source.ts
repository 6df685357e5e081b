/** What a container's root is made of: a stored image (pulled first where it is missing), a folder, this machine. */

import type { ContainerConfig, PodMembership, RootSource } from "../container/config.ts";
import { InvalidArgumentError, NotFoundError } from "../errors.ts";
import { isFileReference, isStoreReference } from "../image/reference.ts";
import { findStoredImage, HOST_IMAGE } from "../image/store.ts";
import type { ImageConfig } from "../spec/image.ts";
import type { Database } from "../state/db.ts";
import { findImage, type ImageRow } from "../state/images.ts";
import type { Engine } from "./engine.ts";
import type { CreateOptions } from "./options.ts";
import type { PullProgress } from "./pull.ts";

export interface CreateHooks {
  signal?: AbortSignal;
  progress?: (event: PullProgress) => void;
  /** @internal The container starts at once: its ports are bound and stay so. */
  listens?: boolean;
  /** @internal What it stands on, found already. */
  root?: ResolvedRoot;
  /** @internal Of a pod's infra container: its pod, and what makes that in the same transaction. */
  pod?: PodMembership;
  insert?: (config: ContainerConfig) => void;
}

export interface ResolvedRoot {
  root: RootSource;
  imageName: string;
  image?: ImageConfig;
}

/** A folder that was removed under the caller's feet has no path; only relative sources of mounts need one. */
export function workingFolder(): string {
  try {
    return Deno.cwd();
  } catch {
    return "/";
  }
}

export async function resolveRoot(
  engine: Engine,
  db: Database,
  options: CreateOptions,
  hooks: CreateHooks,
): Promise<ResolvedRoot> {
  if (options.rootfs) return resolveRootfs(options.image);
  if (options.image === HOST_IMAGE) return resolveHostImage();
  const { image, name } = await findOrPull(engine, db, options, hooks);
  const config: ImageConfig = JSON.parse(image.config);
  const diffIds = config.rootfs.diff_ids as string[];
  return {
    root: { kind: "image", id: image.id, digest: image.digest, diffIds },
    imageName: name,
    image: config,
  };
}

function resolveRootfs(text: string): ResolvedRoot {
  const overlay = text.endsWith(":O");
  const path = overlay ? text.slice(0, -2) : text;
  try {
    const real = Deno.realPathSync(path);
    if (!Deno.statSync(real).isDirectory) {
      throw new InvalidArgumentError(`use rootfs "${path}": it is not a folder`);
    }
    return { root: { kind: "rootfs", path: real, ...(overlay && { overlay }) }, imageName: "" };
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) throw new NotFoundError("file", path, { cause });
    throw cause;
  }
}

function resolveHostImage(): ResolvedRoot {
  const image: ImageConfig = {
    architecture: Deno.build.arch === "aarch64" ? "arm64" : "amd64",
    os: "linux",
    config: { Cmd: ["/bin/sh"] },
    rootfs: { type: "layers", diff_ids: [] },
  };
  return { root: { kind: "host" }, imageName: HOST_IMAGE, image };
}

async function findOrPull(
  engine: Engine,
  db: Database,
  options: CreateOptions,
  hooks: CreateHooks,
): Promise<{ image: ImageRow; name: string }> {
  const policy = options.pull ?? "missing";
  const retryDelayMs = options.retryDelay
    ? (await import("../spec/duration.ts")).parseDelay(options.retryDelay)
    : undefined;
  const isElsewhere = isFileReference(options.image) || isStoreReference(options.image);
  if (policy === "missing" && options.platform === undefined && !isElsewhere) {
    // the usual case, without loading what pulls
    const found = findStoredImage(db, options.image);
    if (found && found.image.list === undefined) {
      return { image: found.image, name: found.name ?? options.image };
    }
  }
  if ([options.volumes, options.mounts, options.tmpfs, options.volumesFrom].some((list) => list?.length)) {
    (await import("./early_mounts.ts")).checkMountsEarly(engine, db, options, workingFolder());
  }
  const { pull } = await import("./pull.ts");
  const { platform, tlsVerify, authFile, lazy, retries, decryptionKeys } = options;
  const how = { platform, tlsVerify, authFile, lazy, retries, retryDelayMs, decryptionKeys };
  const pulled = await pull(engine, options.image, { ...how, policy, ...hooks });
  const image = findImage(db, pulled.id);
  if (!image) throw new NotFoundError("image", options.image);
  return { image, name: pulled.name };
}
