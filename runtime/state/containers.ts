/**
 * Table of containers: what `ps` shows, and the last state that was folded in from the container's folder.
 *
 * A row says `starting` from before the start until the end was folded in: meanwhile the truth lies in the folder
 * (the monitor never opens the database). `created` and `exited` are true until the next start; `removing` means
 * that the folder may be half gone. What may
 * hold a secret (the environment) is not here but in config.json.
 */

import type { Database, Row } from "./db.ts";

export type RecordedState = "created" | "starting" | "exited" | "removing";

export interface ContainerRow {
  id: string;
  name: string;
  imageId: string | null;
  imageName: string;
  command: string[];
  createdAt: string;
  state: RecordedState;
  startedAt: string;
  finishedAt: string;
  exitCode: number;
  error: string;
  oomKilled: boolean;
  autoRemove: boolean;
  tty: boolean;
  labels: Record<string, string>;
  mounts: string[];
  network: string;
  /** no, always, unless-stopped, on-failure. */
  restartPolicy?: string;
  ports?: ContainerPorts;
  /** The id of its pod. */
  pod?: string;
}

/** What `ps` shows of a container's ports. */
export interface ContainerPorts {
  /** In rows: `hostPort` to `hostPort + count - 1`; an empty address is every one. */
  published: {
    protocol: "tcp" | "udp" | "sctp";
    hostAddress: string;
    hostPort: number;
    containerPort: number;
    count: number;
  }[];
  /** `80/tcp`, `90-92/udp`. */
  exposed: string[];
}

export function insertContainer(db: Database, row: ContainerRow): void {
  db.run(
    `INSERT INTO containers (id, name, image_id, image_name, command, created_at, state, auto_remove, tty,
       labels, mounts, network, restart_policy, ports, pod) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    row.id,
    row.name,
    row.imageId,
    row.imageName,
    JSON.stringify(row.command),
    row.createdAt,
    row.state,
    row.autoRemove ? 1 : 0,
    row.tty ? 1 : 0,
    JSON.stringify(row.labels),
    JSON.stringify(row.mounts),
    row.network,
    row.restartPolicy ?? "no",
    portsColumn(row.ports),
    row.pod ?? "",
  );
}

function portsColumn(ports: ContainerPorts | undefined): string {
  return ports ? JSON.stringify(ports) : "";
}

/** Records that `id` needs the container `required` to run. */
export function putRequirement(db: Database, id: string, required: string): void {
  db.run("INSERT OR IGNORE INTO container_requires (container_id, required) VALUES (?, ?)", id, required);
}

/** Ids of the containers that need this one. */
export function listDependents(db: Database, id: string): string[] {
  return db.all("SELECT container_id FROM container_requires WHERE required = ?", id)
    .map((row) => String(row.container_id));
}

export function setContainerState(db: Database, id: string, state: RecordedState): boolean {
  return db.run("UPDATE containers SET state = ? WHERE id = ?", state, id) > 0;
}

export function setContainerPorts(db: Database, id: string, ports: ContainerPorts): void {
  db.run("UPDATE containers SET ports = ? WHERE id = ?", portsColumn(ports), id);
}

/** `no` where there is none. */
export function setContainerRestartPolicy(db: Database, id: string, policy: string): void {
  db.run("UPDATE containers SET restart_policy = ? WHERE id = ?", policy, id);
}

export function setContainerName(db: Database, id: string, name: string): boolean {
  return db.run("UPDATE containers SET name = ? WHERE id = ?", name, id) > 0;
}

/** From here on any command may finish the removal; with volumes it is finished like that of `--rm`. */
export function setContainerRemoving(db: Database, id: string, withVolumes: boolean): void {
  const sql = "UPDATE containers SET state = 'removing', auto_remove = auto_remove OR ? WHERE id = ?";
  db.run(sql, withVolumes ? 1 : 0, id);
}

/** Records how a run ended. */
export function setContainerExited(
  db: Database,
  id: string,
  end: { startedAt: string; finishedAt: string; exitCode: number; error: string; oomKilled: boolean },
): void {
  db.run(
    `UPDATE containers SET state = 'exited', started_at = ?, finished_at = ?, exit_code = ?, error = ?,
       oom_killed = ? WHERE id = ? AND state IN ('created', 'starting')`,
    end.startedAt,
    end.finishedAt,
    end.exitCode,
    end.error,
    end.oomKilled ? 1 : 0,
    id,
  );
}

export function deleteContainer(db: Database, id: string): boolean {
  return db.run("DELETE FROM containers WHERE id = ?", id) > 0;
}

export function findContainer(db: Database, id: string): ContainerRow | undefined {
  const row = db.get("SELECT * FROM containers WHERE id = ?", id);
  return row && toContainer(row);
}

export function findContainerByName(db: Database, name: string): ContainerRow | undefined {
  const row = db.get("SELECT * FROM containers WHERE name = ?", name);
  return row && toContainer(row);
}

/** Containers whose id begins with `prefix` (hex digits only; at most two are returned). */
export function findContainersByPrefix(db: Database, prefix: string): ContainerRow[] {
  return db.all("SELECT * FROM containers WHERE id GLOB ? || '*' LIMIT 2", prefix).map(toContainer);
}

/** Newest first. */
export function listContainers(db: Database): ContainerRow[] {
  return db.all("SELECT * FROM containers ORDER BY created_at DESC, id").map(toContainer);
}

/** Those whose folder has to be asked: starting (or running since), removing. */
export function listUnsettledContainers(db: Database): ContainerRow[] {
  return db.all(
    "SELECT * FROM containers WHERE state IN ('starting', 'removing') ORDER BY created_at DESC, id",
  ).map(
    toContainer,
  );
}

export function listContainersOfImage(db: Database, imageId: string): ContainerRow[] {
  return db.all("SELECT * FROM containers WHERE image_id = ? ORDER BY created_at", imageId).map(toContainer);
}

/** The oldest first, which is the one that holds the pod's namespaces. */
export function listContainersOfPod(db: Database, pod: string): ContainerRow[] {
  // said twice: the index is of those that are in one
  const words = "SELECT * FROM containers WHERE pod = ? AND pod <> '' ORDER BY created_at, id";
  return db.all(words, pod).map(toContainer);
}

/** Pods and containers have their names from one stock. */
export function isPodName(db: Database, name: string): boolean {
  return db.get("SELECT 1 FROM pods WHERE name = ?", name) !== undefined;
}

export function countContainersByImage(db: Database): Map<string, number> {
  const rows = db.all(
    "SELECT image_id, count(*) AS n FROM containers WHERE image_id IS NOT NULL GROUP BY image_id",
  );
  return new Map(rows.map((row) => [String(row.image_id), Number(row.n)]));
}

function toContainer(row: Row): ContainerRow {
  return {
    id: String(row.id),
    name: String(row.name),
    imageId: row.image_id === null ? null : String(row.image_id),
    imageName: String(row.image_name),
    command: JSON.parse(String(row.command)),
    createdAt: String(row.created_at),
    state: row.state as RecordedState,
    startedAt: String(row.started_at),
    finishedAt: String(row.finished_at),
    exitCode: Number(row.exit_code),
    error: String(row.error),
    oomKilled: row.oom_killed === 1,
    autoRemove: row.auto_remove === 1,
    tty: row.tty === 1,
    labels: JSON.parse(String(row.labels)),
    mounts: JSON.parse(String(row.mounts)),
    network: String(row.network),
    restartPolicy: String(row.restart_policy),
    ports: row.ports ? JSON.parse(String(row.ports)) : undefined,
    ...(row.pod !== "" && { pod: String(row.pod) }),
  };
}
