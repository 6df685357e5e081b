/** What can be asked of a new container or exec session: plain, typed, already validated for shape. */

export type PullPolicy = "always" | "missing" | "never" | "newer";

export interface CreateOptions {
  /** Image reference, `host`, or with `rootfs` the folder. */
  image: string;
  /** The words after IMAGE. */
  command: string[];
  rootfs?: boolean;
  name?: string;
  /** A pod's name or id, or `new:NAME`. */
  pod?: string;
  /** `always` or `once`: run to its end when the pod starts, before its others. */
  initContainer?: string;
  replace?: boolean;
  pull?: PullPolicy;
  platform?: string;
  tlsVerify?: boolean;
  quiet?: boolean;
  /** `KEY=value`; a bare `KEY` was already replaced by the caller's value. */
  env?: string[];
  /** `--env-file`: paths, read by the engine; the last wins, and `env` wins over all. */
  envFiles?: string[];
  /** `[SOURCE:]TARGET[:OPTIONS]`, as given. */
  volumes?: string[];
  /** `TARGET[:OPTIONS]`. */
  tmpfs?: string[];
  /** `type=bind,source=…,target=…`, as given to `--mount`. */
  mounts?: string[];
  /** `CONTAINER[:OPTIONS]`. */
  volumesFrom?: string[];
  /** Who keeps the volumes that are made for it: a plugin's name. */
  volumeDriver?: string;
  /** What VOLUMEs of the image become: `anonymous` (or `bind`), `tmpfs`, `ignore`. */
  imageVolume?: string;
  workdir?: string;
  user?: string;
  /** `--group-add`: names or ids. */
  groupAdd?: string[];
  /** undefined: the image's; []: none. */
  entrypoint?: string[];
  hostname?: string;
  /** NIS domain name. */
  domainName?: string;
  init?: boolean;
  readOnly?: boolean;
  cidfile?: string;
  /** `--pidfile`, `--conmon-pidfile`. */
  pidFile?: string;
  conmonPidFile?: string;
  labels?: Record<string, string>;
  stopSignal?: string;
  /** Seconds; -1 waits for ever. */
  stopTimeout?: number;
  detachKeys?: string;
  privileged?: boolean;
  capAdd?: string[];
  capDrop?: string[];
  securityOpt?: string[];
  /** `image`: the seccomp profile is the image's. */
  seccompPolicy?: string;
  /** `nofile=1024:2048`. */
  ulimits?: string[];
  /** `64m`. */
  shmSize?: string;
  /** `[ADDRESS:][HOST:]CONTAINER[/PROTOCOL]`, single ports or ranges. */
  publish?: string[];
  /** Publish what is exposed at free host ports. */
  publishAll?: boolean;
  /** `PORT[-PORT][/PROTOCOL]`. */
  expose?: string[];
  /** `none`, `host`, `container:ID`. */
  network?: string;
  /** Several networks, each as `network` has it: `web`, `back:ip=10.5.0.9,alias=db`. */
  networks?: string[];
  /** Of the only network. */
  ip?: string;
  ip6?: string;
  macAddress?: string;
  /** Of all its networks. */
  networkAliases?: string[];
  /** `host`, `keep-id[:uid=U,gid=G]`, `nomap`, `auto[:size=N]`. */
  userns?: string;
  /** `CONTAINER:OWN:COUNT`, OWN counted in the user's own ids: 0 is the user, 1… the subordinate ones. */
  uidMap?: string[];
  gidMap?: string[];
  subuidName?: string;
  subgidName?: string;
  /** `private`, `host`, `container:ID`, `ns:PATH`; ipc also `shareable` and `none`. */
  pid?: string;
  ipc?: string;
  uts?: string;
  cgroupns?: string;
  /** `KEY=VALUE`. */
  annotations?: string[];
  /** `NAME:ADDRESS`. */
  addHosts?: string[];
  noHosts?: boolean;
  /** A file that /etc/hosts begins with, `image` or `none`. */
  hostsFile?: string;
  noHostname?: boolean;
  /** Folders of the container that are roots of programs there, and get hosts and resolv.conf, too. */
  chrootDirs?: string[];
  dns?: string[];
  dnsSearch?: string[];
  dnsOptions?: string[];
  /** `PATH[:TARGET][:rwm]`. */
  devices?: string[];
  /** `SOURCE[,type=mount|env,target=,uid=,gid=,mode=]`. */
  secrets?: string[];
  /** Octal. */
  umask?: string;
  /** Execution domain: `LINUX` or `LINUX32`. */
  personality?: string;
  /** From -1000 to 1000. */
  oomScoreAdj?: number;
  /** `KEY=VALUE`. */
  sysctls?: string[];
  /** False leaves the image's passwd and group as they are. */
  passwd?: boolean;
  passwdEntry?: string;
  groupEntry?: string;
  /** Users of this machine that the container knows too. */
  hostUsers?: string[];
  unsetEnv?: string[];
  unsetEnvAll?: boolean;
  /** `KEY=VALUE`, where ${NAME} is the image's value. */
  envMerge?: string[];
  /** The caller's whole environment, beneath the image's. */
  envHost?: boolean;
  /** The caller's proxy variables are passed on unless this is false. */
  httpProxy?: boolean;
  /** A zone such as `Europe/Berlin`, or `local`. */
  timezone?: string;
  /** `true` (where the program is an init), `false`, `always`. */
  systemd?: string;
  /** Of the temporary file systems that systemd gets, each; `0` is no limit. */
  shmSizeSystemd?: string;
  /** False: `readOnly` leaves nothing writable. */
  readOnlyTmpfs?: boolean;
  /** With `init`: this program of the host is the init. */
  initPath?: string;
  /** auth.json for the pull. */
  authFile?: string;
  /** Of a pull: further attempts after one that failed, and the pause between them: `2s`. */
  retries?: number;
  retryDelay?: string;
  /** Of a pull: layers with a table of contents are fetched when they are read. */
  lazy?: boolean;
  /** Of a pull: for encrypted layers, `FILE[:PASSPHRASE]`. */
  decryptionKeys?: string[];
  lifecycle?: LifecycleOptions;
  storageDriver?: StorageDriverName;
  tty?: boolean;
  /** `-i`. */
  interactive?: boolean;
  autoRemove?: boolean;
  logDriver?: string;
  /** `max-size=10m`, `path=…`. */
  logOpt?: string[];
  /** Initial window size of a terminal. */
  size?: { rows: number; cols: number };
  /** Variables beneath the image's, volumes and mounts that yield to others at their place: of containers.conf. */
  defaultEnv?: string[];
  defaultVolumes?: string[];
  defaultMounts?: string[];
  /** The address of host.containers.internal. */
  internalHost?: string;
  /** The caller's command line, for `inspect`. */
  createCommand?: string[];
}

/** What looks after the container once it runs; texts as on the command line. */
export interface LifecycleOptions {
  /** `no`, `always`, `unless-stopped`, `on-failure[:N]`. */
  restart?: string;
  /** For the shell, or a JSON list. */
  healthCmd?: string;
  /** `30s`; `disable`. */
  healthInterval?: string;
  healthTimeout?: string;
  healthStartPeriod?: string;
  healthStartInterval?: string;
  healthRetries?: number;
  /** `none`, `kill`, `restart`, `stop`. */
  healthOnFailure?: string;
  noHealthcheck?: boolean;
  /** Checked until it has succeeded; only then healthCmd is. As healthCmd. */
  healthStartupCmd?: string;
  healthStartupInterval?: string;
  healthStartupTimeout?: string;
  /** Failures after which the container is restarted; 0 never. */
  healthStartupRetries?: number;
  /** Successes in a row that are needed; 0 is one. */
  healthStartupSuccess?: number;
  /** `local` (the default), `events_logger`, or a folder that gets a file of it as well. */
  healthLogDestination?: string;
  /** Results that are kept, 0 for all; by default 5. */
  healthMaxLogCount?: number;
  /** Characters that are kept of each, 0 for all; by default 500. */
  healthMaxLogSize?: number;
  /** `container`, `conmon` (when its program runs) or `ignore`: when NOTIFY_SOCKET is told. */
  sdnotify?: string;
  /** Killed after so long; 0 never. */
  timeoutSeconds?: number;
  /** Containers that are started before it, and cannot be removed before it. */
  requires?: string[];
}

export type StorageDriverName = "overlay" | "fuse-overlayfs" | "vfs";

export interface ExecOptions {
  command: string[];
  tty?: boolean;
  interactive?: boolean;
  detach?: boolean;
  env?: string[];
  /** `--env-file`: paths, read by the engine; `env` wins over them. */
  envFiles?: string[];
  workdir?: string;
  user?: string;
  privileged?: boolean;
  detachKeys?: string;
  size?: { rows: number; cols: number };
}
