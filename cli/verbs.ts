/** Every spelling of every command, and the one file that each is loaded from. */

import type { Command } from "./command.ts";

export interface Verb {
  /** The canonical name; `container ls` is the `list` of its group. */
  name: string;
  aliases?: readonly string[];
  /** One line of `skiff --help`. */
  summary: string;
  load(): Promise<{ command: Command }>;
}

const run: Verb = {
  name: "run",
  summary: "Run a command in a new container",
  load: () => import("./commands/run.ts"),
};
const create: Verb = {
  name: "create",
  summary: "Create but do not start a container",
  load: () => import("./commands/create.ts"),
};
const start: Verb = {
  name: "start",
  summary: "Start one or more containers",
  load: () => import("./commands/start.ts"),
};
const stop: Verb = {
  name: "stop",
  summary: "Stop one or more containers",
  load: () => import("./commands/stop.ts"),
};
const kill: Verb = {
  name: "kill",
  summary: "Kill one or more running containers with a specific signal",
  load: () => import("./commands/kill.ts"),
};
const rm: Verb = {
  name: "rm",
  summary: "Remove one or more containers",
  load: () => import("./commands/rm.ts"),
};
const ps: Verb = { name: "ps", summary: "List containers", load: () => import("./commands/ps.ts") };
const logs: Verb = {
  name: "logs",
  summary: "Fetch the logs of one or more containers",
  load: () => import("./commands/logs.ts"),
};
const exec: Verb = {
  name: "exec",
  summary: "Run a process in a running container",
  load: () => import("./commands/exec.ts"),
};
const attach: Verb = {
  name: "attach",
  summary: "Attach to a running container",
  load: () => import("./commands/attach.ts"),
};
const wait: Verb = {
  name: "wait",
  summary: "Block on one or more containers",
  load: () => import("./commands/wait.ts"),
};
const inspect: Verb = {
  name: "inspect",
  summary: "Display the configuration of a container or image",
  load: () => import("./commands/inspect.ts"),
};
const info: Verb = {
  name: "info",
  summary: "Display information about the engine and this machine",
  load: () => import("./commands/info.ts"),
};
const doctor: Verb = {
  name: "doctor",
  summary: "Check this machine, and name the remedies",
  load: () => import("./commands/doctor.ts"),
};
const version: Verb = {
  name: "version",
  summary: "Display the version of skiff",
  load: () => import("./commands/version.ts"),
};
const pull: Verb = {
  name: "pull",
  summary: "Pull an image from a registry",
  load: () => import("./commands/pull.ts"),
};
const images: Verb = {
  name: "images",
  summary: "List images in local storage",
  load: () => import("./commands/images.ts"),
};
const tag: Verb = {
  name: "tag",
  summary: "Add an additional name to a local image",
  load: () => import("./commands/tag.ts"),
};
const rmi: Verb = {
  name: "rmi",
  summary: "Remove one or more images from local storage",
  load: () => import("./commands/rmi.ts"),
};
const completion: Verb = {
  name: "completion",
  summary: "Print a completion script for bash, zsh or fish",
  load: () => import("./commands/completion.ts"),
};
const man: Verb = {
  name: "man",
  summary: "Write the manual pages",
  load: () => import("./commands/man.ts"),
};
const load: Verb = {
  name: "load",
  summary: "Load images from an archive",
  load: () => import("./commands/load.ts"),
};
const events: Verb = {
  name: "events",
  summary: "Show what happens to containers, images and volumes",
  load: () => import("./commands/events.ts"),
};
const cp: Verb = {
  name: "cp",
  summary: "Copy files and folders between a container and the host",
  load: () => import("./commands/cp.ts"),
};
const exportVerb: Verb = {
  name: "export",
  summary: "Export the files of a container as a tar archive",
  load: () => import("./commands/export.ts"),
};
const save: Verb = {
  name: "save",
  summary: "Save images to an archive",
  load: () => import("./commands/save.ts"),
};
const pause: Verb = {
  name: "pause",
  summary: "Pause all the processes in one or more containers",
  load: () => import("./commands/pause.ts"),
};
const port: Verb = {
  name: "port",
  summary: "List the published ports of a container",
  load: () => import("./commands/port.ts"),
};
const rename: Verb = {
  name: "rename",
  summary: "Give a container another name",
  load: () => import("./commands/rename.ts"),
};
const restart: Verb = {
  name: "restart",
  summary: "Restart one or more containers",
  load: () => import("./commands/restart.ts"),
};
const unpause: Verb = {
  name: "unpause",
  summary: "Unpause the processes in one or more containers",
  load: () => import("./commands/unpause.ts"),
};
const diff: Verb = {
  name: "diff",
  summary: "List what a container has changed of its image's files",
  load: () => import("./commands/diff.ts"),
};
const importVerb: Verb = {
  name: "import",
  summary: "Import a tarball as an image",
  load: () => import("./commands/import.ts"),
};
const history: Verb = {
  name: "history",
  summary: "Show the history of an image",
  load: () => import("./commands/history.ts"),
};
const untag: Verb = {
  name: "untag",
  summary: "Remove names from a local image",
  load: () => import("./commands/untag.ts"),
};
const imagePrune: Verb = {
  name: "prune",
  summary: "Remove unused images",
  load: () => import("./commands/image_prune.ts"),
};
const imageTree: Verb = {
  name: "tree",
  summary: "Show the layers of an image",
  load: () => import("./commands/image_tree.ts"),
};
const login: Verb = {
  name: "login",
  summary: "Log in to a registry",
  load: () => import("./commands/login.ts"),
};
const logout: Verb = {
  name: "logout",
  summary: "Log out of a registry",
  load: () => import("./commands/logout.ts"),
};
const top: Verb = {
  name: "top",
  summary: "Display the running processes of a container",
  load: () => import("./commands/top.ts"),
};
const startAll: Verb = {
  name: "start-all",
  summary: "Start what its restart policy wants to run, after a boot",
  load: () => import("./commands/start_all.ts"),
};
const imageDiff: Verb = {
  name: "diff",
  summary: "List what an image has changed of the one below it",
  load: () => import("./commands/image_diff.ts"),
};
const imageMount: Verb = {
  name: "mount",
  summary: "Mount the files of an image",
  load: () => import("./commands/image_mount.ts"),
};
const imageUnmount: Verb = {
  name: "unmount",
  aliases: ["umount"],
  summary: "Unmount the files of an image",
  load: () => import("./commands/image_unmount.ts"),
};
const help: Verb = {
  name: "help",
  summary: "Show the help of a command or topic",
  load: () => import("./commands/help.ts"),
};

const mount: Verb = {
  name: "mount",
  summary: "Mount the root filesystem of a container",
  load: () => import("./commands/mount.ts"),
};
const unmount: Verb = {
  name: "unmount",
  aliases: ["umount"],
  summary: "Unmount the root filesystem of a container",
  load: () => import("./commands/unmount.ts"),
};
const unshare: Verb = {
  name: "unshare",
  summary: "Run a command in the user namespace of your containers",
  load: () => import("./commands/unshare.ts"),
};

export interface VerbGroup {
  name: string;
  summary: string;
  verbs: readonly Verb[];
}

const container: VerbGroup = {
  name: "container",
  summary: "Manage containers",
  verbs: [
    attach,
    {
      name: "clone",
      summary: "Make another container with the same configuration",
      load: () => import("./commands/container_clone.ts"),
    },
    cp,
    {
      name: "checkpoint",
      summary: "Checkpoint containers (not possible without root)",
      load: () => import("./commands/checkpoint.ts"),
    },
    create,
    diff,
    exec,
    {
      name: "exists",
      summary: "Check if a container exists",
      load: () => import("./commands/container_exists.ts"),
    },
    exportVerb,
    {
      name: "inspect",
      summary: "Display the configuration of a container",
      load: () => import("./commands/container_inspect.ts"),
    },
    kill,
    { ...ps, name: "list", aliases: ["ls"] },
    logs,
    mount,
    pause,
    port,
    {
      name: "prune",
      summary: "Remove all containers that do not run",
      load: () => import("./commands/container_prune.ts"),
    },
    ps,
    rename,
    restart,
    {
      name: "restore",
      summary: "Restore containers from a checkpoint (not possible without root)",
      load: () => import("./commands/restore.ts"),
    },
    { ...rm, aliases: ["remove"] },
    run,
    start,
    stop,
    unmount,
    top,
    unpause,
    wait,
  ],
};

const image: VerbGroup = {
  name: "image",
  summary: "Manage images",
  verbs: [
    {
      name: "exists",
      summary: "Check if an image exists in local storage",
      load: () => import("./commands/image_exists.ts"),
    },
    {
      name: "inspect",
      summary: "Display the configuration of an image",
      load: () => import("./commands/image_inspect.ts"),
    },
    { ...images, name: "list", aliases: ["ls"] },
    load,
    pull,
    { ...rmi, name: "rm", aliases: ["remove"] },
    save,
    tag,
    importVerb,
    history,
    untag,
    imagePrune,
    imageTree,
    imageDiff,
    imageMount,
    imageUnmount,
  ],
};

const system: VerbGroup = {
  name: "system",
  summary: "Manage skiff",
  verbs: [
    {
      name: "check",
      summary: "Check what is stored, and mend it",
      load: () => import("./commands/system_check.ts"),
    },
    { name: "df", summary: "Show disk usage", load: () => import("./commands/system_df.ts") },
    events,
    info,
    { name: "prune", summary: "Remove unused data", load: () => import("./commands/system_prune.ts") },
    { name: "reset", summary: "Remove all data", load: () => import("./commands/system_reset.ts") },
    startAll,
  ],
};

const volume: VerbGroup = {
  name: "volume",
  summary: "Manage volumes",
  verbs: [
    {
      name: "create",
      summary: "Create a volume",
      load: () => import("./commands/volume_create.ts"),
    },
    {
      name: "exists",
      summary: "Check if a volume exists",
      load: () => import("./commands/volume_exists.ts"),
    },
    {
      name: "inspect",
      summary: "Display the details of volumes",
      load: () => import("./commands/volume_inspect.ts"),
    },
    {
      name: "list",
      aliases: ["ls"],
      summary: "List volumes and who uses them",
      load: () => import("./commands/volume_ls.ts"),
    },
    {
      name: "prune",
      summary: "Remove all volumes that no container uses",
      load: () => import("./commands/volume_prune.ts"),
    },
    {
      name: "rename",
      summary: "Give a volume another name",
      load: () => import("./commands/volume_rename.ts"),
    },
    {
      name: "rm",
      aliases: ["remove"],
      summary: "Remove one or more volumes",
      load: () => import("./commands/volume_rm.ts"),
    },
  ],
};

const healthcheck: VerbGroup = {
  name: "healthcheck",
  summary: "Check the health of containers",
  verbs: [{
    name: "run",
    summary: "Run the health check of a container",
    load: () => import("./commands/healthcheck_run.ts"),
  }],
};

export const VERBS: readonly Verb[] = [
  attach,
  completion,
  cp,
  create,
  diff,
  doctor,
  events,
  exec,
  exportVerb,
  help,
  images,
  info,
  inspect,
  kill,
  load,
  logs,
  mount,
  man,
  pause,
  port,
  ps,
  pull,
  rename,
  restart,
  rm,
  rmi,
  run,
  save,
  start,
  stop,
  tag,
  top,
  unpause,
  unmount,
  unshare,
  version,
  wait,
  importVerb,
  history,
  untag,
  login,
  logout,
];

export const GROUPS: readonly VerbGroup[] = [container, image, healthcheck, system, volume];

export interface FoundVerb {
  kind: "verb";
  verb: Verb;
  /** `skiff container list`. */
  path: string;
  /** What follows the name. */
  rest: string[];
}

export type Lookup =
  | FoundVerb
  | { kind: "group"; group: VerbGroup }
  | { kind: "unknown"; path: string; group?: VerbGroup; typed: string };

/** Finds the command that `words` begin with. */
export function findVerb(words: readonly string[]): Lookup {
  const [first = "", second] = words;
  const verb = named(VERBS, first);
  if (verb) return { kind: "verb", verb, path: `skiff ${verb.name}`, rest: words.slice(1) };
  const group = GROUPS.find((candidate) => candidate.name === first);
  if (!group) return { kind: "unknown", path: `skiff ${first}`, typed: first };
  if (second === undefined || second.startsWith("-")) return { kind: "group", group };
  const member = named(group.verbs, second);
  if (!member) return { kind: "unknown", path: `skiff ${first} ${second}`, group, typed: second };
  return { kind: "verb", verb: member, path: `skiff ${first} ${member.name}`, rest: words.slice(2) };
}

function named(verbs: readonly Verb[], name: string): Verb | undefined {
  return verbs.find((verb) => verb.name === name || verb.aliases?.includes(name));
}
