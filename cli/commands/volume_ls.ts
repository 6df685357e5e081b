/** @see podman-volume-ls(1) */

import type { Engine } from "../../runtime/engine/engine.ts";
import type { SnapshotInfo } from "../../runtime/engine/volume_snapshots.ts";
import { type VolumeInfo, volumes } from "../../runtime/engine/volumes.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { filterVolumes } from "../filters/volumes.ts";
import { type ListView, renderList } from "../output/list.ts";
import { print } from "../output/print.ts";
import { templateFields } from "../volume_fields.ts";

const VIEW: ListView<VolumeInfo> = {
  name: "list volume",
  rowType: "*entities.VolumeListReport",
  fields: {
    Driver: { heading: "DRIVER", value: ({ Driver }) => Driver },
    Name: { heading: "VOLUME NAME", value: ({ Name }) => Name },
    Containers: { heading: "CONTAINERS", value: ({ Containers }) => Containers.join(",") },
    Mountpoint: { heading: "MOUNTPOINT", value: ({ Mountpoint }) => Mountpoint },
    CreatedAt: { heading: "CREATED AT", value: ({ CreatedAt }) => CreatedAt },
    Labels: { heading: "LABELS", value: ({ Labels }) => Labels },
    Options: { heading: "OPTIONS", value: ({ Options }) => Options },
    Scope: { heading: "SCOPE", value: ({ Scope }) => Scope },
    Anonymous: { heading: "ANONYMOUS", value: ({ Anonymous }) => Anonymous },
    MountCount: { heading: "MOUNT COUNT", value: ({ MountCount }) => MountCount },
    NeedsCopyUp: { heading: "NEEDS COPY UP", value: ({ NeedsCopyUp }) => NeedsCopyUp },
    NeedsChown: { heading: "NEEDS CHOWN", value: ({ NeedsChown }) => NeedsChown },
    Status: { heading: "STATUS", value: (volume) => templateFields(volume).Status },
    UID: { heading: "UID", value: (volume) => templateFields(volume).UID },
    GID: { heading: "GID", value: (volume) => templateFields(volume).GID },
    LockNumber: { heading: "LOCK NUMBER", value: (volume) => templateFields(volume).LockNumber },
    StorageID: { heading: "STORAGE ID", value: (volume) => templateFields(volume).StorageID },
    Timeout: { heading: "TIMEOUT", value: (volume) => templateFields(volume).Timeout },
  },
  document: (volume) => volume,
};

const SNAPSHOTS: ListView<SnapshotInfo> = {
  name: "list snapshots",
  rowType: "*entities.VolumeSnapshot",
  fields: {
    Name: { heading: "SNAPSHOT", value: ({ Name }) => Name },
    CreatedAt: { heading: "CREATED AT", value: ({ CreatedAt }) => CreatedAt },
    Volume: { heading: "VOLUME NAME", value: ({ Volume }) => Volume },
    Mountpoint: { heading: "MOUNTPOINT", value: ({ Mountpoint }) => Mountpoint },
  },
  document: (snapshot) => snapshot,
};

/** Those of the volumes that pass the filters. */
async function listSnapshots(
  engine: Engine,
  volumes: VolumeInfo[],
  { quiet, format, noheading }: { quiet: boolean; format?: string; noheading: boolean },
): Promise<void> {
  const { snapshotsIn } = await import("../../runtime/engine/volume_snapshots.ts");
  const found = volumes.flatMap(({ Name }) => snapshotsIn(engine, Name));
  if (quiet) return print(found.map(({ Name }) => `${Name}\n`).join(""));
  if (found.length === 0 && format === undefined) return;
  const columns = ["Name", "CreatedAt"];
  print(await renderList(found, SNAPSHOTS, { format, columns, noHeading: noheading, jsonIndent: 2 }));
}

export const command = defineCommand({
  usage: "[options]",
  description: "Lists volumes and the containers that use them.",
  examples: ["skiff volume ls", "skiff volume ls -q --filter dangling=true"],
  flags: {
    filter: { kind: "list", short: "f", value: "KEY=VALUE", help: "Only those that match" },
    format: { kind: "string", value: "FORMAT", help: "json, table or a Go template" },
    noheading: { kind: "bool", help: "Do not print the headings" },
    quiet: { kind: "bool", short: "q", help: "Print names only" },
    snapshots: { kind: "bool", help: "List snapshots instead, VOLUME@NAME, the oldest first" },
  },
  arity: { max: 0 },
  async run({ options, global }) {
    const { format, quiet, noheading } = options;
    if (quiet && format !== undefined) {
      throw new InvalidArgumentError("quiet and format flags cannot be used together");
    }
    const engine = engineFor(global);
    const found = filterVolumes(await volumes(engine), options.filter);
    if (options.snapshots) return await listSnapshots(engine, found, options);
    if (quiet) return print(found.map(({ Name }) => `${Name}\n`).join(""));
    // as podman: nothing is nothing, not a table without rows
    if (found.length === 0 && format === undefined) return;
    const columns = ["Driver", "Name", "Containers"];
    print(await renderList(found, VIEW, { format, columns, noHeading: noheading, jsonIndent: 2 }));
  },
});
