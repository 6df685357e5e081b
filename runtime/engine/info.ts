/** `info`: this engine and this machine, as podman groups it, with docker's keys beside. */

import { filesystemSizeOf } from "../../ffi/mount.ts";
import { loadRegistriesConf } from "../config/registries_conf.ts";
import { configSources } from "../config/sources.ts";
import { isLive, observeContainers } from "../container/state.ts";
import { listContainers } from "../state/containers.ts";
import { listImages } from "../state/images.ts";
import { filesystemOf, readMountTable } from "../state/mount_table.ts";
import { chooseDriver } from "../storage/drivers/choose.ts";
import type { Engine } from "./engine.ts";
import { dockerInfo } from "./info_docker.ts";
import { hostInfo } from "./info_host.ts";
import { version } from "./version.ts";

export type InfoDocument = Awaited<ReturnType<typeof info>>;

const LOG_DRIVERS = ["k8s-file", "json-file", "journald", "none", "passthrough"];

export async function info(engine: Engine) {
  const db = await engine.database();
  const observed = await observeContainers(db, engine.folders.containers, listContainers(db));
  const having = (wanted: string) => observed.filter(({ status }) => status.status === wanted).length;
  const paused = having("paused");
  const counts = {
    all: observed.length,
    running: observed.filter(({ status }) => isLive(status.status)).length - paused,
    paused,
    images: listImages(db).length,
  };
  const { namespaces, folders } = engine;
  const driver = await chooseDriver(engine, engine.storageDriver);
  const host = hostInfo(namespaces, folders);
  const driverStatus = graphStatus(folders.data, driver.name);
  const size = filesystemSizeOf(folders.data);
  return {
    host,
    plugins: {
      authorization: null,
      log: LOG_DRIVERS,
      network: ["bridge", "none", "host", "slirp", "slirp4netns", "pasta"],
      volume: ["local"],
    },
    registries: await registries(),
    store: {
      configFile: "",
      containerStore: {
        number: counts.all,
        paused: counts.paused,
        running: counts.running,
        stopped: counts.all - counts.running - counts.paused,
      },
      graphDriverName: driver.name,
      graphOptions: {},
      graphRoot: folders.data,
      graphRootAllocated: size.totalBytes,
      graphRootUsed: size.usedBytes,
      graphStatus: driverStatus,
      imageCopyTmpDir: `${folders.blobs}/partial`,
      imageStore: { number: counts.images },
      runRoot: folders.run,
      transientStore: false,
      volumePath: folders.volumes,
    },
    version: version().Client,
    ...dockerInfo({
      namespaces,
      folders,
      driver: driver.name,
      driverStatus,
      counts,
      hostname: host.hostname,
      memTotal: host.memTotal,
      cgroupVersion: host.cgroupVersion,
      logDrivers: LOG_DRIVERS,
    }),
  };
}

function graphStatus(data: string, driver: string): Record<string, string> {
  const type = filesystemOf(data, readMountTable())?.type ?? "";
  // as containers/storage words it
  const backing = { ext2: "extfs", ext3: "extfs", ext4: "extfs" }[type] ?? type;
  if (driver === "vfs") return { "Backing Filesystem": backing };
  return {
    "Backing Filesystem": backing,
    "Native Overlay Diff": String(driver === "overlay"),
    "Supports d_type": "true",
    "Using metacopy": "false",
  };
}

/** A registries.conf that cannot be read is told by the commands that need it. */
async function registries(): Promise<{ search?: string[] }> {
  try {
    const { unqualifiedSearch } = await loadRegistriesConf(configSources());
    return unqualifiedSearch === undefined ? {} : { search: unqualifiedSearch };
  } catch {
    return {};
  }
}
