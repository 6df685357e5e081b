/** Every spelling of every command, and the one file that each is loaded from. */

import {
  artifact,
  healthcheck,
  manifest,
  NESTED_GROUPS,
  network,
  pod,
  secret,
  volume,
} from "./noun_verbs.ts";
import { type Verb, verb, type VerbGroup } from "./verb.ts";

export type { Verb, VerbGroup } from "./verb.ts";

const build = verb("build", "Build an image from a Dockerfile", () => import("./commands/build.ts"));
const run = verb("run", "Run a command in a new container", () => import("./commands/run.ts"));
const create = verb("create", "Create but do not start a container", () => import("./commands/create.ts"));
const start = verb("start", "Start one or more containers", () => import("./commands/start.ts"));
const stop = verb("stop", "Stop one or more containers", () => import("./commands/stop.ts"));
const kill = verb(
  "kill",
  "Kill one or more running containers with a specific signal",
  () => import("./commands/kill.ts"),
);
const rm = verb("rm", "Remove one or more containers", () => import("./commands/rm.ts"));
const ps = verb("ps", "List containers", () => import("./commands/ps.ts"));
const logs = verb("logs", "Fetch the logs of one or more containers", () => import("./commands/logs.ts"));
const exec = verb("exec", "Run a process in a running container", () => import("./commands/exec.ts"));
const attach = verb("attach", "Attach to a running container", () => import("./commands/attach.ts"));
const wait = verb("wait", "Block on one or more containers", () => import("./commands/wait.ts"));
const inspect = verb(
  "inspect",
  "Display the configuration of a container or image",
  () => import("./commands/inspect.ts"),
);
const info = verb(
  "info",
  "Display information about the engine and this machine",
  () => import("./commands/info.ts"),
);
const doctor = verb(
  "doctor",
  "Check this machine, and name the remedies",
  () => import("./commands/doctor.ts"),
);
const version = verb("version", "Display the version of skiff", () => import("./commands/version.ts"));
const pull = verb("pull", "Pull an image from a registry", () => import("./commands/pull.ts"));
const push = verb("push", "Push an image to a specified destination", () => import("./commands/push.ts"));
const images = verb("images", "List images in local storage", () => import("./commands/images.ts"));
const tag = verb("tag", "Add an additional name to a local image", () => import("./commands/tag.ts"));
const rmi = verb("rmi", "Remove one or more images from local storage", () => import("./commands/rmi.ts"));
const search = verb("search", "Search registries for images", () => import("./commands/search.ts"));
const completion = verb(
  "completion",
  "Print a completion script for bash, zsh or fish",
  () => import("./commands/completion.ts"),
);
const man = verb("man", "Write the manual pages", () => import("./commands/man.ts"));
const load = verb("load", "Load images from an archive", () => import("./commands/load.ts"));
const events = verb(
  "events",
  "Show what happens to containers, images and volumes",
  () => import("./commands/events.ts"),
);
const cp = verb(
  "cp",
  "Copy files and folders between a container and the host",
  () => import("./commands/cp.ts"),
);
const exportVerb = verb(
  "export",
  "Export the files of a container as a tar archive",
  () => import("./commands/export.ts"),
);
const save = verb("save", "Save images to an archive", () => import("./commands/save.ts"));
const pause = verb(
  "pause",
  "Pause all the processes in one or more containers",
  () => import("./commands/pause.ts"),
);
const port = verb("port", "List the published ports of a container", () => import("./commands/port.ts"));
const rename = verb("rename", "Give a container another name", () => import("./commands/rename.ts"));
const update = verb(
  "update",
  "Change the published ports of a container",
  () => import("./commands/update.ts"),
);
const restart = verb("restart", "Restart one or more containers", () => import("./commands/restart.ts"));
const unpause = verb(
  "unpause",
  "Unpause the processes in one or more containers",
  () => import("./commands/unpause.ts"),
);
const commit = verb(
  "commit",
  "Make an image of what a container has changed",
  () => import("./commands/commit.ts"),
);
const diff = verb(
  "diff",
  "List what a container has changed of its image's files",
  () => import("./commands/diff.ts"),
);
const importVerb = verb("import", "Import a tarball as an image", () => import("./commands/import.ts"));
const history = verb("history", "Show the history of an image", () => import("./commands/history.ts"));
const untag = verb("untag", "Remove names from a local image", () => import("./commands/untag.ts"));
const imagePrune = verb("prune", "Remove unused images", () => import("./commands/image_prune.ts"));
const imageTree = verb("tree", "Show the layers of an image", () => import("./commands/image_tree.ts"));
const login = verb("login", "Log in to a registry", () => import("./commands/login.ts"));
const logout = verb("logout", "Log out of a registry", () => import("./commands/logout.ts"));
const top = verb("top", "Display the running processes of a container", () => import("./commands/top.ts"));
const startAll = verb(
  "start-all",
  "Start what its restart policy wants to run, after a boot",
  () => import("./commands/start_all.ts"),
);
const imageDiff = verb(
  "diff",
  "List what an image has changed of the one below it",
  () => import("./commands/image_diff.ts"),
);
const imageMount = verb("mount", "Mount the files of an image", () => import("./commands/image_mount.ts"));
const imageUnmount: Verb = {
  name: "unmount",
  aliases: ["umount"],
  summary: "Unmount the files of an image",
  load: () => import("./commands/image_unmount.ts"),
};
const help = verb("help", "Show the help of a command or topic", () => import("./commands/help.ts"));

const mount = verb("mount", "Mount the root filesystem of a container", () => import("./commands/mount.ts"));
const unmount: Verb = {
  name: "unmount",
  aliases: ["umount"],
  summary: "Unmount the root filesystem of a container",
  load: () => import("./commands/unmount.ts"),
};
const unshare = verb(
  "unshare",
  "Run a command in the user namespace of your containers",
  () => import("./commands/unshare.ts"),
);

const container: VerbGroup = {
  name: "container",
  summary: "Manage containers",
  verbs: [
    attach,
    verb(
      "clone",
      "Make another container with the same configuration",
      () => import("./commands/container_clone.ts"),
    ),
    cp,
    verb(
      "checkpoint",
      "Checkpoint containers (not possible without root)",
      () => import("./commands/checkpoint.ts"),
    ),
    commit,
    create,
    diff,
    exec,
    verb("exists", "Check if a container exists", () => import("./commands/container_exists.ts")),
    exportVerb,
    verb(
      "inspect",
      "Display the configuration of a container",
      () => import("./commands/container_inspect.ts"),
    ),
    kill,
    { ...ps, name: "list", aliases: ["ls"] },
    logs,
    mount,
    pause,
    port,
    verb("prune", "Remove all containers that do not run", () => import("./commands/container_prune.ts")),
    ps,
    rename,
    restart,
    verb(
      "restore",
      "Restore containers from a checkpoint (not possible without root)",
      () => import("./commands/restore.ts"),
    ),
    { ...rm, aliases: ["remove"] },
    run,
    start,
    stop,
    unmount,
    top,
    unpause,
    update,
    wait,
  ],
};

const image: VerbGroup = {
  name: "image",
  summary: "Manage images",
  verbs: [
    build,
    verb("exists", "Check if an image exists in local storage", () => import("./commands/image_exists.ts")),
    verb("inspect", "Display the configuration of an image", () => import("./commands/image_inspect.ts")),
    { ...images, name: "list", aliases: ["ls"] },
    load,
    pull,
    push,
    { ...rmi, name: "rm", aliases: ["remove"] },
    save,
    search,
    verb("sign", "Sign images that are at a registry", () => import("./commands/image_sign.ts")),
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
    verb("check", "Check what is stored, and mend it", () => import("./commands/system_check.ts")),
    { name: "df", summary: "Show disk usage", load: () => import("./commands/system_df.ts") },
    events,
    info,
    { name: "prune", summary: "Remove unused data", load: () => import("./commands/system_prune.ts") },
    { name: "reset", summary: "Remove all data", load: () => import("./commands/system_reset.ts") },
    startAll,
  ],
};

/** `builder prune`, and `build prune`. */
export const buildPrune = verb(
  "prune",
  "Remove what builds have kept",
  () => import("./commands/builder_prune.ts"),
);

const buildx: VerbGroup = {
  name: "buildx",
  summary: "Manage builds, as docker buildx",
  verbs: [
    build,
    verb("create", "Ask for a builder; there is one", () => import("./commands/builder_create.ts")),
    verb("du", "Show what builds have kept", () => import("./commands/builder_du.ts")),
    verb("inspect", "Describe the builder", () => import("./commands/builder_inspect.ts")),
    verb("ls", "List the builder", () => import("./commands/builder_ls.ts")),
    buildPrune,
    verb("use", "Choose the builder; there is one", () => import("./commands/builder_use.ts")),
    verb("version", "Display the version of skiff", () => import("./commands/builder_version.ts")),
  ],
};

const builder: VerbGroup = { name: "builder", summary: "Manage builds", verbs: [build, buildPrune] };

export const VERBS: readonly Verb[] = [
  attach,
  build,
  commit,
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
  push,
  rename,
  restart,
  rm,
  rmi,
  run,
  save,
  search,
  start,
  stop,
  tag,
  top,
  unpause,
  unmount,
  unshare,
  update,
  version,
  wait,
  importVerb,
  history,
  untag,
  login,
  logout,
];

export const GROUPS: readonly VerbGroup[] = [
  container,
  image,
  artifact,
  healthcheck,
  manifest,
  network,
  pod,
  secret,
  system,
  volume,
  builder,
  buildx,
];

export const ALL_GROUPS: readonly VerbGroup[] = [...GROUPS, ...NESTED_GROUPS];
