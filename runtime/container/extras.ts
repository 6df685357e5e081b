/** What the rarer options add to a container's config. Resolved by engine/create_extras.ts, where one is used. */

import type { IdMapping, PersonalitySpec } from "../spec/runtime.ts";
import type { LogSubject } from "./log_options.ts";
import type { ContainerMount } from "./mount_options.ts";
import type { ContainerSecret } from "./secret_option.ts";

/** A namespace that is not the container's own. @see podman-run(1), --pid, --ipc, --uts, --cgroupns */
export type NamespaceChoice =
  | { mode: "host" }
  | { mode: "container"; id: string }
  | { mode: "path"; path: string }
  /** Of ipc: its own, which no other container may join. */
  | { mode: "private" }
  /** Of ipc: its own, without /dev/shm. */
  | { mode: "none" };

/** Whose ids a container has; `joined`: another container's. */
export type UsernsChoice = "host" | "keep-id" | "nomap" | "auto" | "maps" | "joined";

export type ChosenNamespace = "pid" | "ipc" | "uts" | "cgroup";

/** The nested user namespace of another container. */
export type JoinedUserns = Extract<NamespaceChoice, { mode: "container" | "path" }>;

export interface ConfigExtras {
  annotations?: Record<string, string>;
  hosts?: HostsChoice;
  resolver?: ResolverChoice;
  noHostname?: boolean;
  domainName?: string;
  /** Absolute; /etc/hosts and /etc/resolv.conf are below them as well. */
  chrootDirs?: string[];
  /** Devices of the host; a folder stands for all devices below it. */
  devices?: { source: string; destination: string; permissions: string }[];
  /** `VENDOR/CLASS=NAME`; what they are is looked up at each start. */
  cdiDevices?: string[];
  umask?: number;
  oomScoreAdj?: number;
  sysctl?: Record<string, string>;
  personality?: PersonalitySpec;
  secrets?: ContainerSecret[];
  namespaces?: Partial<Record<ChosenNamespace, NamespaceChoice>>;
  /** Of a nested user namespace, counted in the ids of the user's shared one. */
  idMaps?: { uid: IdMapping[]; gid: IdMapping[] };
  joinedUserns?: JoinedUserns;
  /** `--group-add keep-groups`. */
  keepGroups?: boolean;
  accounts?: AccountsChoice;
  /** The file of the host that is /etc/localtime. */
  timezoneFile?: string;
  /** Options of the mount of /proc. */
  procOptions?: string[];
  /** False: nothing is writable under `--read-only` but what is mounted. */
  readOnlyTmpfs?: boolean;
  /** Names and variables of each line of a json-file log, and of the journal. */
  logAttributes?: Record<string, string>;
}

export interface HostsChoice {
  /** No file is made: the image's own is seen. */
  none?: boolean;
  /** What the file begins with after the added names, instead of the machine's or nothing. */
  base?: string;
  /** The address of host.containers.internal, instead of the gateway's. */
  internal?: string;
  /** The address may be `host-gateway`. */
  added: { address: string; names: string[] }[];
}

/** Absent lists are the machine's. @see resolv.conf(5) */
export interface ResolverChoice {
  none?: boolean;
  servers?: string[];
  search?: string[];
  options?: string[];
}

export interface AccountsChoice {
  /** False: the image's passwd and group files stay as they are. */
  isListed: boolean;
  /** Of the host, known in the container as well: the user of keep-id, those of --hostuser. */
  hostUsers: HostUser[];
  /** Instead of the usual lines; $USERNAME, $UID, $GID, $NAME and $HOME are replaced. */
  passwdFormat?: string;
  groupFormat?: string;
}

export interface HostUser {
  name: string;
  uid: number;
  gid: number;
  gecos: string;
  /** Empty: no group is added. */
  groupName: string;
}

/** What the resolution of the rest has to know. */
export interface ResolvedExtras {
  config: ConfigExtras;
  /** Of the container whose uts namespace is joined, or the machine's. */
  hostname?: string;
  /** Instead of the image's and `--user`. */
  user?: string;
  groupAdd?: string[];
  userns?: UsernsChoice;
  env?: EnvExtras;
  securityOpt?: string[];
  /** Before the program: an init of the user's. */
  entrypointPrefix?: string[];
  mounts?: ContainerMount[];
  stopSignal?: string;
  logOpt?: string[];
  logTag?: string;
  logAttributes?: (subject: LogSubject) => Record<string, string>;
  /** Writes more files into the container's folder. */
  fill?: (containerDir: string) => void;
}

export interface EnvExtras {
  /** Beneath the image's. */
  host: string[];
  /** Removes and changes what the image and skiff set, in place. */
  edit?: (env: Map<string, string>) => void;
}
