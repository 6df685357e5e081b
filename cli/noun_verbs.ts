/** Commands that have one spelling, with their noun: those of volumes, networks, artifacts, lists … */

import { verb, type VerbGroup } from "./verb.ts";

export const volume: VerbGroup = {
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

export const network: VerbGroup = {
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

export const pod: VerbGroup = {
  name: "pod",
  summary: "Manage pods: containers that share a network and more",
  verbs: [
    verb("clone", "Make a copy of a pod and its containers", () => import("./commands/pod_clone.ts")),
    verb("create", "Create a pod", () => import("./commands/pod_create.ts")),
    verb("exists", "Check if a pod exists", () => import("./commands/pod_exists.ts")),
    verb("inspect", "Display the details of pods", () => import("./commands/pod_inspect.ts")),
    verb("kill", "Signal the containers of pods", () => import("./commands/pod_kill.ts")),
    verb("logs", "Fetch the logs of a pod's containers", () => import("./commands/pod_logs.ts")),
    verb("pause", "Pause the containers of pods", () => import("./commands/pod_pause.ts")),
    verb("prune", "Remove all pods that have ended", () => import("./commands/pod_prune.ts")),
    { ...verb("ps", "List pods", () => import("./commands/pod_ps.ts")), aliases: ["ls", "list"] },
    verb("restart", "Restart one or more pods", () => import("./commands/pod_restart.ts")),
    verb("rm", "Remove one or more pods", () => import("./commands/pod_rm.ts")),
    verb("start", "Start one or more pods", () => import("./commands/pod_start.ts")),
    verb("stop", "Stop one or more pods", () => import("./commands/pod_stop.ts")),
    verb("top", "Display the processes of a pod's containers", () => import("./commands/pod_top.ts")),
    verb("unpause", "Unpause the containers of pods", () => import("./commands/pod_unpause.ts")),
  ],
};

export const artifact: VerbGroup = {
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

export const manifest: VerbGroup = {
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

export const secret: VerbGroup = {
  name: "secret",
  summary: "Manage secrets",
  verbs: [
    verb("create", "Create a secret", () => import("./commands/secret_create.ts")),
    verb("exists", "Check if a secret exists", () => import("./commands/secret_exists.ts")),
    verb("inspect", "Display secrets", () => import("./commands/secret_inspect.ts")),
    { ...verb("ls", "List secrets", () => import("./commands/secret_ls.ts")), aliases: ["list"] },
    verb("rm", "Remove one or more secrets", () => import("./commands/secret_rm.ts")),
  ],
};

export const healthcheck: VerbGroup = {
  name: "healthcheck",
  summary: "Check the health of containers",
  verbs: [{
    name: "run",
    summary: "Run the health check of a container",
    load: () => import("./commands/healthcheck_run.ts"),
  }],
};

export const imageTrust: VerbGroup = {
  name: "image trust",
  summary: "Manage whose images are trusted",
  verbs: [
    verb("set", "Set whose images are trusted", () => import("./commands/image_trust_set.ts")),
    verb("show", "Show whose images are trusted", () => import("./commands/image_trust_show.ts")),
  ],
};

/** Groups in a group, by both words. */
export const NESTED_GROUPS: readonly VerbGroup[] = [imageTrust];
