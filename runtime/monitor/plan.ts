/**
 * What the command line hands to the monitor and to init: plain data, decided before the fork.
 *
 * ```
 *  command line ── MonitorPlan ──▶ monitor ── InitPlan ──▶ init ── execve ──▶ the user's program
 * ```
 *
 * An InitPlan is an OCI runtime-spec config plus a small annex of what that document has no words for.
 */

import type { NetworkPlan, PublishedPort, TunPlan } from "../network/plan.ts";
import type { JournalField } from "../spec/journal.ts";
import type { IdMapping, RuntimeSpec } from "../spec/runtime.ts";

/** Version of the plan, the record files and the socket protocol; a newer CLI drives older monitors. */
export const PROTOCOL_VERSION = 1;

export interface MonitorPlan {
  protocol: number;
  /** 64 hex digits. */
  id: string;
  name: string;
  /** `containers/<id>`: state.json, exit.json, the log, upper and work folders, exec sessions. */
  containerDir: string;
  /** The runtime folder: sockets, namespace members. */
  runtimeDir: string;
  /** Shorter than 108 bytes; bound by the parent before the fork, so that a client can connect at once. */
  socketPath: string;
  rootfs: RootfsPlan;
  /** Further file systems, which the container's mounts then bind: other images, overlays over folders. */
  mountRoots?: RootfsPlan[];
  /** Mounts that show other owners than files have on disk; made after those. */
  idMapped?: IdMappedMount[];
  init: InitPlan;
  stdio: StdioPlan;
  log: LogPlan;
  stop: { signal: number; timeoutSeconds: number };
  /** Remove the container's folder, socket and anonymous volumes after the exit (`--rm`). */
  autoRemove: boolean;
  /** Folders removed with it: anonymous volumes. */
  removeWith: string[];
  /** What is to be removed is moved here first, with a number after it; garbage by its name (see engine/garbage.ts). */
  trash: string;
  /** Written with the monitor's (podman's conmon) and init's pid, where asked for. */
  pidFile?: string;
  conmonPidFile?: string;
  events: EventPlan;
  supervision?: SupervisionPlan;
  /** Started when the container has ended for good. */
  atEnd?: EndProgram;
  /** Descriptors of the command that are the program's in its first run, under the same numbers (`--preserve-fds`). */
  passedFds?: number[];
  /** Of a container with a network that a process outside has to serve. */
  network?: NetworkPlan;
  /** The container ends with this process, which forks the monitor: a step ends with its build. */
  parentPid?: number;
  /** Published ports, each with a bound (and listening) socket among the monitor's descriptors, in this order. */
  ports?: PublishedPort[];
}

/** A program of this machine, in the user's namespace; nobody waits for it. */
export interface EndProgram {
  path: string;
  argv: string[];
  env: string[];
}

/** What a monitor does beyond waiting for the end. */
export interface SupervisionPlan {
  restart?: { policy: "always" | "unless-stopped" | "on-failure"; retries: number };
  health?: HealthPlan;
  /** Killed after so long. */
  timeoutSeconds?: number;
  notify?: NotifyPlan;
}

export interface NotifyPlan {
  /** NOTIFY_SOCKET of who has started the container. */
  socket: string;
  /** Bound into the container with a socket in it; absent: readiness is that the program runs. */
  folder?: string;
}

export interface HealthPlan {
  /** What is run in the container, but for init's pid and start time, which the monitor knows. */
  exec: ExecPlan;
  /** 0: only when it is asked for. */
  intervalMs: number;
  timeoutMs: number;
  startPeriodMs: number;
  startIntervalMs: number;
  retries: number;
  onFailure: "none" | "kill" | "restart" | "stop";
  /** What must succeed `successes` times in a row before the checks begin; `retries` failures restart it, 0 never. */
  startup?: { exec: ExecPlan; intervalMs: number; timeoutMs: number; retries: number; successes: number };
  /** Where else results go than to `health.json`, and how much is kept of them; 0 is all. */
  log?: { destination: string; maxCount: number; maxSize: number };
}

/** Where to write what happens, and what is told of the container each time. */
export interface EventPlan {
  path: string;
  /** `type`, `id`, `name`, `image` and the labels of every event. */
  subject: EventSubject;
}

export interface EventSubject {
  type: "container";
  id: string;
  name: string;
  image: string;
  attributes: Record<string, string>;
}

export interface StdioPlan {
  tty: boolean;
  /** `-i`: stdin stays open, and is a pipe (or the terminal) instead of /dev/null. */
  openStdin: boolean;
  /** Close the container's stdin after the first attached client has gone. */
  stdinOnce: boolean;
  /** The init barrier opens only when a first client has attached (a foreground `run`). */
  startOnAttach: boolean;
  /** Initial window size of the terminal. */
  size?: { rows: number; cols: number };
}

export interface LogPlan {
  driver: "k8s-file" | "json-file" | "journald" | "none" | "passthrough";
  /** Of a file. */
  path: string;
  /** Bytes; 0 is no limit. When reached, the file is rotated (truncated after one `.1` is kept). */
  maxSize: number;
  /** Beside each line of a json-file. */
  attributes?: Record<string, string>;
  /** Of journald. */
  journal?: JournalPlan;
}

export interface JournalPlan {
  /** Of every line's entry. */
  fields: JournalField[];
  /** Of the entry after the last line of a run, and of those that tell of lines that are missing. */
  end: JournalField[];
  lost: JournalField[];
  /** Where it is recorded how many are missing. */
  containerDir: string;
}

/** A mount that another process serves: layers that are fetched as they are read. */
export interface LazyLower {
  /** The mount point: below it a folder for each layer. */
  target: string;
  /** Where the server listens. */
  socket: string;
}

/** How the root filesystem comes to be; performed by `rootfs` in the monitor's mount namespace. */
export type RootfsPlan =
  /** Kernel overlay. `lower` runs from the topmost layer to the lowest. */
  | {
    kind: "overlay";
    lower: string[];
    upper: string;
    work: string;
    target: string;
    userxattr: boolean;
    volatile: boolean;
    /** Mounted first: layers that are fetched as they are read. */
    lazy?: LazyLower;
    /** As real root: the layers are shown with the ids of a user namespace; in the upper folder are these. */
    idMapped?: IdMappedLayers;
  }
  /** fuse-overlayfs(1), started as a child of the monitor. */
  | {
    kind: "fuse-overlayfs";
    program: string;
    lower: string[];
    upper: string;
    work: string;
    target: string;
    uidMappings?: IdMapping[];
    gidMappings?: IdMapping[];
  }
  /** A folder used as it is: vfs (a copy made at create) and `--rootfs`. */
  | { kind: "directory"; source: string; target: string }
  /** A volume's own file system; `folder` is `volumes/NAME`, options are words of mount(8). */
  | { kind: "volume"; folder: string; target: string; type: string; device: string; options: string[] }
  /** The built-in image `host`: this machine's own folders, one overlay or read-only bind each. */
  | {
    kind: "host";
    upper: string;
    work: string;
    target: string;
    folders: HostFolder[];
    /** Root of a nested user namespace that the user's shared one's root is not mapped in. */
    owner?: { uid: number; gid: number };
  };

export interface IdMappedLayers {
  /** Lines of uid_map(5). */
  uidMap: string;
  gidMap: string;
  /** A folder of the container's where the kernel may mount them meanwhile. */
  place: string;
  /** The first of `lower` that is meant: what is before it has these ids already. */
  from: number;
}

/** A folder (or file) that is shown at `target` with other owners (`-v …:idmap`). */
export interface IdMappedMount {
  source: string;
  target: string;
  /** With what is mounted below it. */
  isRecursive: boolean;
  /** In the ids of the monitor's namespace; absent: the host's user is shown as the container's. */
  uids?: OwnerRange[];
  gids?: OwnerRange[];
  /** The container's own map. */
  nested?: { uid: IdMapping[]; gid: IdMapping[] };
}

/** `size` ids from `disk` on are shown as those from `shown` on. */
export interface OwnerRange {
  disk: number;
  shown: number;
  size: number;
}

export interface HostFolder {
  /** Absolute on the host and in the container: `/usr`. */
  path: string;
  /** A symlink (`/bin -> usr/bin`) is made again, a folder is shown read-only or as an overlay. */
  symlink?: string;
  /** Fresh, empty, writable: /home, /root, /tmp, /run, /var/tmp. */
  fresh?: boolean;
  mode?: number;
  /** Paths below it that are hidden from the container. */
  hidden?: string[];
}

/** What init performs after the fork, in new namespaces. */
export interface InitPlan {
  spec: RuntimeSpec;
  annex: InitAnnex;
}

export interface InitAnnex {
  /** `--user` or the image's USER, resolved inside the root against its passwd and group files. */
  user: string;
  /** `--group-add`, names or ids. */
  groupAdd: string[];
  /** Supplementary groups stay the caller's (`--group-add keep-groups`). */
  keepGroups?: boolean;
  /** Lines that passwd and group of the root may lack. */
  accounts?: AccountsPlan;
  /** The pid of the init whose /dev/shm is shared with its ipc namespace. */
  sharedMemoryOf?: number;
  /** Made in the root where missing, owned by the user (WORKDIR). */
  createWorkdir: boolean;
  /** HOME is set from passwd where env has none. */
  setHome: boolean;
  /** Named volumes that get the image's content, or its folder's owner alone, on first use: source folder, path in the root. */
  copyUp: { source: string; destination: string; ownerOnly?: boolean }[];
  /** Given to the user with all that is in them (`-v …:U`). */
  giveToUser?: { source: string; subpath?: string }[];
  /** The same of what is mounted, by its path in the container. */
  giveInside?: string[];
  /** `--init`: a small init of ours is pid 1, reaps and forwards signals. */
  initProcess: boolean;
  /** Join these instead of making new ones: namespace type to a path such as /proc/PID/ns/net. */
  join: { type: "pid" | "network" | "ipc" | "uts"; path: string }[];
  /** A nested user namespace (`--userns`, `--uidmap`), ids counted in the user's shared one, as root in the host's. */
  nestedUserns?: { uid: IdMapping[]; gid: IdMapping[] };
  /** It is not made, but joined: that of this file. */
  joinUserns?: string;
  /** Answer chown and set*id with success: a single-id map. */
  fakeOwnership: boolean;
  /** Compiled seccomp program (struct sock_filter[], little endian), base64; absent is unconfined. */
  seccompProgram?: string;
  /** SECCOMP_FILTER_FLAG_… to load it with. */
  seccompFlags?: number;
  /** `--privileged`: host devices are bound, nothing masked. */
  privileged: boolean;
  /** Device nodes of the host bound into /dev (`--device`, `--privileged`). */
  devices: { source: string; destination: string }[];
  /** Loopback is brought up in a network namespace of its own. */
  loopbackUp: boolean;
  /** Made there; its descriptor is the monitor's. */
  tun?: TunPlan;
  /** The monitor gets a descriptor of the network namespace. */
  sendNetns?: boolean;
  /** The monitor gets the network namespace and a netlink socket of it. */
  handsOverNetwork?: boolean;
  /** What hooks of `spec` are told of the container; absent where it has none. */
  bundle?: { id: string; folder: string };
  /** The monitor has to fork more than init, and so must not bind its children to init's pid namespace. */
  monitorForksAgain?: boolean;
}

export interface AccountsPlan {
  hostUsers: { name: string; uid: number; gid: number; gecos: string; groupName: string }[];
  passwdFormat?: string;
  groupFormat?: string;
}

/** An exec session, performed by a monitor of its own. */
export interface ExecPlan {
  protocol: number;
  /** 64 hex digits. */
  sessionId: string;
  containerId: string;
  /** `containers/<id>/exec/<session id>`. */
  sessionDir: string;
  runtimeDir: string;
  socketPath: string;
  /** pid of the container's init and its start time (field 22 of /proc/PID/stat), to be sure it is the one. */
  initPid: number;
  initStartTime: string;
  process: RuntimeSpec["process"];
  personality?: RuntimeSpec["linux"]["personality"];
  annex: Pick<
    InitAnnex,
    "user" | "groupAdd" | "keepGroups" | "setHome" | "seccompProgram" | "seccompFlags" | "fakeOwnership"
  >;
  stdio: StdioPlan;
  /** Whether the container has a user namespace nested in the user's shared one. */
  nestedUserns: boolean;
  events: EventPlan;
  /** As in MonitorPlan. */
  passedFds?: number[];
}

/** `state.json` in the container's folder, written by rename by the monitor. */
export interface StateRecord {
  version: number;
  status: "created" | "running" | "stopping" | "restarting";
  monitorPid: number;
  initPid: number;
  /** Field 22 of /proc/PID/stat: guards against a reused pid. */
  initStartTime: string;
  /** ISO 8601, nanoseconds as far as known. */
  startedAt: string;
  bootId: string;
  /** How often the restart policy has started it again. */
  restartCount?: number;
  /** Of a container without a pid namespace of its own: what its processes are known by. */
  mountNamespace?: string;
}

/** `exit.json` in the container's folder, written by rename by the monitor. */
export interface ExitRecord {
  version: number;
  exitCode: number;
  /** Set where the program never ran: what failed, for `inspect` .State.Error. */
  error: string;
  startedAt: string;
  finishedAt: string;
  oomKilled: boolean;
  restartCount?: number;
  /** Somebody has asked for the end: `unless-stopped` does not start it after a reboot. */
  stoppedByHand?: boolean;
}

/** A failure of a forked child, as it crosses the pipe. */
export interface SetupFailure {
  /** What was being done: `mount proc`, `set hostname`, `execute`. */
  stage: string;
  /** Of the failing call, with 0 where none failed. */
  errno: number;
  syscall: string;
  path: string;
  message: string;
  /** Of what somebody gave up by a signal, as a shell counts it. */
  exitCode?: number;
}
