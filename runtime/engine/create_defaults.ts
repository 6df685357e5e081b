/** What containers.conf adds to the options of a new container. Loaded only where there is such a file. */

import { readContainersConf } from "../config/containers_conf.ts";
import { InvalidArgumentError } from "../errors.ts";
import { DEFAULT_CAPABILITIES, normalizeCapabilities } from "../security/capabilities.ts";
import type { Engine } from "./engine.ts";
import { noticeOnce } from "./notices.ts";
import type { CreateOptions, PullPolicy } from "./options.ts";

type Conf = ReturnType<typeof readContainersConf>;

/** Keys that give an option its value where the command gives none. */
const PLAIN: Record<string, keyof CreateOptions> = {
  base_hosts_file: "hostsFile",
  cgroupns: "cgroupns",
  dns_options: "dnsOptions",
  dns_searches: "dnsSearch",
  dns_servers: "dns",
  env_host: "envHost",
  host_containers_internal_ip: "internalHost",
  http_proxy: "httpProxy",
  init: "init",
  ipcns: "ipc",
  no_hostname: "noHostname",
  no_hosts: "noHosts",
  oom_score_adj: "oomScoreAdj",
  pidns: "pid",
  privileged: "privileged",
  read_only: "readOnly",
  shm_size: "shmSize",
  tz: "timezone",
  umask: "umask",
  utsns: "uts",
};

/** Lists that come before what the command has of the kind. */
const LISTS: Record<string, keyof CreateOptions> = {
  annotations: "annotations",
  default_ulimits: "ulimits",
  devices: "devices",
};

/** Keys that would ask for what there is not yet; a value that asks for nothing is silent. */
const UNAVAILABLE: Record<string, (value: unknown) => boolean> = {
  cgroups: (value) => value === "split" || value === "no-conmon",
  pids_limit: (value) => Number(value) > 0,
  log_path: (value) => value !== "",
};

/** @see containers.conf(5), pull_policy */
const PULL_POLICIES: Record<string, PullPolicy> = {
  always: "always",
  ifnewer: "newer",
  ifnotpresent: "missing",
  missing: "missing",
  never: "never",
  newer: "newer",
};

const DRIVERS = ["k8s-file", "json-file", "none", "passthrough", "passthrough-tty"];
const TAGGED = ["journald", "json-file"];

/** The options, completed, and what is to be told. */
export async function withDefaults(
  engine: Engine,
  given: CreateOptions,
  files: readonly string[],
): Promise<{ options: CreateOptions; warnings: string[] }> {
  const conf = readContainersConf(files);
  const warnings: string[] = [];
  const ignored = [
    ...conf.unknown,
    ...Object.entries(UNAVAILABLE).flatMap(([key, asks]) =>
      conf.containers[key] !== undefined && asks(conf.containers[key]) ? [`containers.${key}`] : []
    ),
  ];
  if (ignored.length > 0) {
    const told = noticeOnce(engine, "containers-conf", ` ${ignored.join(", ")} (${files.join(", ")})`);
    if (told !== undefined) warnings.push(told);
  }
  return { options: await complete(conf, given, warnings), warnings };
}

async function complete(
  { containers, engine }: Conf,
  given: CreateOptions,
  warnings: string[],
): Promise<CreateOptions> {
  const options: CreateOptions = { ...given };
  const set = <Key extends keyof CreateOptions>(key: Key, value: unknown) => {
    if (options[key] === undefined && value !== undefined) options[key] = value as CreateOptions[Key];
  };
  const isEmpty = (value: unknown) => value === "" || (Array.isArray(value) && value.length === 0);
  chooseNamespaces(containers, options);
  const hasResolver = !/^(none$|container:)/.test(options.network ?? "");
  for (const [key, option] of Object.entries(PLAIN)) {
    if (key.startsWith("dns_") && !hasResolver) continue;
    const value = containers[key];
    const isUsual = value === "private" && /ns$/.test(key) && key !== "ipcns";
    if (!isEmpty(value) && !isUsual) set(option, value);
  }
  for (const [key, option] of Object.entries(LISTS)) {
    const list = containers[key] as string[] | undefined;
    if (list?.length) options[option] = [...list, ...(options[option] as string[] ?? [])] as never;
  }
  await chooseLog(containers, options, warnings);
  if (options.init) set("initPath", containers.init_path || undefined);
  options.defaultEnv = containers.env as string[] | undefined;
  options.defaultVolumes = containers.volumes as string[] | undefined;
  options.defaultMounts = containers.mounts as string[] | undefined;
  const sysctls = containers.default_sysctls as string[] | undefined;
  if (sysctls?.length) options.sysctls = [...sysctls.filter(isPossible(options)), ...options.sysctls ?? []];
  const profile = containers.seccomp_profile;
  if (profile && !options.privileged && !options.securityOpt?.some((word) => /^seccomp[=:]/.test(word))) {
    options.securityOpt = [...options.securityOpt ?? [], `seccomp=${profile}`];
  }
  const apparmor = containers.apparmor_profile;
  // podman's own default profile is one that podman writes and loads
  if (
    apparmor && apparmor !== "container-default" && apparmor !== "containers-default" &&
    !options.privileged &&
    !options.securityOpt?.some((word) => /^apparmor[=:]/.test(word))
  ) options.securityOpt = [...options.securityOpt ?? [], `apparmor=${apparmor}`];
  if (containers.default_capabilities) {
    chooseCapabilities(containers.default_capabilities as string[], options);
  }
  if (containers.restart_policy && !options.autoRemove && options.lifecycle?.restart === undefined) {
    options.lifecycle = { ...options.lifecycle, restart: containers.restart_policy as string };
  }
  if (engine.pull_policy) set("pull", pullPolicy(engine.pull_policy as string));
  set("stopTimeout", engine.stop_timeout);
  set("detachKeys", engine.detach_keys);
  return options;
}

function pullPolicy(text: string): PullPolicy {
  const word = text.toLowerCase();
  if (Object.hasOwn(PULL_POLICIES, word)) return PULL_POLICIES[word]!;
  throw new InvalidArgumentError(`containers.conf: unsupported pull policy ${JSON.stringify(text)}`);
}

function chooseNamespaces(containers: Conf["containers"], options: CreateOptions): void {
  const { netns, userns } = containers;
  if (netns && netns !== "private" && options.network === undefined) options.network = netns as string;
  const isMapped = options.uidMap || options.gidMap || options.subuidName || options.subgidName;
  if (!userns || userns === "private" || options.userns !== undefined || isMapped) return;
  const size = userns === "auto" && Number(containers.userns_size) > 0
    ? `:size=${containers.userns_size}`
    : "";
  options.userns = `${userns}${size}`;
}

async function chooseLog(
  containers: Conf["containers"],
  options: CreateOptions,
  warnings: string[],
): Promise<void> {
  const { log_driver: driver, log_size_max: size, log_tag: tag } = containers;
  if (driver && options.logDriver === undefined) {
    const obstacle = driver === "journald"
      ? (await import("./journal.ts")).findJournalObstacle()
      : DRIVERS.includes(driver as string)
      ? undefined
      : "it is not available";
    if (obstacle === undefined) options.logDriver = driver as string;
    else warnings.push(`containers.conf: log driver "${driver}": ${obstacle}; k8s-file is used`);
  }
  const has = (key: string) => options.logOpt?.some((word) => word.startsWith(`${key}=`));
  const added = [
    ...(Number(size) > 0 && !has("max-size") && options.logDriver !== "journald" ? [`max-size=${size}`] : []),
    // of the others none has a place for it
    ...(tag && !has("tag") && TAGGED.includes(options.logDriver ?? "") ? [`tag=${tag}`] : []),
  ];
  if (added.length > 0) options.logOpt = [...options.logOpt ?? [], ...added];
}

/** What differs from the usual set is added and dropped, unless the command says otherwise. */
function chooseCapabilities(names: readonly string[], options: CreateOptions): void {
  if (options.privileged) return;
  const chosen = new Set(names.flatMap(normalizeCapabilities));
  const [add, drop] = [options.capAdd ?? [], options.capDrop ?? []].map((list) =>
    list.flatMap(normalizeCapabilities)
  );
  if (!drop!.includes("ALL")) {
    options.capAdd = [
      ...add!,
      ...[...chosen].filter((name) => !DEFAULT_CAPABILITIES.includes(name) && !drop!.includes(name)),
    ];
  }
  if (!add!.includes("ALL") && !drop!.includes("ALL")) {
    options.capDrop = [
      ...drop!,
      ...DEFAULT_CAPABILITIES.filter((name) => !chosen.has(name) && !add!.includes(name)),
    ];
  }
}

/** As podman: of a namespace that is not the container's own none is set. */
function isPossible({ network, ipc }: CreateOptions): (word: string) => boolean {
  const isShared = (mode: string | undefined) => /^(host$|container:|ns:)/.test(mode ?? "");
  return (word) => word.startsWith("net.") ? !isShared(network) : !isShared(ipc);
}
