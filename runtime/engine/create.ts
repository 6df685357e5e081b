/** `create`: everything about a container but its processes. */

import { close } from "../../ffi/file.ts";
import {
  argvOf,
  type ContainerConfig,
  networkContainerOf,
  resolveConfig,
  type RootSource,
} from "../container/config.ts";
import { makeContainerFolder, writeContainerFiles } from "../container/folder.ts";
import { readHardLimit, readHostname } from "../container/host_facts.ts";
import { ConflictError, InvalidArgumentError, NotFoundError } from "../errors.ts";
import { findStoredImage, HOST_IMAGE } from "../image/store.ts";
import type { ImageConfig } from "../spec/image.ts";
import { deleteContainer, findContainerByName, insertContainer } from "../state/containers.ts";
import type { Database } from "../state/db.ts";
import { checkName, randomId, randomName } from "../state/ids.ts";
import { findImage, type ImageRow } from "../state/images.ts";
import { putVolume, putVolumeUse } from "../state/volumes.ts";
import { chooseDriver } from "../storage/drivers/choose.ts";
import { createVolume } from "../storage/volumes.ts";
import { timestamp } from "./clock.ts";
import { loadConfig, observe } from "./containers.ts";
import type { Engine } from "./engine.ts";
import { readEnvFiles } from "./env_files.ts";
import { noticeOnce } from "./notices.ts";
import type { CreateOptions } from "./options.ts";
import type { PullProgress } from "./pull.ts";

export interface CreateHooks {
  signal?: AbortSignal;
  progress?: (event: PullProgress) => void;
}

export interface CreatedContainer {
  id: string;
  name: string;
  /** For stderr. */
  warnings: string[];
}

/** A created container whose lock is still held: for a start right behind. */
export interface HeldContainer extends CreatedContainer {
  config: ContainerConfig;
  lockFd: number;
}

/** Creates a container, pulling its image where the policy asks for it. */
export async function create(
  engine: Engine,
  options: CreateOptions,
  hooks: CreateHooks = {},
): Promise<CreatedContainer> {
  const { id, name, warnings, lockFd } = await createHeld(engine, options, hooks);
  close(lockFd);
  return { id, name, warnings };
}

export async function createHeld(
  engine: Engine,
  options: CreateOptions,
  hooks: CreateHooks = {},
): Promise<HeldContainer> {
  if (options.name !== undefined) checkName("container", options.name);
  const cidfile = options.cidfile === undefined ? undefined : reserveCidfile(options.cidfile);
  try {
    const db = await engine.database();
    const { root, imageName, image } = await resolveRoot(engine, db, options, hooks);
    const id = randomId();
    const containerDir = engine.containerDir(id);
    const config = resolveConfig(options, {
      id,
      name: options.name ?? chooseName(db),
      createdAt: timestamp(),
      root,
      imageName,
      image,
      containerDir,
      storageDriver: await driverFor(engine, options, root),
      networkContainer: await resolveNetworkContainer(engine, options.network),
      fileEnv: readEnvFiles(options.envFiles ?? []),
      caller: {
        uid: engine.namespaces.uid,
        gid: engine.namespaces.gid,
        hostname: options.network === "host" ? readHostname() : "",
        workingFolder: Deno.cwd(),
        hardLimit: readHardLimit,
        readFile: Deno.readTextFileSync,
      },
    });
    checkBindSources(config);
    nameAnonymousVolumes(config);
    if (options.replace && options.name !== undefined) await removeNamed(engine, options.name);
    const lockFd = await store(engine, db, config, options.name === undefined);
    cidfile?.write(id);
    return { id, name: config.name, config, lockFd, warnings: warningsFor(engine, options) };
  } catch (error) {
    cidfile?.discard();
    throw error;
  }
}

/** Files first, then the row, all under the lock: whoever is killed in between leaves garbage, not a container. */
async function store(
  engine: Engine,
  db: Database,
  config: ContainerConfig,
  mayRename: boolean,
): Promise<number> {
  const dir = engine.containerDir(config.id);
  const lockFd = makeContainerFolder(dir);
  try {
    const volumes = config.mounts.filter((mount) => mount.kind === "volume");
    for (const { name } of volumes) createVolume(engine.folders, name);
    writeContainerFiles(dir, config, engine.namespaces.isRootless);
    const insert = () =>
      db.transaction(() => {
        checkStillThere(db, config.root);
        const taken = findContainerByName(db, config.name);
        if (taken) throw nameTaken(config.name, taken.id);
        insertContainer(db, rowOf(config));
        for (const { name, anonymous } of volumes) {
          putVolume(db, { name, createdAt: config.createdAt, labels: {}, anonymous });
          putVolumeUse(db, config.id, name);
        }
      });
    for (let attempt = 1;; attempt++) {
      try {
        await insert();
        return lockFd;
      } catch (error) {
        // two commands may have drawn the same words
        if (!mayRename || !(error instanceof ConflictError) || attempt > 10) throw error;
        config.name = chooseName(db, attempt);
        writeContainerFiles(dir, config, engine.namespaces.isRootless);
      }
    }
  } catch (error) {
    Deno.removeSync(dir, { recursive: true });
    close(lockFd);
    throw error;
  }
}

function rowOf(config: ContainerConfig): Parameters<typeof insertContainer>[1] {
  return {
    id: config.id,
    name: config.name,
    imageId: config.root.kind === "image" ? config.root.id : null,
    imageName: config.imageName,
    command: argvOf(config),
    createdAt: config.createdAt,
    state: "created",
    startedAt: "",
    finishedAt: "",
    exitCode: 0,
    error: "",
    oomKilled: false,
    autoRemove: config.autoRemove,
    tty: config.tty,
    labels: config.labels,
    mounts: config.mounts.map(({ destination }) => destination),
    network: config.network.mode,
  };
}

function nameTaken(name: string, id: string): ConflictError {
  return new ConflictError(
    `create container "${name}": the container name "${name}" is already in use by ${id}`,
    { hint: "remove that container first, or use --replace" },
  );
}

function checkStillThere(db: Database, root: RootSource): void {
  if (root.kind === "image" && !findImage(db, root.id)) throw new NotFoundError("image", root.id);
}

function chooseName(db: Database, attempt = 0): string {
  for (;; attempt++) {
    const name = randomName(attempt);
    if (!findContainerByName(db, name)) return name;
  }
}

interface ResolvedRoot {
  root: RootSource;
  imageName: string;
  image?: ImageConfig;
}

async function resolveRoot(
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

function resolveRootfs(path: string): ResolvedRoot {
  try {
    const real = Deno.realPathSync(path);
    if (!Deno.statSync(real).isDirectory) {
      throw new InvalidArgumentError(`use rootfs "${path}": it is not a folder`);
    }
    return { root: { kind: "rootfs", path: real }, imageName: "" };
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
  const found = policy === "always" ? undefined : findStoredImage(db, options.image);
  const fits = found && matchesPlatform(found.image, options.platform);
  if (found && fits && policy !== "newer") return { image: found.image, name: found.name ?? options.image };
  if (policy === "never") {
    throw new NotFoundError("image", options.image, { message: `${options.image}: image not known` });
  }
  const { pull } = await import("./pull.ts");
  const pulled = await pull(engine, options.image, {
    platform: options.platform,
    tlsVerify: options.tlsVerify,
    policy,
    ...hooks,
  }).catch((error) => {
    if (policy === "newer" && found && fits) return { id: found.image.id, name: found.name ?? options.image };
    throw error;
  });
  const image = findImage(db, pulled.id);
  if (!image) throw new NotFoundError("image", options.image);
  return { image, name: pulled.name };
}

function matchesPlatform(image: ImageRow, platform: string | undefined): boolean {
  if (platform === undefined) return true;
  const [os, architecture] = platform.split("/");
  return image.os === os && (architecture === undefined || image.architecture === architecture);
}

async function driverFor(
  engine: Engine,
  options: CreateOptions,
  root: RootSource,
): Promise<ContainerConfig["storageDriver"]> {
  const forced = options.storageDriver ?? engine.storageDriver;
  if (root.kind !== "image") return forced ?? "overlay";
  return (await chooseDriver(engine, forced)).name;
}

async function resolveNetworkContainer(
  engine: Engine,
  network: string | undefined,
): Promise<{ id: string; hostname: string } | undefined> {
  const text = networkContainerOf(network);
  if (text === undefined) return undefined;
  const { row } = await observe(engine, text);
  return { id: row.id, hostname: loadConfig(engine, row.id).hostname };
}

/** As podman: a bind mount of nothing is an error, not a new folder. */
function checkBindSources(config: ContainerConfig): void {
  for (const mount of config.mounts) {
    if (mount.kind !== "bind") continue;
    try {
      Deno.statSync(mount.source);
    } catch (cause) {
      if (!(cause instanceof Deno.errors.NotFound)) continue; // the monitor may see what we may not
      throw new InvalidArgumentError(`statfs ${mount.source}: no such file or directory`, { cause });
    }
  }
}

function nameAnonymousVolumes(config: ContainerConfig): void {
  for (const mount of config.mounts) if (mount.kind === "volume" && mount.anonymous) mount.name = randomId();
}

/** `--replace`. */
async function removeNamed(engine: Engine, name: string): Promise<void> {
  const db = await engine.database();
  if (!findContainerByName(db, name)) return;
  const { rm } = await import("./rm.ts");
  await rm(engine, name, { force: true, volumes: true });
  const left = findContainerByName(db, name);
  if (left) await db.transaction(() => deleteContainer(db, left.id));
}

/** The file must be new, so that two containers never share one. */
function reserveCidfile(path: string): { write(id: string): void; discard(): void } {
  let file: Deno.FsFile;
  try {
    file = Deno.openSync(path, { write: true, createNew: true, mode: 0o644 });
  } catch (cause) {
    if (cause instanceof Deno.errors.AlreadyExists) {
      throw new ConflictError(
        `write container id to "${path}": container ID file found, make sure the other container isn't running or delete it`,
        { cause },
      );
    }
    throw new InvalidArgumentError(`write container id to "${path}": ${(cause as Error).message}`, { cause });
  }
  return {
    write(id) {
      file.writeSync(new TextEncoder().encode(id));
      file.close();
    },
    discard() {
      file.close();
      Deno.removeSync(path);
    },
  };
}

function warningsFor(engine: Engine, options: CreateOptions): string[] {
  const warnings: (string | undefined)[] = [];
  if (options.network === undefined) warnings.push(noticeOnce(engine, "network-none"));
  const { maps } = engine.namespaces;
  if (maps.isSingle) warnings.push(noticeOnce(engine, "single-id", `: ${maps.reason}`));
  return warnings.filter((warning) => warning !== undefined);
}
