/** `create`: everything about a container but its processes. */

import { findContainersConf } from "../config/containers_conf_files.ts";
import { close } from "../../ffi/file.ts";
import { argvOf } from "../container/argv.ts";
import {
  type ConfigFacts,
  type ContainerConfig,
  networkContainerOf,
  resolveConfig,
  type RootSource,
} from "../container/config.ts";
import { makeContainerFolder, syncContainerFiles, writeContainerFiles } from "../container/folder.ts";
import type { ResolvedExtras } from "../container/extras.ts";
import { readHardLimit, readHostname } from "../container/host_facts.ts";
import { asksForNetworks, plainNetwork } from "../container/network_choice.ts";
import { findTunObstacle } from "../network/tun_device.ts";
import { ConflictError, InvalidArgumentError, NotFoundError } from "../errors.ts";
import type { BoundPort } from "../network/listeners.ts";
import {
  type ContainerRow,
  deleteContainer,
  findContainerByName,
  insertContainer,
  isPodName,
  putRequirement,
} from "../state/containers.ts";
import type { Database } from "../state/db.ts";
import { recordContainerEvent, recordEvent } from "../state/events.ts";
import { checkName, randomId, randomName } from "../state/ids.ts";
import { findImage } from "../state/images.ts";
import { findVolume, isPlugin, putVolume, putVolumeUse } from "../state/volumes.ts";
import { chooseDriver } from "../storage/drivers/choose.ts";
import { createVolume, markShared } from "../storage/volumes.ts";
import { checkBindSources } from "./bind_sources.ts";
import { reserveCidfile } from "./cidfile.ts";
import { timestamp } from "./clock.ts";
import { loadConfig, observe } from "./containers.ts";
import type { Engine } from "./engine.ts";
import { readEnvFiles } from "./env_files.ts";
import { discardContainer } from "./garbage.ts";
import { machineNotices } from "./machine_notices.ts";
import type { CreateOptions } from "./options.ts";
import type { JoinedPod } from "./pods/join.ts";
import { type CreateHooks, resolveRoot, workingFolder } from "./root_source.ts";

export type { CreateHooks } from "./root_source.ts";

/** What images for this machine say. */
const MACHINE = Deno.build.arch === "aarch64" ? "arm64" : "amd64";

export interface CreatedContainer {
  id: string;
  name: string;
  /** For stderr. */
  warnings: string[];
}

/** A container whose files are there under its held lock, but not its row. */
export interface PreparedContainer {
  config: ContainerConfig;
  /** The lock's descriptor. */
  lockFd: number;
  warnings: string[];
  /** Sockets of its published ports, where the hooks ask for them; the caller's. */
  ports: BoundPort[];
  /** Makes it a container. Throws where the name is taken or the image has gone meanwhile. */
  record(state: "created" | "starting"): Promise<void>;
  /** Removes the files again. The caller closes the lock. */
  discard(): void;
}

/** Creates a container, pulling its image where the policy asks for it. */
export async function create(
  engine: Engine,
  options: CreateOptions,
  hooks: CreateHooks = {},
): Promise<CreatedContainer> {
  for (let attempt = 0;; attempt++) {
    const prepared = await prepareCreate(engine, options, hooks, attempt);
    try {
      await syncContainerFiles(engine.containerDir(prepared.config.id));
      await prepared.record("created");
      return { id: prepared.config.id, name: prepared.config.name, warnings: prepared.warnings };
    } catch (error) {
      prepared.discard();
      if (!isNameDrawnTwice(error, options, attempt)) throw error;
    } finally {
      close(prepared.lockFd);
    }
  }
}

/** A container or a pod has the name already. */
class NameTakenError extends ConflictError {}

/** Whether another command has drawn the same random name at the same moment: then it is drawn again. */
export function isNameDrawnTwice(error: unknown, options: CreateOptions, attempt: number): boolean {
  return error instanceof NameTakenError && options.name === undefined && attempt < 10;
}

/** Resolves all options, pulls the image, and writes the container's files. */
export async function prepareCreate(
  engine: Engine,
  given: CreateOptions,
  hooks: CreateHooks,
  attempt: number,
): Promise<PreparedContainer> {
  if (given.name !== undefined) checkName("container", given.name);
  const cidfile = given.cidfile === undefined ? undefined : reserveCidfile(given.cidfile);
  let ports: BoundPort[] = [];
  let joined: JoinedPod | undefined;
  using held = new DisposableStack();
  try {
    if (given.initContainer !== undefined && given.pod === undefined) {
      throw new InvalidArgumentError("must specify pod value with init-ctr");
    }
    if (given.pod !== undefined) {
      joined = await (await import("./pods/join.ts")).joinPod(engine, given, attempt);
    }
    const asked = joined?.options ?? given;
    // steps of a build have no defaults but those of the build
    const files = hooks.root === undefined || hooks.pod ? findContainersConf() : [];
    const completed = files.length > 0
      ? await (await import("./create_defaults.ts")).withDefaults(engine, asked, files)
      : undefined;
    const options = completed?.options ?? asked;
    const db = await engine.database();
    const { config, fill, told } = await resolve(engine, db, options, hooks, attempt, held);
    config.pod = joined?.membership ?? hooks.pod;
    if (options.replace && options.name !== undefined) await removeNamed(engine, options.name);
    if (config.ports) ports = await takePorts(engine, config, hooks);
    const prepared = prepareResolved(engine, db, config, { cidfile, fill, insert: hooks.insert });
    const warnings = [...told, ...completed?.warnings ?? [], ...await warningsFor(engine, options, config)];
    return { ...prepared, ports, warnings };
  } catch (error) {
    cidfile?.discard();
    for (const { fd } of ports) close(fd);
    await joined?.undo();
    throw error;
  }
}

/** The files of a container whose config is complete. */
export function prepareResolved(
  engine: Engine,
  db: Database,
  config: ContainerConfig,
  { cidfile, fill, insert }: {
    cidfile?: ReturnType<typeof reserveCidfile>;
    fill?: ResolvedExtras["fill"];
    insert?: CreateHooks["insert"];
  } = {},
): Omit<PreparedContainer, "warnings" | "ports"> {
  const dir = engine.containerDir(config.id);
  const lockFd = makeContainerFolder(dir);
  const discard = () => {
    cidfile?.discard();
    discardContainer(engine, config.id);
  };
  try {
    fill?.(dir);
    writeContainerFiles(dir, config, engine.namespaces.isRootless);
  } catch (error) {
    discardContainer(engine, config.id);
    close(lockFd);
    throw error;
  }
  const record = async (state: "created" | "starting") => {
    const newVolumes = await insertRows(engine, db, config, state, insert);
    cidfile?.write(config.id);
    recordContainerEvent(engine.folders, config, "create");
    for (const name of newVolumes) {
      recordEvent(engine.folders, { type: "volume", action: "create", id: name, name });
    }
    // rows before folders: a folder of a volume without a row is garbage
    for (const mount of config.mounts) {
      if (mount.kind !== "volume" || mount.driver) continue;
      if (mount.make && newVolumes.includes(mount.name)) {
        await (await import("./volume_options.ts")).makeAskedVolume(engine, mount);
      } else createVolume(engine.folders, mount.name);
    }
  };
  return { config, lockFd, record, discard };
}

async function resolve(
  engine: Engine,
  db: Database,
  options: CreateOptions,
  hooks: CreateHooks,
  attempt: number,
  held: DisposableStack,
): Promise<{ config: ContainerConfig; told: string[] } & Pick<ResolvedExtras, "fill">> {
  const { root, imageName, image } = hooks.root ?? await resolveRoot(engine, db, options, hooks);
  const argv = [...(options.entrypoint ?? image?.config?.Entrypoint ?? []), ...options.command];
  const argv0 = argv[0] ?? image?.config?.Cmd?.[0] ?? "";
  const subject = { argv0, root, user: options.user ?? image?.config?.User };
  const extras = hasExtras(options, argv0)
    ? await (await import("./create_extras.ts")).resolveExtras(engine, db, options, subject, held)
    : undefined;
  const id = randomId();
  const config = resolveConfig(options, {
    id,
    name: options.name ?? chooseName(db, attempt),
    createdAt: timestamp(),
    root,
    imageName,
    image,
    containerDir: engine.containerDir(id),
    storageDriver: await driverFor(engine, options, root),
    ...await resolveNetwork(engine, options),
    lifecycle: options.lifecycle || image?.config?.Healthcheck
      ? await (await import("./lifecycle.ts")).lifecycleOf(engine, options, image)
      : undefined,
    fileEnv: readEnvFiles(options.envFiles ?? []),
    mounts: await resolveMounts(engine, db, options),
    extras,
    caller: {
      uid: engine.namespaces.uid,
      gid: engine.namespaces.gid,
      hostname: options.network === "host" ? readHostname() : "",
      workingFolder: workingFolder(),
      hardLimit: readHardLimit,
      readFile: Deno.readTextFileSync,
    },
  });
  if (options.seccompPolicy) {
    (await import("./seccomp_policy.ts")).applySeccompPolicy(options, config, image);
  }
  if (config.log.driver === "journald") (await import("./journal.ts")).checkJournal(engine, config);
  checkBindSources(config.mounts);
  nameAnonymousVolumes(config);
  await findVolumeFilesystems(engine, db, config, options.volumeDriver);
  const exposed = Object.keys(image?.config?.ExposedPorts ?? {});
  if (exposed.length > 0) config.exposed = exposed;
  const warning = options.publish || options.publishAll || options.expose
    ? (await import("./publish.ts")).resolvePorts(options, config, engine.namespaces.isRootless)
    : undefined;
  const unreached = config.ports && config.network.mode === "bridge"
    ? (await import("./network_memberships.ts")).bindToHostAddress(
      db,
      config,
      engine.namespaces.isRootless,
    )
    : undefined;
  // steps of a build have been judged before
  const isForeign = image !== undefined && hooks.root === undefined && image.architecture !== MACHINE;
  const platform = isForeign
    ? (await import("./emulator.ts")).platformWarning(image, options.platform)
    : undefined;
  const told = [platform, warning, unreached].filter((text) => text !== undefined);
  return { config, fill: extras?.fill, told };
}

/** Before there is anything of the container: what is taken leaves nothing behind. */
async function takePorts(engine: Engine, config: ContainerConfig, hooks: CreateHooks): Promise<BoundPort[]> {
  const { bindPorts, choosePorts } = await import("./publish.ts");
  if (hooks.listens) return await bindPorts(engine, config);
  await choosePorts(engine, config);
  return [];
}

/** Options that few containers have; what they come to is loaded where one is given. */
const EXTRA_OPTIONS: readonly (keyof CreateOptions)[] = [
  "annotations",
  "addHosts",
  "noHosts",
  "hostsFile",
  "noHostname",
  "domainName",
  "chrootDirs",
  "dns",
  "dnsSearch",
  "dnsOptions",
  "devices",
  "secrets",
  "umask",
  "oomScoreAdj",
  "personality",
  "shmSizeSystemd",
  "sysctls",
  "pid",
  "ipc",
  "uts",
  "cgroupns",
  "uidMap",
  "gidMap",
  "subuidName",
  "subgidName",
  "passwd",
  "passwdEntry",
  "groupEntry",
  "hostUsers",
  "unsetEnv",
  "unsetEnvAll",
  "envMerge",
  "envHost",
  "timezone",
  "systemd",
  "readOnlyTmpfs",
  "initPath",
  "defaultEnv",
  "internalHost",
];

function hasExtras(options: CreateOptions, argv0: string): boolean {
  return EXTRA_OPTIONS.some((name) => options[name] !== undefined) ||
    !["host", "nomap", ""].includes(options.userns ?? "") || options.groupAdd?.includes("keep-groups") ||
    options.securityOpt?.some((word) => word.startsWith("proc-opts=")) ||
    options.logOpt?.some((word) => !/^(path|max-size)=/.test(word)) ||
    // podman(1) looks at the program's name, and passes the caller's proxies on
    ["init", "systemd"].includes(argv0.slice(argv0.lastIndexOf("/") + 1)) ||
    (options.httpProxy !== false &&
      ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"].some((name) => Deno.env.has(name)));
}

/** Of the rarer options only: `-v` and `--tmpfs` need nothing of the store. */
async function resolveMounts(
  engine: Engine,
  db: Database,
  options: CreateOptions,
): Promise<ConfigFacts["mounts"]> {
  const { mounts, volumesFrom, defaultVolumes, defaultMounts } = options;
  if (![mounts, volumesFrom, defaultVolumes, defaultMounts].some((list) => list?.length)) return undefined;
  const { resolveAskedMounts } = await import("./create_mounts.ts");
  return resolveAskedMounts(engine, db, options, workingFolder());
}

/** The volumes that were not there before. */
async function insertRows(
  { folders }: Engine,
  db: Database,
  config: ContainerConfig,
  state: "created" | "starting",
  insert?: CreateHooks["insert"],
): Promise<string[]> {
  const memberships = config.network.mode === "bridge" ? await import("./network_memberships.ts") : undefined;
  const pods = config.pod ? await import("../state/pods.ts") : undefined;
  return await db.transaction(() => {
    insert?.(config);
    if (config.pod && !pods!.podExists(db, config.pod.id)) throw new NotFoundError("pod", config.pod.id);
    const newVolumes: string[] = [];
    if (config.root.kind === "image" && !findImage(db, config.root.id)) {
      throw new NotFoundError("image", config.imageName);
    }
    const taken = findContainerByName(db, config.name);
    if (taken) throw nameTaken(config.name, taken.id);
    if (isPodName(db, config.name)) {
      throw new NameTakenError(`create container: name "${config.name}" is in use: pod already exists`);
    }
    insertContainer(db, rowOf(config, state));
    for (const required of config.lifecycle?.requires ?? []) putRequirement(db, config.id, required);
    memberships?.insertMemberships(db, config);
    for (const mount of config.mounts) {
      if (mount.kind !== "volume") continue;
      const { name, anonymous } = mount;
      const { labels = {}, options } = mount.make ?? {};
      const isNew = putVolume(db, { name, createdAt: config.createdAt, labels, anonymous, options });
      if (isNew) newVolumes.push(name);
      else if (!mount.driver && !anonymous && findVolume(db, name)?.anonymous) markShared(folders, name);
      putVolumeUse(db, config.id, name);
    }
    return newVolumes;
  });
}

/** Of a container. */
export function nameTaken(name: string, id: string): ConflictError {
  return new NameTakenError(
    `create container "${name}": the container name "${name}" is already in use by ${id}`,
    { hint: "remove that container first, or use --replace" },
  );
}

function rowOf(config: ContainerConfig, state: ContainerRow["state"]): ContainerRow {
  return {
    id: config.id,
    name: config.name,
    imageId: config.root.kind === "image" ? config.root.id : null,
    imageName: config.imageName,
    command: config.root.kind === "infra" ? [] : argvOf(config),
    createdAt: config.createdAt,
    state,
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
    restartPolicy: config.lifecycle?.restart?.policy,
    ports: config.ports || config.exposed
      ? { published: config.ports ?? [], exposed: config.exposed ?? [] }
      : undefined,
    pod: config.pod?.id,
  };
}

function chooseName(db: Database, firstAttempt: number): string {
  for (let attempt = firstAttempt;; attempt++) {
    const name = randomName(attempt);
    if (!findContainerByName(db, name)) return name;
  }
}

async function driverFor(
  engine: Engine,
  options: CreateOptions,
  root: RootSource,
): Promise<ContainerConfig["storageDriver"]> {
  const forced = options.storageDriver ?? engine.storageDriver;
  if (root.kind !== "image" && root.kind !== "layers") return forced ?? "overlay";
  return (await chooseDriver(engine, forced)).name;
}

async function resolveNetwork(
  engine: Engine,
  options: CreateOptions,
): Promise<Pick<ConfigFacts, "network" | "networkContainer">> {
  const text = options.network;
  const words = [...text === undefined ? [] : [text], ...options.networks ?? []];
  if (asksForNetworks(words, options)) {
    const { resolveMemberships } = await import("./network_memberships.ts");
    return { network: { mode: "bridge", networks: await resolveMemberships(engine, words, options) } };
  }
  const container = networkContainerOf(text);
  if (container !== undefined) {
    const { row } = await observe(engine, container);
    const networkContainer = { id: row.id, hostname: loadConfig(engine, row.id).hostname };
    return { network: { mode: "container", id: row.id }, networkContainer };
  }
  const plain = plainNetwork(text);
  if (plain === undefined) {
    const { parseNetwork } = await import("../container/network_options.ts");
    return { network: parseNetwork(text!, engine.namespaces.isRootless) };
  }
  // where nobody asked for a network by name, a container can do without (see warningsFor)
  return { network: isDefaultNetwork(text) && findTunObstacle() ? { mode: "none" } : plain };
}

/** Whether the caller left the choice to us. */
function isDefaultNetwork(text: string | undefined): boolean {
  return text === undefined || text === "" || text === "default";
}

/** Volumes with a type are mounted by who uses them; those of plugins are made before the container is. */
async function findVolumeFilesystems(
  engine: Engine,
  db: Database,
  config: ContainerConfig,
  volumeDriver = "local",
): Promise<void> {
  for (const mount of config.mounts) {
    if (mount.kind !== "volume" || (mount.anonymous && !mount.make && volumeDriver === "local")) continue;
    const row = findVolume(db, mount.name);
    const driver = row?.driver ?? mount.make?.driver ?? volumeDriver;
    if (driver === "image" && !row) {
      await (await import("./volume_image.ts")).makeAskedImageVolume(engine, mount);
    } else if (isPlugin(driver)) {
      mount.driver = driver;
      if (!row) await (await import("./volume_plugins/asked.ts")).makePluginVolume(engine, mount, driver);
      continue;
    }
    const options = row?.options ?? mount.make?.options;
    if (driver === "image" || !options || Object.keys(options).length === 0) continue;
    const { planVolumeOptions } = await import("./volume_options.ts");
    const { filesystem, isNotFilled } = planVolumeOptions(options, engine.namespaces.isRootless);
    mount.filesystem = filesystem;
    if (isNotFilled) mount.copyUp = false;
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

async function warningsFor(
  engine: Engine,
  options: CreateOptions,
  config: ContainerConfig,
): Promise<string[]> {
  const obstacle = config.network.mode === "none" && isDefaultNetwork(options.network)
    ? findTunObstacle()
    : undefined;
  const told = obstacle && `the container has no network: ${obstacle.reason} (${obstacle.remedy})`;
  const driver = config.root.kind === "image" ? config.storageDriver : undefined;
  const notices = await machineNotices(engine, driver);
  return told === undefined ? notices : [told, ...notices];
}
