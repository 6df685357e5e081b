/**
 * The part of the OCI runtime specification's config.json that skiff writes and performs.
 *
 * @see OCI runtime-spec config.md, config-linux.md
 */

export interface RuntimeSpec {
  ociVersion: string;
  process: ProcessSpec;
  root: { path: string; readonly: boolean };
  hostname?: string;
  domainname?: string;
  mounts: MountSpec[];
  linux: LinuxSpec;
  annotations?: Record<string, string>;
  hooks?: Partial<Record<HookKind, HookSpec[]>>;
}

export type HookKind =
  | "prestart"
  | "createRuntime"
  | "createContainer"
  | "startContainer"
  | "poststart"
  | "poststop";

/** A program that is run at a point of the container's life. @see OCI runtime-spec config.md, POSIX-platform hooks */
export interface HookSpec {
  path: string;
  /** With the program's name. */
  args?: string[];
  env?: string[];
  /** Seconds. */
  timeout?: number;
}

export interface ProcessSpec {
  terminal: boolean;
  consoleSize?: { height: number; width: number };
  user: { uid: number; gid: number; umask?: number; additionalGids?: number[] };
  args: string[];
  env: string[];
  cwd: string;
  capabilities?: CapabilitySets;
  rlimits?: RlimitSpec[];
  noNewPrivileges: boolean;
  oomScoreAdj?: number;
  apparmorProfile?: string;
}

/** Names as in capabilities(7): `CAP_CHOWN`, … */
export interface CapabilitySets {
  bounding: string[];
  effective: string[];
  inheritable: string[];
  permitted: string[];
  ambient: string[];
}

/** `type` as in getrlimit(2): `RLIMIT_NOFILE`, …; -1 stands for RLIM_INFINITY. */
export interface RlimitSpec {
  type: string;
  soft: number;
  hard: number;
}

/** @see OCI runtime-spec config.md, mounts */
export interface MountSpec {
  destination: string;
  /** `bind`, `tmpfs`, `proc`, `sysfs`, `devpts`, `mqueue`, `cgroup`. */
  type: string;
  source: string;
  /** fstab words: `ro`, `nosuid`, `rbind`, `rprivate`, `mode=755`, `size=65536k`, … */
  options: string[];
  /** Not of the specification: of a bind, a path that is resolved inside `source`, whose content is not trusted. */
  subpath?: string;
  /** Not of the specification: of a tmpfs, the one file that is mounted, made of this and never on a disk. */
  content?: FileContent;
}

export interface FileContent {
  base64: string;
  mode: number;
  uid: number;
  gid: number;
}

export interface LinuxSpec {
  namespaces: { type: NamespaceType; path?: string }[];
  uidMappings?: IdMapping[];
  gidMappings?: IdMapping[];
  sysctl?: Record<string, string>;
  seccomp?: SeccompSpec;
  maskedPaths: string[];
  readonlyPaths: string[];
  rootfsPropagation?: string;
  personality?: PersonalitySpec;
}

/** @see OCI runtime-spec config-linux.md, personality */
export interface PersonalitySpec {
  domain: "LINUX" | "LINUX32";
}

export type NamespaceType = "pid" | "network" | "mount" | "ipc" | "uts" | "user" | "cgroup";

/** One line of /proc/PID/uid_map. @see user_namespaces(7) */
export interface IdMapping {
  containerID: number;
  hostID: number;
  size: number;
}

/** @see OCI runtime-spec config-linux.md, seccomp */
export interface SeccompSpec {
  defaultAction: string;
  defaultErrnoRet?: number;
  architectures: string[];
  flags?: string[];
  syscalls: {
    names: string[];
    action: string;
    errnoRet?: number;
    args?: { index: number; value: number | bigint; valueTwo?: number | bigint; op: string }[];
  }[];
}
