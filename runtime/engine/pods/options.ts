/** What can be asked of a new pod. @see podman-pod-create(1) */

import type { CreateOptions } from "../options.ts";

/** What a pod's containers can have together. */
export type SharedNamespace = "ipc" | "net" | "pid" | "uts";

/** What its infra container is made with, as `create` has it. */
export type InfraOptions = Pick<
  CreateOptions,
  | "network"
  | "networks"
  | "publish"
  | "addHosts"
  | "noHosts"
  | "hostsFile"
  | "dns"
  | "dnsSearch"
  | "dnsOptions"
  | "ip"
  | "ip6"
  | "macAddress"
  | "networkAliases"
  | "hostname"
  | "pid"
  | "uts"
  | "userns"
  | "shmSize"
  | "sysctls"
  | "conmonPidFile"
>;

/** What each of its containers gets besides its own. */
export type InheritedOptions = Pick<CreateOptions, "volumes" | "volumesFrom" | "devices" | "securityOpt">;

export interface PodCreateOptions extends InfraOptions, InheritedOptions {
  /** Drawn where there is none. */
  name?: string;
  /** Removes a pod of that name, with its containers, first. */
  replace?: boolean;
  labels?: Record<string, string>;
  /** False: nothing is shared. */
  infra?: boolean;
  /** By default the beginning of the pod's id, and `-infra`. */
  infraName?: string;
  /** Instead of a program of skiff's, which needs no image. */
  infraImage?: string;
  infraCommand?: string[];
  /** By default ipc, net and uts. */
  share?: SharedNamespace[];
  /** `stop`: the pod is stopped when its last container has ended. */
  exitPolicy?: "continue" | "stop";
  /** Of containers that have none of their own, as `LifecycleOptions.restart`. */
  restart?: string;
  /** A new file that is told the pod's id. */
  podIdFile?: string;
  createCommand?: string[];
}

/** What is kept of a pod. */
export interface PodDocument {
  options: PodCreateOptions;
  share: SharedNamespace[];
}
