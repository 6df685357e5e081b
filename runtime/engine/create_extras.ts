/**
 * The rarer options of `create`: what each adds to the container's config. Loaded where one of them is used, so that a
 * plain `run` does not carry them.
 */

import { takeLaunch } from "../config/launch.ts";
import { resolveAccounts } from "../container/account_options.ts";
import { parseDevice } from "../container/device_options.ts";
import type { ChosenNamespace, ConfigExtras, ResolvedExtras } from "../container/extras.ts";
import { readHostname } from "../container/host_facts.ts";
import { allocateMap, parseAuto, parseIdMaps, parseKeepId } from "../container/id_map_options.ts";
import { parseLogOptions } from "../container/log_options.ts";
import { parseTmpfs } from "../container/mount_options.ts";
import { resolveHosts, resolveResolver } from "../container/names_options.ts";
import { parseNamespace } from "../container/namespace_options.ts";
import {
  checkOomScore,
  parseAnnotations,
  parseSysctls,
  parseUmask,
  proxyVariables,
  resolveEnvExtras,
} from "../container/process_options.ts";
import { ConflictError, InvalidArgumentError, UnsupportedError } from "../errors.ts";
import { mappedIdCount, nestedIdMap } from "../namespaces/id_map.ts";
import type { IdMapping } from "../spec/runtime.ts";
import type { Database } from "../state/db.ts";
import { takeLock } from "../state/locks.ts";
import { loadConfig } from "./containers.ts";
import { findOther } from "./joined_namespaces.ts";
import type { Engine } from "./engine.ts";
import type { CreateOptions } from "./options.ts";

/** `argv0` is the program of the container, as far as the options and the image tell. */
export async function resolveExtras(
  engine: Engine,
  db: Database,
  options: CreateOptions,
  argv0: string,
): Promise<ResolvedExtras> {
  const caller = callerEnv();
  const namespaces = resolveNamespaces(engine, db, options);
  const config: ConfigExtras = {
    annotations: options.annotations && parseAnnotations(options.annotations),
    hosts: resolveHosts(options, Deno.readTextFileSync),
    resolver: resolveResolver(options),
    noHostname: options.noHostname,
    devices: options.devices?.map(parseDevice),
    umask: options.umask === undefined ? undefined : parseUmask(options.umask),
    oomScoreAdj: options.oomScoreAdj === undefined ? undefined : checkOomScore(options.oomScoreAdj),
    namespaces,
    sysctl: options.sysctls && parseSysctls(options.sysctls, namespaces, options.network),
    timezoneFile: options.timezone ? timezoneFile(options.timezone) : undefined,
    readOnlyTmpfs: options.readOnlyTmpfs,
    ...resolveProcOptions(options),
  };
  checkDevicePermissions(engine, config);
  const extras: ResolvedExtras = { config, env: resolveEnvExtras(options, caller) };
  if (options.httpProxy !== false) extras.env!.host.push(...proxyVariables(caller));
  if (options.groupAdd?.includes("keep-groups")) {
    if (options.groupAdd.length > 1) {
      throw new InvalidArgumentError(
        "the '--group-add keep-groups' option is not allowed with any other --group-add options",
      );
    }
    config.keepGroups = true;
    extras.groupAdd = [];
  }
  resolveHostnameOf(engine, options, namespaces, extras);
  const kept = await resolveIdMaps(engine, db, options, extras);
  if (extras.userns !== undefined && extras.userns !== "host") refuseForeign(namespaces, config.joinedUserns);
  config.accounts = resolveAccounts(options, kept);
  const log = parseLogOptions(options.logOpt ?? [], options.logDriver ?? "k8s-file");
  extras.logOpt = log.rest;
  extras.logAttributes = log.attributes;
  extras.securityOpt = options.securityOpt?.filter((word) => !word.startsWith("proc-opts="));
  if (options.initPath && options.init) addInit(options.initPath, extras);
  if (isSystemd(options, argv0)) prepareSystemd(extras);
  return extras;
}

function callerEnv(): Record<string, string> {
  takeLaunch(); // gives the caller's variables back their names
  return Deno.env.toObject();
}

function resolveNamespaces(engine: Engine, db: Database, options: CreateOptions): ConfigExtras["namespaces"] {
  const asked: [ChosenNamespace, string | undefined][] = [
    ["pid", options.pid],
    ["ipc", options.ipc],
    ["uts", options.uts],
    ["cgroup", options.cgroupns],
  ];
  const chosen: NonNullable<ConfigExtras["namespaces"]> = {};
  for (const [type, text] of asked) {
    const choice = parseNamespace(type, text);
    if (choice === undefined) continue;
    if (choice.mode === "container") {
      const { id } = findOther(db, choice.id, type);
      const theirs = loadConfig(engine, id).namespaces?.ipc?.mode;
      if (type === "ipc" && (theirs === "private" || theirs === "none")) {
        throw new ConflictError(
          `joining IPC of container ${id} is not allowed: non-shareable IPC ` +
            "(hint: use IpcMode:shareable for the donor container)",
        );
      }
      choice.id = id;
    }
    chosen[type] = choice;
  }
  return Object.keys(chosen).length === 0 ? undefined : chosen;
}

/** The uts namespace of others has its name already. */
function resolveHostnameOf(
  engine: Engine,
  options: CreateOptions,
  namespaces: ConfigExtras["namespaces"],
  extras: ResolvedExtras,
): void {
  const uts = namespaces?.uts;
  if (uts === undefined) return;
  if (options.hostname) {
    throw new InvalidArgumentError("cannot set hostname when running in the host UTS namespace");
  }
  extras.hostname = uts.mode === "container" ? loadConfig(engine, uts.id).hostname : readHostname();
}

/** Gives who keep-id keeps. */
async function resolveIdMaps(
  engine: Engine,
  db: Database,
  options: CreateOptions,
  extras: ResolvedExtras,
): Promise<{ hostUid: number; uid: number; gid: number } | undefined> {
  const { uid, gid, maps, isRootless } = engine.namespaces;
  const { userns } = options;
  const isMapped = options.uidMap || options.gidMap || options.subuidName || options.subgidName;
  const [kind] = userns?.split(":") ?? [];
  if (isMapped && userns) {
    throw new InvalidArgumentError(
      "--userns and --uidmap/--gidmap/--subuidname/--subgidname are mutually exclusive",
    );
  }
  if (!isMapped && kind !== "keep-id" && kind !== "auto") {
    if (kind === "ns" || kind === "container") {
      const { resolveJoinedUserns } = await import("./joined_userns.ts");
      const joined = await resolveJoinedUserns(engine, db, userns!);
      extras.userns = joined ? "joined" : "host";
      extras.config.idMaps = joined?.maps;
      extras.config.joinedUserns = joined?.choice;
      return undefined;
    }
    if (kind === "private") {
      throw new InvalidArgumentError(
        "must provide at least one UID or GID mapping to configure a user namespace",
      );
    }
    if (kind && !["host", "nomap"].includes(kind)) {
      throw new InvalidArgumentError(`unrecognized namespace mode ${userns} passed`);
    }
    return undefined;
  }
  if (!isRootless) {
    throw new UnsupportedError(`use user namespace "${userns ?? "uidmap"}": it is only for rootless use`);
  }
  if (maps.isSingle) throw new ConflictError(`use user namespace "${userns ?? "uidmap"}": ${maps.reason}`);
  const counts = { uid: mappedIdCount(maps.uid), gid: mappedIdCount(maps.gid) };
  if (kind === "keep-id") {
    const kept = parseKeepId(userns!, { uid, gid });
    extras.userns = "keep-id";
    extras.user = `${kept.uid}:${kept.gid}`;
    if (kept.uid === uid && kept.gid === gid) return { hostUid: uid, ...kept };
    extras.config.idMaps = {
      uid: nestedIdMap("keep-id", kept.uid, counts.uid),
      gid: nestedIdMap("keep-id", kept.gid, counts.gid),
    };
    return undefined;
  }
  if (isMapped) {
    if (options.subuidName || options.subgidName) {
      throw new UnsupportedError(
        "use --subuidname or --subgidname: without root there are no ids but the user's own, which --uidmap counts",
      );
    }
    extras.userns = "maps";
    extras.config.idMaps = parseIdMaps(options.uidMap ?? [], options.gidMap ?? [], counts);
    return undefined;
  }
  const request = parseAuto(userns!);
  extras.userns = "auto";
  // held until the container's config is written, so that two never get the same ids
  const lock = await takeLock(`${engine.folders.locks}/userns-auto`);
  extras.release = () => lock?.[Symbol.dispose]();
  const taken = mapsInUse(engine);
  extras.config.idMaps = {
    uid: allocateMap(request.size, request.uid, taken.uid, counts.uid),
    gid: allocateMap(request.size, request.gid, taken.gid, counts.gid),
  };
  return undefined;
}

/**
 * Of the other automatic user namespaces: they stay theirs for as long as there is the container. By folders, for the row
 * of one that is just being made comes after the lock has been let go.
 */
function mapsInUse(engine: Engine): { uid: IdMapping[]; gid: IdMapping[] } {
  const taken: { uid: IdMapping[]; gid: IdMapping[] } = { uid: [], gid: [] };
  for (const { name: id } of Deno.readDirSync(engine.folders.containers)) {
    try {
      const { userns, idMaps } = loadConfig(engine, id);
      if (userns !== "auto" || !idMaps) continue;
      taken.uid.push(...idMaps.uid);
      taken.gid.push(...idMaps.gid);
    } catch {
      // being made or removed
    }
  }
  return taken;
}

/** Their rights belong to the user's shared namespace, which a process in a nested one has none in. */
function refuseForeign(namespaces: ConfigExtras["namespaces"], joined: ConfigExtras["joinedUserns"]): void {
  for (const type of ["pid", "ipc"] as const) {
    const choice = namespaces?.[type];
    if (choice?.mode !== "container" && choice?.mode !== "path") continue;
    const isSame = joined?.mode === "container" && choice.mode === "container" && joined.id === choice.id;
    if (isSame && type === "pid") continue;
    throw new UnsupportedError(
      `join the ${type} namespace of another: it belongs to another user namespace than --userns asks for`,
    );
  }
}

/** Without root a device is bound as it is, and its own mode decides; as root that would give more than was asked. */
function checkDevicePermissions(engine: Engine, { devices }: ConfigExtras): void {
  if (engine.namespaces.isRootless) return;
  for (const { source, permissions } of devices ?? []) {
    if (permissions.includes("r") && permissions.includes("w")) continue;
    throw new UnsupportedError(
      `pass device "${source}" with "${permissions}": reading and writing are not told apart without a device cgroup`,
    );
  }
}

function timezoneFile(zone: string): string {
  const database = "/usr/share/zoneinfo";
  const path = zone === "local" ? "/etc/localtime" : `${database}/${zone}`;
  try {
    const real = Deno.realPathSync(path);
    const isZone = zone === "local" || !zone.split("/").includes("..");
    if (isZone && Deno.statSync(real).isFile) return real;
  } catch {
    // told below
  }
  throw new InvalidArgumentError(`set time zone "${zone}": stat ${path}: no such file or directory`);
}

function resolveProcOptions(options: CreateOptions): { procOptions?: string[] } {
  const words = (options.securityOpt ?? []).filter((word) => word.startsWith("proc-opts="))
    .flatMap((word) => word.slice("proc-opts=".length).split(/[:,]/)).filter((word) => word !== "");
  for (const word of words) {
    if (
      /^(hidepid=(\d|off|noaccess|invisible|ptraceable)|subset=pid|gid=\d+|nosuid|nodev|noexec|ro)$/.test(
        word,
      )
    ) {
      continue;
    }
    throw new InvalidArgumentError(`set security option "proc-opts=${word}": not an option of procfs`);
  }
  return words.length === 0 ? {} : { procOptions: words };
}

/** Where the init of the user's choice appears in the container. */
const INIT_PLACE = "/run/skiff-init";

function addInit(path: string, extras: ResolvedExtras): void {
  try {
    if (!Deno.statSync(path).isFile) throw new Deno.errors.NotFound();
  } catch (cause) {
    throw new InvalidArgumentError(
      `container-init binary not found on the host: stat ${path}: no such file or directory`,
      {
        cause,
      },
    );
  }
  const source = Deno.realPathSync(path);
  extras.mounts = [
    ...(extras.mounts ?? []),
    { kind: "bind", source, destination: INIT_PLACE, readOnly: true, options: [] },
  ];
  extras.entrypointPrefix = [INIT_PLACE, "--"];
}

function isSystemd({ systemd = "true" }: CreateOptions, argv0: string): boolean {
  if (systemd === "always") return true;
  if (systemd === "false") return false;
  if (systemd !== "true") {
    throw new InvalidArgumentError('--systemd values must be one of "true, false, always"');
  }
  return isInitProgram(argv0);
}

/** @see podman-run(1), --systemd */
export function isInitProgram(argv0: string): boolean {
  return /^(\/(usr\/(local\/)?)?sbin\/init)$/.test(argv0) ||
    argv0.slice(argv0.lastIndexOf("/") + 1) === "systemd";
}

/** The folders that systemd wants to be fresh, and the signal that shuts it down. @see systemd(1), SIGRTMIN+3 */
function prepareSystemd(extras: ResolvedExtras): void {
  const folders = ["/run", "/run/lock", "/tmp", "/var/log/journal"];
  extras.mounts = [...(extras.mounts ?? []), ...folders.map(parseTmpfs)];
  extras.stopSignal = "SIGRTMIN+3";
}
