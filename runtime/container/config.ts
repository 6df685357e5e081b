/**
 * What a container is: the image's config and the caller's options made into one document, which is kept as
 * `containers/<id>/config.json` (0600, as the environment may hold secrets) and does not change any more.
 */

import { DEFAULT_SHM_BYTES } from "./default_mounts.ts";
import type { Lifecycle } from "./lifecycle_options.ts";
import type { PortMapping } from "../network/ports.ts";
import type { CreateOptions, StorageDriverName } from "./options.ts";
import type { ConfigExtras, ResolvedExtras, UsernsChoice } from "./extras.ts";
import { InvalidArgumentError, UnsupportedError } from "../errors.ts";
import { type NetworkChoice, plainNetwork } from "./network_choice.ts";
import type { ImageConfig } from "../spec/image.ts";
import type { RlimitSpec } from "../spec/runtime.ts";
import { parseSignal } from "../spec/signal.ts";
import { parseSize } from "../spec/size.ts";
import { resolveUlimits } from "../spec/ulimit.ts";
import { mergeEnv } from "./env.ts";
import {
  absolutePath,
  cleanPath,
  combineMounts,
  type ContainerMount,
  type ImageVolumeMode,
  parseTmpfs,
  parseVolume,
} from "./mount_options.ts";
import { parseSecurityOptions, type SecurityOptions } from "./security_options.ts";

export const CONFIG_VERSION = 1;

export type RootSource =
  | { kind: "image"; id: string; digest: string; diffIds: string[] }
  /** Of a step of a build: layers that need no image. */
  | { kind: "layers"; diffIds: string[] }
  /** `--rootfs`: a folder used as it is, or with `overlay` written over afresh by each run. */
  | { kind: "rootfs"; path: string; overlay?: boolean }
  /** The built-in image `host`. */
  | { kind: "host" }
  /** Of a pod's infra container: nothing but its program. */
  | { kind: "infra" };

/** Whose pod a container is in. */
export interface PodMembership {
  id: string;
  /** The container that must run first; none in the infra container itself. */
  infra?: string;
  /** The pod is stopped when this was the last one to end. */
  stopsPod?: boolean;
  /** It runs to its end before the others are started; `once` removes it then. */
  init?: "always" | "once";
}

export type { NetworkChoice } from "./network_choice.ts";

/** How ids map between the container and the user's shared namespace. */

export interface ContainerConfig extends ConfigExtras {
  version: number;
  id: string;
  name: string;
  createdAt: string;
  root: RootSource;
  /** As stored: `docker.io/library/debian:12`, `host`, or the folder of `--rootfs`. */
  imageName: string;
  entrypoint: string[];
  cmd: string[];
  env: string[];
  workdir: string;
  user: string;
  groupAdd: string[];
  hostname: string;
  tty: boolean;
  interactive: boolean;
  init: boolean;
  readOnly: boolean;
  labels: Record<string, string>;
  stopSignal: number;
  /** Seconds; -1 waits for ever. */
  stopTimeout: number;
  detachKeys?: string;
  privileged: boolean;
  capAdd: string[];
  capDrop: string[];
  security: SecurityOptions;
  securityOpt: string[];
  rlimits: RlimitSpec[];
  shmBytes: number;
  network: NetworkChoice;
  userns: UsernsChoice;
  storageDriver: StorageDriverName;
  mounts: ContainerMount[];
  log: ContainerLog;
  autoRemove: boolean;
  pod?: PodMembership;
  cidfile?: string;
  pidFile?: string;
  conmonPidFile?: string;
  size?: { rows: number; cols: number };
  createCommand?: string[];
  lifecycle?: Lifecycle;
  /** Published; a host port that is chosen by skiff stays the same from then on. */
  ports?: PortMapping[];
  /** EXPOSE of the image and `--expose`: `80/tcp`, `90-92/udp`. */
  exposed?: string[];
}

export interface ContainerLog {
  driver: "k8s-file" | "json-file" | "journald" | "none" | "passthrough";
  /** Of a file. */
  path: string;
  /** Bytes; 0 is no limit. */
  maxSize: number;
  /** Of the journal's entries, as a template. */
  tag?: string;
  /** Of passthrough: also where the caller's streams are his terminal. */
  allowsTerminal?: boolean;
}

/** What the resolution must know besides the options. */
export interface ConfigFacts {
  id: string;
  name: string;
  createdAt: string;
  root: RootSource;
  imageName: string;
  image?: ImageConfig;
  /** The container's folder. */
  containerDir: string;
  storageDriver: StorageDriverName;
  /** Of a `--network` that is more than a plain word. */
  network?: NetworkChoice;
  /** Of `--network container:`, resolved to a whole id, with that container's host name. */
  networkContainer?: { id: string; hostname: string };
  /** Content of the `--env-file`s. */
  fileEnv: string[];
  lifecycle?: Lifecycle;
  /** Of `--mount`, and of the containers of `--volumes-from`. */
  mounts?: { requested: ContainerMount[]; inherited: ContainerMount[] };
  /** Of the rarer options. */
  extras?: ResolvedExtras;
  /** Of the caller: ids, host name, current folder, hard limits. */
  caller: {
    uid: number;
    gid: number;
    hostname: string;
    workingFolder: string;
    hardLimit: (type: string) => number;
    readFile: (path: string) => string;
  };
}

/** Resolves everything but the files of the store; throws on the first option that cannot be. */
export function resolveConfig(options: CreateOptions, facts: ConfigFacts): ContainerConfig {
  const image = facts.image?.config ?? {};
  const tty = options.tty ?? false;
  const { extras } = facts;
  const userns = extras?.userns ?? resolveUserns(options.userns, facts.caller.uid);
  const network = facts.network ?? plainNetwork(options.network);
  if (!network) throw new InvalidArgumentError(`use network "${options.network}": it was not looked up`);
  const hostname = extras?.hostname ?? resolveHostname(options.hostname, network, facts);
  const { entrypoint, cmd } = resolveCommand(options, image);
  const log = resolveLog(
    { ...options, logOpt: extras?.logOpt ?? options.logOpt },
    facts.containerDir,
    facts.caller.workingFolder,
  );
  const requested = [
    ...(options.volumes ?? []).map((text) => parseVolume(text, facts.caller.workingFolder)),
    ...(facts.mounts?.requested ?? []),
    ...(options.tmpfs ?? []).map(parseTmpfs),
  ];
  const env = mergeEnv(
    { ...extras?.env, image: image.Env ?? [], files: facts.fileEnv, user: options.env ?? [] },
    { tty, hostname },
  );
  const labels = { ...image.Labels, ...options.labels };
  const imageId = facts.root.kind === "image" ? facts.root.id : "";
  return {
    version: CONFIG_VERSION,
    id: facts.id,
    name: facts.name,
    createdAt: facts.createdAt,
    root: facts.root,
    imageName: facts.imageName,
    entrypoint: [...(extras?.entrypointPrefix ?? []), ...entrypoint],
    cmd,
    env,
    workdir: resolveWorkdir(options.workdir ?? image.WorkingDir ?? "/"),
    user: options.user ?? extras?.user ??
      (userns === "keep-id" ? `${facts.caller.uid}:${facts.caller.gid}` : image.User ?? ""),
    groupAdd: extras?.groupAdd ?? options.groupAdd ?? [],
    hostname,
    tty,
    interactive: options.interactive ?? false,
    init: (options.init ?? false) && !extras?.entrypointPrefix,
    readOnly: options.readOnly ?? false,
    labels,
    stopSignal: resolveStopSignal(options.stopSignal ?? extras?.stopSignal, image.StopSignal),
    stopTimeout: options.stopTimeout ?? 10,
    detachKeys: options.detachKeys,
    privileged: options.privileged ?? false,
    capAdd: options.capAdd ?? [],
    capDrop: options.capDrop ?? [],
    security: parseSecurityOptions(extras?.securityOpt ?? options.securityOpt ?? [], facts.caller.readFile),
    securityOpt: options.securityOpt ?? [],
    rlimits: resolveUlimits(options.ulimits ?? [], {
      rootless: facts.caller.uid !== 0,
      hardLimit: facts.caller.hardLimit,
    }),
    shmBytes: resolveShmSize(options.shmSize),
    network,
    userns,
    storageDriver: facts.storageDriver,
    mounts: combineMounts(
      requested,
      Object.keys(image.Volumes ?? {}),
      [...(facts.mounts?.inherited ?? []), ...(extras?.mounts ?? [])],
      resolveImageVolumes(options.imageVolume),
    ),
    log: extras?.logTag ? { ...log, tag: extras.logTag } : log,
    autoRemove: options.autoRemove ?? false,
    cidfile: options.cidfile,
    pidFile: pidFilePath(options.pidFile, facts),
    conmonPidFile: pidFilePath(options.conmonPidFile, facts),
    size: options.size,
    createCommand: options.createCommand,
    logAttributes: extras?.logAttributes?.({ ...facts, imageId, labels, env }),
    ...extras?.config,
    ...(facts.lifecycle && { lifecycle: facts.lifecycle }),
  };
}

/** The id of `--network container:ID`, still as the user wrote it. */
export function networkContainerOf(network: string | undefined): string | undefined {
  return network?.startsWith("container:") ? network.slice("container:".length) : undefined;
}

function resolveCommand(
  options: CreateOptions,
  image: { Entrypoint?: string[]; Cmd?: string[] },
): { entrypoint: string[]; cmd: string[] } {
  // an entrypoint of the caller drops the image's command with the image's entrypoint
  const entrypoint = options.entrypoint ?? image.Entrypoint ?? [];
  const cmd = options.command.length > 0 || options.entrypoint ? options.command : image.Cmd ?? [];
  if (entrypoint.length + cmd.length === 0) {
    throw new InvalidArgumentError(
      `create container from "${options.image}": no command or entrypoint provided, and no CMD or ENTRYPOINT from image`,
    );
  }
  for (const word of [...entrypoint, ...cmd]) {
    if (word.includes("\0")) {
      throw new InvalidArgumentError("create container: the command holds a zero byte");
    }
  }
  return { entrypoint, cmd };
}

function resolveWorkdir(path: string): string {
  if (path === "") return "/";
  if (path.startsWith("/") && !path.includes("\0")) return cleanPath(path);
  throw new InvalidArgumentError(`set working directory "${path}": it needs to be an absolute path`);
}

/** The monitor, which writes it, has left the caller's folder. */
function pidFilePath(path: string | undefined, { caller }: ConfigFacts): string | undefined {
  return path ? absolutePath(path, caller.workingFolder) : undefined;
}

function resolveHostname(given: string | undefined, network: NetworkChoice, facts: ConfigFacts): string {
  if (given !== undefined && given !== "") {
    if (given.length > 64 || !/^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(given)) {
      throw new InvalidArgumentError(`set hostname "${given}": invalid host name`);
    }
    return given;
  }
  if (network.mode === "host") return facts.caller.hostname;
  if (network.mode === "container") return facts.networkContainer!.hostname;
  return facts.id.slice(0, 12);
}

function resolveUserns(text: string | undefined, uid: number): UsernsChoice {
  if (text === undefined || text === "" || text === "host") return "host";
  if (text !== "keep-id" && text !== "nomap") {
    throw new UnsupportedError(`use user namespace "${text}": only host, keep-id and nomap are supported`);
  }
  if (uid === 0) throw new UnsupportedError(`${text} is only supported in rootless mode`);
  return text;
}

function resolveImageVolumes(text = "anonymous"): ImageVolumeMode {
  if (text === "tmpfs" || text === "ignore") return text;
  if (text === "anonymous" || text === "bind" || text === "") return "volume";
  throw new InvalidArgumentError(
    `invalid image volume mode "${text}" required value: bind, anonymous, tmpfs, ignore`,
  );
}

function resolveStopSignal(given: string | undefined, image: string | undefined): number {
  if (given) return parseSignal(given);
  if (!image) return 15;
  try {
    return parseSignal(image);
  } catch {
    return 15; // an image may say nonsense; docker and podman stop it with SIGTERM
  }
}

function resolveShmSize(text: string | undefined): number {
  if (text === undefined || text === "") return DEFAULT_SHM_BYTES;
  const bytes = parseSize(text);
  if (bytes === undefined) throw new InvalidArgumentError(`set --shm-size: invalid size: "${text}"`);
  return bytes;
}

const LOG_DRIVERS: readonly string[] = [
  ...["k8s-file", "json-file", "journald", "none", "passthrough", "passthrough-tty"],
];

function resolveLog(
  options: CreateOptions,
  containerDir: string,
  workingFolder: string,
): ContainerLog {
  const driver = options.logDriver || "k8s-file";
  if (!LOG_DRIVERS.includes(driver)) {
    throw new UnsupportedError(`use log driver "${driver}": only ${LOG_DRIVERS.join(", ")} are supported`);
  }
  let path = driver === "journald" ? "" : `${containerDir}/ctr.log`;
  let maxSize = 0;
  for (const word of options.logOpt ?? []) {
    const [key, value] = [word.slice(0, word.indexOf("=")), word.slice(word.indexOf("=") + 1)];
    if (!word.includes("=") || key === "") throw new InvalidArgumentError(`invalid log option "${word}"`);
    if (driver === "journald" && (key === "path" || key === "max-size")) {
      throw new UnsupportedError(
        `set log option "${word}": the journal has files and limits of its own, see journald.conf(5)`,
      );
    }
    if (key === "path" && value !== "") path = absolutePath(value, workingFolder);
    else if (key === "max-size" && value === "-1") maxSize = 0;
    else if (key === "max-size" && parseSize(value) !== undefined) maxSize = parseSize(value)!;
    else if (key === "path" || key === "max-size") {
      throw new InvalidArgumentError(`set log option "${word}": invalid value`);
    } else throw new UnsupportedError(`set log option "${word}": only path and max-size are supported`);
  }
  if (driver.startsWith("passthrough") && options.tty) {
    throw new InvalidArgumentError(`use log driver "${driver}": it cannot be used with a terminal`);
  }
  if (driver === "passthrough-tty") return { driver: "passthrough", path, maxSize, allowsTerminal: true };
  return { driver: driver as ContainerLog["driver"], path, maxSize };
}
