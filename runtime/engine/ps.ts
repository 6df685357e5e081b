/** The containers, as `podman ps --format json` lists them. */

import { isLive, observeContainers, type Observed } from "../container/state.ts";
import { readHealth } from "../monitor/health_record.ts";
import { listContainers, listUnsettledContainers } from "../state/containers.ts";
import type { ContainerSize } from "./container_size.ts";
import { unixSeconds } from "./clock.ts";
import type { Engine } from "./engine.ts";
import type { ListedPort } from "./port_view.ts";
import { countContainers, tidyContainers } from "./garbage.ts";

export interface ContainerListEntry {
  Id: string;
  Names: string[];
  Image: string;
  ImageID: string;
  Command: string[];
  /** Seconds since 1970. */
  Created: number;
  /** ISO 8601. */
  CreatedAt: string;
  /** created, running, paused, restarting, stopping, exited, removing. */
  State: string;
  /** `Up 2 minutes`, `Exited (0) 3 hours ago`. */
  Status: string;
  /** healthy, unhealthy, starting; empty where it is not checked. */
  Health: string;
  Pid: number;
  ExitCode: number;
  Exited: boolean;
  StartedAt: number;
  ExitedAt: number;
  AutoRemove: boolean;
  /** no, always, unless-stopped, on-failure. */
  RestartPolicy: string;
  Labels: Record<string, string>;
  Mounts: string[];
  Networks: string[];
  Ports: ListedPort[] | null;
  /** Of the image and `--expose`, with their protocols. */
  ExposedPorts: Record<string, string[]> | null;
  Pod: string;
  PodName: string;
  IsInfra: boolean;
  /** Where `size` was asked for. */
  Size: ContainerSize | null;
}

export interface PsOptions {
  /** Also those that do not run. */
  all?: boolean;
  /** Measure what each has written. */
  size?: boolean;
}

/** Newest first. */
export async function ps(engine: Engine, options: PsOptions = {}): Promise<ContainerListEntry[]> {
  const db = await engine.database();
  const count = await countContainers(engine);
  const rows = options.all ? listContainers(db) : listUnsettledContainers(db);
  const observed = await observeContainers(db, engine.folders.containers, rows, {
    checkFolders: count.folders < count.rows,
  });
  await tidyContainers(engine, observed, count);
  const now = Date.now();
  const shown = options.all ? observed : observed.filter(({ status }) => isLive(status.status));
  const entries = shown.map((one) => toEntry(one, now, engine.folders.containers));
  if (shown.some(({ row }) => row.pod)) {
    const { addPods } = await import("./pods/of_container.ts");
    addPods(db, shown.map(({ row }) => row), entries);
  }
  if (shown.some(({ row }) => row.ports)) {
    const { listPorts } = await import("./port_view.ts");
    shown.forEach(({ row }, index) => row.ports && Object.assign(entries[index]!, listPorts(row.ports)));
  }
  if (shown.some(({ row }) => row.network === "bridge")) {
    const { networkNamesByContainer } = await import("../state/networks.ts");
    const names = networkNamesByContainer(db);
    for (const entry of entries) entry.Networks = names.get(entry.Id) ?? [];
  }
  if (options.size) {
    const sizes = await (await import("./container_size.ts")).containerSizes(engine, entries);
    entries.forEach((entry, index) => entry.Size = sizes[index]!);
  }
  return entries;
}

function toEntry({ row, status }: Observed, now: number, folder: string): ContainerListEntry {
  const Health = status.status === "running" ? readHealth(`${folder}/${row.id}`)?.Status ?? "" : "";
  return {
    Id: row.id,
    Names: [row.name],
    Image: row.imageName,
    ImageID: row.imageId ?? "",
    Command: row.command,
    Created: unixSeconds(row.createdAt),
    CreatedAt: row.createdAt,
    State: status.status,
    Status: statusText(status, now, Health),
    Health,
    Pid: status.pid,
    ExitCode: status.exitCode,
    Exited: status.status === "exited",
    StartedAt: unixSeconds(status.startedAt),
    ExitedAt: unixSeconds(status.finishedAt),
    AutoRemove: row.autoRemove,
    RestartPolicy: row.restartPolicy ?? "",
    Labels: row.labels,
    Mounts: row.mounts,
    Networks: [],
    Ports: null,
    ExposedPorts: null,
    Pod: "",
    PodName: "",
    IsInfra: false,
    Size: null,
  };
}

/** As podman and docker word it. */
export function statusText(status: Observed["status"], now: number, health = ""): string {
  switch (status.status) {
    case "running":
      return `Up ${duration(now - Date.parse(status.startedAt))}${health ? ` (${health})` : ""}`;
    case "paused":
      return "Paused";
    case "restarting":
      return "Restarting";
    case "stopping":
      return "Stopping";
    case "exited":
      return `Exited (${status.exitCode}) ${duration(now - Date.parse(status.finishedAt))} ago`;
    case "removing":
      return "Removing";
    case "created":
      return "Created";
  }
}

/** @see docker/go-units, HumanDuration */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 1) return "Less than a second";
  if (seconds === 1) return "1 second";
  if (seconds < 60) return `${seconds} seconds`;
  const minutes = Math.floor(seconds / 60);
  if (minutes === 1) return "About a minute";
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.floor(seconds / 3600 + 0.5);
  if (hours === 1) return "About an hour";
  if (hours < 48) return `${hours} hours`;
  const days = Math.floor(seconds / 86400);
  if (days < 14) return `${days} days`;
  if (days < 60) return `${Math.floor(days / 7)} weeks`;
  if (days < 730) return `${Math.floor(days / 30)} months`;
  return `${Math.floor(days / 365)} years`;
}
