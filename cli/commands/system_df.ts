/** @see podman-system-df(1) */

import {
  type BuildCacheEntry,
  type ContainerUsage,
  type ImageUsage,
  systemDf,
  type UsageSummary,
  type VolumeUsage,
} from "../../runtime/engine/system_df.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { humanDuration, humanSize, shortId } from "../output/humanize.ts";
import { type ListView, renderList } from "../output/list.ts";
import { print } from "../output/print.ts";

const size = (bytes: number) => humanSize(bytes, 4);

const reclaimable = ({ RawSize, RawReclaimable }: UsageSummary) =>
  `${size(RawReclaimable)} (${RawSize === 0 ? 0 : Math.trunc(RawReclaimable * 100 / RawSize)}%)`;

const SUMMARY: ListView<UsageSummary> = {
  name: "df",
  rowType: "*system.dfSummary",
  fields: {
    Type: { heading: "TYPE", value: ({ Type }) => Type },
    Total: { heading: "TOTAL", value: ({ Total }) => Total },
    TotalCount: { heading: "TOTAL", value: ({ Total }) => Total },
    Active: { heading: "ACTIVE", value: ({ Active }) => Active },
    Size: { heading: "SIZE", value: ({ RawSize }) => size(RawSize) },
    Reclaimable: { heading: "RECLAIMABLE", value: reclaimable },
    RawSize: { heading: "RAW SIZE", value: ({ RawSize }) => RawSize },
    RawReclaimable: { heading: "RAW RECLAIMABLE", value: ({ RawReclaimable }) => RawReclaimable },
  },
  document: (one) => ({
    ...one,
    TotalCount: one.Total,
    Size: size(one.RawSize),
    Reclaimable: reclaimable(one),
  }),
};

const age = (created: string) => humanDuration(Date.now() - Date.parse(created));

const IMAGES: ListView<ImageUsage> = {
  name: "df",
  rowType: "*system.dfImage",
  fields: {
    Repository: { heading: "REPOSITORY", value: ({ Repository }) => Repository },
    Tag: { heading: "TAG", value: ({ Tag }) => Tag },
    ImageID: { heading: "IMAGE ID", value: ({ ImageID }) => shortId(ImageID) },
    Created: { heading: "CREATED", value: ({ Created }) => age(Created) },
    Size: { heading: "SIZE", value: ({ Size }) => size(Size) },
    SharedSize: { heading: "SHARED SIZE", value: ({ SharedSize }) => size(SharedSize) },
    UniqueSize: { heading: "UNIQUE SIZE", value: ({ UniqueSize }) => size(UniqueSize) },
    Containers: { heading: "CONTAINERS", value: ({ Containers }) => Containers },
  },
  document: (one) => one,
};

const CONTAINERS: ListView<ContainerUsage> = {
  name: "df",
  rowType: "*system.dfContainer",
  fields: {
    ContainerID: { heading: "CONTAINER ID", value: ({ ContainerID }) => shortId(ContainerID) },
    Image: { heading: "IMAGE", value: ({ Image }) => /^[0-9a-f]{64}$/.test(Image) ? shortId(Image) : Image },
    Command: { heading: "COMMAND", value: ({ Command }) => Command.join(" ") },
    LocalVolumes: { heading: "LOCAL VOLUMES", value: ({ LocalVolumes }) => LocalVolumes },
    Size: { heading: "SIZE", value: ({ Size }) => size(Size) },
    Created: { heading: "CREATED", value: ({ Created }) => age(Created) },
    Status: { heading: "STATUS", value: ({ Status }) => Status },
    Names: { heading: "NAMES", value: ({ Names }) => Names },
  },
  document: (one) => one,
};

const VOLUMES: ListView<VolumeUsage> = {
  name: "df",
  rowType: "*system.dfVolume",
  fields: {
    VolumeName: { heading: "VOLUME NAME", value: ({ VolumeName }) => VolumeName },
    Links: { heading: "LINKS", value: ({ Links }) => Links },
    Size: { heading: "SIZE", value: ({ Size }) => size(Size) },
  },
  document: (one) => one,
};

const BUILD_CACHE: ListView<BuildCacheEntry> = {
  name: "df",
  rowType: "*system.dfBuildCache",
  fields: {
    ID: { heading: "CACHE ID", value: ({ ID }) => shortId(ID) },
    CacheType: { heading: "CACHE TYPE", value: ({ CacheType }) => CacheType },
    Size: { heading: "SIZE", value: ({ Size }) => size(Size) },
    CreatedSince: { heading: "CREATED", value: ({ CreatedAt }) => age(CreatedAt) },
    LastUsedSince: { heading: "LAST USED", value: ({ LastUsedAt }) => age(LastUsedAt) },
    UsageCount: { heading: "USAGE", value: ({ UsageCount }) => UsageCount },
    Shared: { heading: "SHARED", value: ({ Shared }) => Shared },
  },
  document: (one) => one,
};

export const command = defineCommand({
  usage: "[options]",
  description:
    "Shows what images, containers, volumes and builds take of the disk. A layer that several images share\n" +
    "counts once; a container's size is what it has written.",
  examples: [
    "skiff system df",
    "skiff system df --verbose",
    "skiff system df --format '{{.Type}}: {{.Size}}'",
  ],
  flags: {
    format: { kind: "string", value: "FORMAT", help: "json, or a Go template" },
    verbose: { kind: "bool", short: "v", help: "A line for each image, container and volume" },
  },
  arity: { max: 0 },
  async run({ options: { format, verbose }, global }) {
    if (verbose && format !== undefined) {
      throw new InvalidArgumentError("cannot combine --format and --verbose flags");
    }
    const usage = await systemDf(engineFor(global));
    if (!verbose) {
      const columns = ["Type", "Total", "Active", "Size", "Reclaimable"];
      return print(await renderList(usage.summaries, SUMMARY, { format, columns }));
    }
    const table = <T>(items: T[], view: ListView<T>) =>
      renderList(items, view, { columns: Object.keys(view.fields) });
    print(`Images space usage:\n\n${await table(usage.images, IMAGES)}`);
    print(`\nContainers space usage:\n\n${await table(usage.containers, CONTAINERS)}`);
    print(`\nLocal Volumes space usage:\n\n${await table(usage.volumes, VOLUMES)}`);
    if (usage.buildCache.length > 0) {
      print(`\nBuild cache usage:\n\n${await table(usage.buildCache, BUILD_CACHE)}`);
    }
  },
});
