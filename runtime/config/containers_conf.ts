/**
 * containers.conf: what containers have where nothing else is asked for. Loaded only where there is such a file.
 *
 * @see containers.conf(5)
 */

import { InvalidArgumentError } from "../errors.ts";
import { parseToml } from "./plain_toml.ts";

/** Words of a table's keys. Those of no use here are podman's own affairs: `other`. */
type Kind = "string" | "bool" | "int" | "strings" | "pools" | "texts" | "other";
type Value = string | boolean | number | string[] | SubnetPool[] | Record<string, string>;

/** Where the subnets of new networks come from: `size` is the length of their prefix. */
export interface SubnetPool {
  base: string;
  size: number;
}

const words = (kind: Kind, text: string) => Object.fromEntries(text.split(" ").map((key) => [key, kind]));

const KEYS: Record<string, Record<string, Kind>> = {
  containers: {
    ...words(
      "strings",
      "annotations default_capabilities default_sysctls default_ulimits devices dns_options dns_searches " +
        "dns_servers env mounts volumes",
    ),
    ...words(
      "string",
      "apparmor_profile base_hosts_file cgroupns cgroups host_containers_internal_ip init_path ipcns log_driver " +
        "log_path log_tag netns pidns restart_policy seccomp_profile shm_size tz umask userns utsns",
    ),
    ...words(
      "bool",
      "env_host http_proxy init keyring label no_hosts no_hostname privileged read_only label_users",
    ),
    ...words("int", "log_size_max oom_score_adj pids_limit userns_size"),
    ...words(
      "other",
      "cgroup_conf container_name_as_hostname interface_name prepare_volume_on_create rootless_networking",
    ),
  },
  engine: {
    ...words("strings", "add_compression cdi_spec_dirs"),
    ...words("string", "compression_format detach_keys image_default_format pull_policy"),
    ...words("int", "compression_level stop_timeout"),
    ...words(
      "other",
      "active_service cgroup_manager compat_api_enforce_docker_hub compose_providers " +
        "compose_warning_logs conmon_env_vars conmon_path " +
        "container_exit_command_delay database_backend dns_bind_port enable_port_reservation env " +
        "events_container_create_inspect_data events_logfile_max_size events_logfile_path events_logger exit_command_delay " +
        "healthcheck_events helper_binaries_dir hooks_dir image_build_format image_copy_tmp_dir image_default_transport " +
        "image_parallel_copies image_volume_mode infra_command infra_image kube_generate_type lock_type " +
        "machine_enabled multi_image_archive namespace network_cmd_options network_cmd_path no_pivot_root num_locks " +
        "platform_to_oci_runtime pod_exit_policy remote remote_identity remote_uri retry retry_delay runtime " +
        "runtime_supports_json runtime_supports_kvm runtime_supports_nocgroups runtimes service_destinations " +
        "service_timeout set_conmon_shell_envs shim_binaries_dir ssh_config static_dir stopSignal tmp_dir " +
        "volume_path volume_plugin_timeout volume_plugins chown_copied_files",
    ),
  },
};
KEYS.network = {
  ...words("string", "default_subnet"),
  ...words("pools", "default_subnet_pools"),
  ...words(
    "other",
    "cni_plugin_dirs default_network default_rootless_network_cmd dns_bind_port firewall_driver netavark_plugin_dirs " +
      "network_backend network_config_dir pasta_options",
  ),
};
KEYS.secrets = { driver: "string", opts: "texts" };
/** Without keys that bear on anything here. */
const OTHER_TABLES = new Set(["configmaps", "machine", "farms", "podmansh"]);

export interface ContainersConf {
  containers: Record<string, Value>;
  engine: Record<string, Value>;
  network: Record<string, Value>;
  secrets: { driver?: string; opts?: Record<string, string> };
  /** `containers.foo` of a file that nobody knows. */
  unknown: string[];
}

/** Reads the files; of a key that several have, the last counts. @throws {InvalidArgumentError} */
export function readContainersConf(
  files: readonly string[],
  readFile: (path: string) => string = Deno.readTextFileSync,
): ContainersConf {
  const conf: ContainersConf = { containers: {}, engine: {}, network: {}, secrets: {}, unknown: [] };
  for (const path of files) {
    let tables: Record<string, unknown>;
    try {
      tables = parseToml(readFile(path));
    } catch (cause) {
      const reason = (cause as Error).message.split("\n")[0];
      throw new InvalidArgumentError(`decode configuration ${path}: ${reason}`, { cause });
    }
    for (const [table, keys] of Object.entries(tables)) merge(conf, path, table, keys);
  }
  return conf;
}

function merge(conf: ContainersConf, path: string, table: string, keys: unknown): void {
  const known = Object.hasOwn(KEYS, table) ? KEYS[table]! : undefined;
  if (known === undefined) {
    if (!OTHER_TABLES.has(table)) conf.unknown.push(table);
    return;
  }
  for (const [key, value] of Object.entries(keys as Record<string, unknown>)) {
    const kind = Object.hasOwn(known, key) ? known[key]! : undefined;
    if (kind === undefined) conf.unknown.push(`${table}.${key}`);
    else if (kind !== "other") {
      if (!isOf(kind, value)) {
        throw new InvalidArgumentError(
          `decode configuration ${path}: ${table}.${key} must be ${TYPE_NAMES[kind]}`,
        );
      }
      (conf[table as "containers" | "engine" | "network" | "secrets"] as Record<string, Value>)[key] = value;
    }
  }
}

const TYPE_NAMES: Record<Exclude<Kind, "other">, string> = {
  string: "a text",
  bool: "true or false",
  int: "a number",
  strings: "a list of texts",
  texts: "a table of texts",
  pools: 'a list of {"base" = "SUBNET", "size" = BITS}',
};

function isOf(kind: Kind, value: unknown): value is Value {
  switch (kind) {
    case "bool":
      return typeof value === "boolean";
    case "int":
      return typeof value === "number" && Number.isInteger(value);
    case "strings":
      return Array.isArray(value) && value.every((one) => typeof one === "string");
    case "texts":
      return typeof value === "object" && value !== null && !Array.isArray(value) &&
        Object.values(value).every((one) => typeof one === "string");
    case "pools":
      return Array.isArray(value) && value.every(isPool);
    default:
      return typeof value === "string";
  }
}

function isPool(value: unknown): value is SubnetPool {
  const { base, size } = (value ?? {}) as Partial<SubnetPool>;
  return typeof base === "string" && typeof size === "number" && Number.isInteger(size);
}
