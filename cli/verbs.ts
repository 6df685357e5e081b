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

function verb(name: string, summary: string, load: Verb["load"]): Verb {
  return { name, summary, load };
}

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

const volume: VerbGroup = {
  name: "volume",
  summary: "Manage volumes",
  verbs: [
    verb("clone", "Make a volume with the content of another", () => import("./commands/volume_clone.ts")),
    verb("create", "Create a volume", () => import("./commands/volume_create.ts")),
    verb("exists", "Check if a volume exists", () => import("./commands/volume_exists.ts")),
    verb(
      "export",
      "Export the content of a volume as a tar archive",
      () => import("./commands/volume_export.ts"),
    ),
    verb("import", "Import a tar archive into a volume", () => import("./commands/volume_import.ts")),
    verb("inspect", "Display the details of volumes", () => import("./commands/volume_inspect.ts")),
    {
      name: "list",
      aliases: ["ls"],
      summary: "List volumes and who uses them",
      load: () => import("./commands/volume_ls.ts"),
    },
    verb("mount", "Show the folders of volumes", () => import("./commands/volume_mount.ts")),
    verb("prune", "Remove all volumes that no container uses", () => import("./commands/volume_prune.ts")),
    verb("reload", "Take in the volumes of plugins", () => import("./commands/volume_reload.ts")),
    verb("rename", "Give a volume another name", () => import("./commands/volume_rename.ts")),
    verb("restore", "Go back to a snapshot of a volume", () => import("./commands/volume_restore.ts")),
    {
      name: "rm",
      aliases: ["remove"],
      summary: "Remove one or more volumes",
      load: () => import("./commands/volume_rm.ts"),
    },
    verb("snapshot", "Keep what a volume holds now", () => import("./commands/volume_snapshot.ts")),
    {
      name: "unmount",
      aliases: ["umount"],
      summary: "Let go of the volumes of plugins",
      load: () => import("./commands/volume_unmount.ts"),
    },
  ],
};

const network: VerbGroup = {
  name: "network",
  summary: "Manage networks",
  verbs: [
    verb("connect", "Put a container on a network", () => import("./commands/network_connect.ts")),
    verb("create", "Create a network", () => import("./commands/network_create.ts")),
    verb("disconnect", "Take a container from a network", () => import("./commands/network_disconnect.ts")),
    verb("exists", "Check if a network exists", () => import("./commands/network_exists.ts")),
    verb("inspect", "Display the details of networks", () => import("./commands/network_inspect.ts")),
    { ...verb("list", "List networks", () => import("./commands/network_ls.ts")), aliases: ["ls"] },
    verb("prune", "Remove all networks that no container is on", () => import("./commands/network_prune.ts")),
    verb("reload", "Make the networks of containers again", () => import("./commands/network_reload.ts")),
    {
      ...verb("rm", "Remove one or more networks", () => import("./commands/network_rm.ts")),
      aliases: ["remove"],
    },
    verb("update", "Change a network's name servers", () => import("./commands/network_update.ts")),
  ],
};

const artifact: VerbGroup = {
  name: "artifact",
  summary: "Manage artifacts: files that are kept at registries",
  verbs: [
    verb("add", "Make an artifact of files", () => import("./commands/artifact_add.ts")),
    verb("extract", "Write the files of an artifact", () => import("./commands/artifact_extract.ts")),
    verb("inspect", "Display the manifest of an artifact", () => import("./commands/artifact_inspect.ts")),
    {
      ...verb("ls", "List artifacts in local storage", () => import("./commands/artifact_ls.ts")),
      aliases: ["list"],
    },
    verb("pull", "Pull an artifact from a registry", () => import("./commands/artifact_pull.ts")),
    verb("push", "Push an artifact to a registry", () => import("./commands/artifact_push.ts")),
    {
      ...verb("rm", "Remove one or more artifacts", () => import("./commands/artifact_rm.ts")),
      aliases: ["remove"],
    },
  ],
};

const manifest: VerbGroup = {
  name: "manifest",
  summary: "Manage lists of images for several platforms",
  verbs: [
    verb("add", "Add images to a list", () => import("./commands/manifest_add.ts")),
    verb(
      "annotate",
      "Change what a list says of an image, or of itself",
      () => import("./commands/manifest_annotate.ts"),
    ),
    verb("create", "Create a list of images", () => import("./commands/manifest_create.ts")),
    verb("exists", "Check if a list exists in local storage", () => import("./commands/manifest_exists.ts")),
    verb("inspect", "Display a list", () => import("./commands/manifest_inspect.ts")),
    verb("push", "Push a list and its images", () => import("./commands/manifest_push.ts")),
    verb("remove", "Remove an image from a list", () => import("./commands/manifest_remove.ts")),
    verb("rm", "Remove one or more lists from local storage", () => import("./commands/manifest_rm.ts")),
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

const buildPrune = verb(
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
  system,
  volume,
  builder,
  buildx,
];

const imageTrust: VerbGroup = {
  name: "image trust",
  summary: "Manage whose images are trusted",
  verbs: [
    verb("set", "Set whose images are trusted", () => import("./commands/image_trust_set.ts")),
    verb("show", "Show whose images are trusted", () => import("./commands/image_trust_show.ts")),
  ],
};

/** Groups in a group, by both words. */
const NESTED_GROUPS: readonly VerbGroup[] = [imageTrust];

export const ALL_GROUPS: readonly VerbGroup[] = [...GROUPS, ...NESTED_GROUPS];

/** What a group's help lists: its commands, and the groups in it. */
export function membersOf({ name, verbs }: VerbGroup): Pick<Verb, "name" | "aliases" | "summary">[] {
  const nested = NESTED_GROUPS.filter((group) => group.name.startsWith(`${name} `));
  return [...verbs, ...nested.map((group) => ({ ...group, name: group.name.slice(name.length + 1) }))];
}

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
  const [first = "", second, third] = words;
  // a context folder of that name is `./prune`
  if (first === "build" && second === "prune") {
    return { kind: "verb", verb: buildPrune, path: "skiff build prune", rest: words.slice(2) };
  }
  const verb = named(VERBS, first);
  if (verb) return { kind: "verb", verb, path: `skiff ${verb.name}`, rest: words.slice(1) };
  const group = GROUPS.find((candidate) => candidate.name === first);
  if (!group) return { kind: "unknown", path: `skiff ${first}`, typed: first };
  const nested = NESTED_GROUPS.find(({ name }) => name === `${first} ${second}`);
  return nested === undefined
    ? findMember(group, second, words.slice(2))
    : findMember(nested, third, words.slice(3));
}

function findMember(group: VerbGroup, typed: string | undefined, rest: string[]): Lookup {
  if (typed === undefined || typed.startsWith("-")) return { kind: "group", group };
  const verb = named(group.verbs, typed);
  if (!verb) return { kind: "unknown", path: `skiff ${group.name} ${typed}`, group, typed };
  return { kind: "verb", verb, path: `skiff ${group.name} ${verb.name}`, rest };
}

function named(verbs: readonly Verb[], name: string): Verb | undefined {
  return verbs.find((verb) => verb.name === name || verb.aliases?.includes(name));
}
