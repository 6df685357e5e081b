/**
 * The rarer options of `create`: what each adds to the container's config. Loaded where one of them is used, so that a
 * plain `run` does not carry them.
 */

import { takeLaunch } from "../config/launch.ts";
import type { RootSource } from "../container/config.ts";
import { resolveAccounts } from "../container/account_options.ts";
import { parseDevice, refuseHalfAccess } from "../container/device_options.ts";
import type { ChosenNamespace, ConfigExtras, ResolvedExtras } from "../container/extras.ts";
import { readHostname } from "../container/host_facts.ts";
import { parseLogOptions } from "../container/log_options.ts";
import { parseTmpfs } from "../container/mount_options.ts";
import { parseChrootDirs, resolveHosts, resolveResolver } from "../container/names_options.ts";
import { parseNamespace } from "../container/namespace_options.ts";
import {
  checkOomScore,
  parseAnnotations,
  parsePersonality,
  parseSysctls,
  parseUmask,
  proxyVariables,
  resolveEnvExtras,
} from "../container/process_options.ts";
import { ConflictError, InvalidArgumentError, UnsupportedError } from "../errors.ts";
import { splitQualifiedName } from "../spec/cdi_name.ts";
import { parseSize } from "../spec/size.ts";
import type { Database } from "../state/db.ts";
import { loadConfig } from "./containers.ts";
import { findOther } from "./joined_namespaces.ts";
import type { Engine } from "./engine.ts";
import type { CreateOptions } from "./options.ts";

/**
 * `argv0` is the program of the container, as far as the options and the image tell; what must stay as it is until the
 * container's config is written is put into `held`.
 */
export async function resolveExtras(
  engine: Engine,
  db: Database,
  options: CreateOptions,
  { argv0, root, user }: { argv0: string; root: RootSource; user?: string },
  held: DisposableStack,
): Promise<ResolvedExtras> {
  const caller = callerEnv();
  const namespaces = resolveNamespaces(engine, db, options);
  const config: ConfigExtras = {
    annotations: options.annotations && parseAnnotations(options.annotations),
    hosts: resolveHosts(options, Deno.readTextFileSync),
    resolver: resolveResolver(options),
    noHostname: options.noHostname,
    domainName: options.domainName && checkDomainName(options),
    chrootDirs: options.chrootDirs && parseChrootDirs(options.chrootDirs),
    ...resolveDevices(options.devices),
    umask: options.umask === undefined ? undefined : parseUmask(options.umask),
    personality: options.personality === undefined ? undefined : parsePersonality(options.personality),
    oomScoreAdj: options.oomScoreAdj === undefined ? undefined : checkOomScore(options.oomScoreAdj),
    namespaces,
    sysctl: options.sysctls && parseSysctls(options.sysctls, namespaces, options.network),
    timezoneFile: options.timezone ? timezoneFile(options.timezone) : undefined,
    readOnlyTmpfs: options.readOnlyTmpfs,
    ...resolveProcOptions(options),
  };
  checkDevicePermissions(engine, config);
  const extras: ResolvedExtras = { config, env: resolveEnvExtras(options, caller) };
  if (options.secrets) {
    const { resolveSecrets } = await import("./container_secrets.ts");
    const { secrets, fill } = await resolveSecrets(engine, db, options.secrets);
    config.secrets = secrets;
    extras.fill = fill;
  }
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
  const kept = hasIdMaps(options)
    ? await (await import("./id_maps.ts")).resolveIdMaps(engine, db, { options, root, user }, extras, held)
    : undefined;
  if (extras.userns !== undefined && extras.userns !== "host") refuseForeign(namespaces, config.joinedUserns);
  config.accounts = resolveAccounts(options, kept);
  const log = parseLogOptions(options.logOpt ?? [], options.logDriver ?? "k8s-file");
  extras.logOpt = log.rest;
  extras.logTag = log.tag;
  extras.logAttributes = log.attributes;
  extras.securityOpt = options.securityOpt?.filter((word) => !word.startsWith("proc-opts="));
  if (options.initPath && options.init) addInit(options.initPath, extras);
  const size = resolveSystemdSize(options.shmSizeSystemd);
  if (isSystemd(options, argv0)) prepareSystemd(extras, size);
  return extras;
}

/** @see setdomainname(2) */
function checkDomainName({ domainName = "", uts }: CreateOptions): string {
  if (uts !== undefined && uts !== "private") {
    throw new InvalidArgumentError(
      "cannot set the domain name in a UTS namespace that is not the container's own",
    );
  }
  if (/^[A-Za-z0-9]([A-Za-z0-9_.-]{0,62}[A-Za-z0-9])?$/.test(domainName)) return domainName;
  throw new InvalidArgumentError(`set domain name "${domainName}": invalid domain name`);
}

/** A name of CDI is looked up at each start, a path now. */
function resolveDevices(words: readonly string[] = []): Pick<ConfigExtras, "devices" | "cdiDevices"> {
  const [names, paths] = [true, false].map((isName) =>
    words.filter((word) => (splitQualifiedName(word) !== undefined) === isName)
  );
  return {
    ...(paths!.length > 0 && { devices: paths!.map(parseDevice) }),
    ...(names!.length > 0 && { cdiDevices: names }),
  };
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

/** `host` and `nomap` are the config's own. */
function hasIdMaps({ userns = "", uidMap, gidMap, subuidName, subgidName }: CreateOptions): boolean {
  return !["", "host", "nomap"].includes(userns) ||
    Boolean(uidMap || gidMap || subuidName || subgidName);
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

/** Without root a device is bound as it is, and its own mode decides. */
function checkDevicePermissions(engine: Engine, { devices }: ConfigExtras): void {
  if (engine.namespaces.isRootless) return;
  for (const { source, permissions } of devices ?? []) refuseHalfAccess(source, permissions);
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

function resolveSystemdSize(text = "0"): number {
  const bytes = parseSize(text);
  if (bytes === undefined) {
    throw new InvalidArgumentError(`unable to translate --shm-size-systemd: invalid size: '${text}'`);
  }
  return bytes;
}

/** The folders that systemd wants to be fresh, and the signal that shuts it down. @see systemd(1), SIGRTMIN+3 */
function prepareSystemd(extras: ResolvedExtras, sizeBytes: number): void {
  const size = sizeBytes > 0 ? `:size=${sizeBytes}` : "";
  const folders = ["/run", "/run/lock", "/tmp", "/var/log/journal"];
  extras.mounts = [...(extras.mounts ?? []), ...folders.map((path) => parseTmpfs(path + size))];
  extras.stopSignal = "SIGRTMIN+3";
}
