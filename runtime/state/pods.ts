/** Table of pods. Which containers a pod has, their rows say. */

import type { Database, Row } from "./db.ts";
import { isIdPrefix } from "./ids.ts";

export interface PodRow<Document = unknown> {
  /** 64 hex digits. */
  id: string;
  name: string;
  createdAt: string;
  labels: Record<string, string>;
  /** The container that holds its namespaces. */
  infraId?: string;
  /** What it was made with. */
  document: Document;
}

export function insertPod(db: Database, pod: PodRow): void {
  db.run(
    "INSERT INTO pods (id, name, created_at, labels, infra_id, document) VALUES (?, ?, ?, ?, ?, ?)",
    pod.id,
    pod.name,
    pod.createdAt,
    JSON.stringify(pod.labels),
    pod.infraId ?? null,
    JSON.stringify(pod.document),
  );
}

/**
 * Removes a pod that has no container but its infra container, which is one like others from then on; whether it is
 * gone.
 */
export function deleteEmptyPod(db: Database, id: string): boolean {
  const isGone = db.run(
    `DELETE FROM pods WHERE id = ? AND NOT EXISTS (
       SELECT 1 FROM containers WHERE pod = pods.id AND pod <> '' AND id IS NOT pods.infra_id)`,
    id,
  ) > 0;
  if (isGone) db.run("UPDATE containers SET pod = '' WHERE pod = ? AND pod <> ''", id);
  return isGone;
}

export function podExists(db: Database, id: string): boolean {
  return db.get("SELECT 1 FROM pods WHERE id = ?", id) !== undefined;
}

/** By name, id, or the beginning of an id (at most two). */
export function findPods<Document>(db: Database, text: string): PodRow<Document>[] {
  const row = db.get("SELECT * FROM pods WHERE id = ? OR name = ? ORDER BY id = ? DESC", text, text, text);
  if (row) return [toPod(row)];
  if (!isIdPrefix(text)) return [];
  return db.all("SELECT * FROM pods WHERE id GLOB ? || '*' LIMIT 2", text).map((one) => toPod(one));
}

/** Newest first. */
export function listPods<Document>(db: Database): PodRow<Document>[] {
  return db.all("SELECT * FROM pods ORDER BY created_at DESC, id").map((row) => toPod(row));
}

function toPod<Document>(row: Row): PodRow<Document> {
  return {
    id: String(row.id),
    name: String(row.name),
    createdAt: String(row.created_at),
    labels: JSON.parse(String(row.labels)),
    ...(row.infra_id !== null && { infraId: String(row.infra_id) }),
    document: JSON.parse(String(row.document)),
  };
}
