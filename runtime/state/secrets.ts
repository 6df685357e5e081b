/** Rows of secrets: all about them but what they hold, which is in no database. */

import type { Database, Row } from "./db.ts";

export interface SecretRow {
  /** 25 hex digits, as podman's; other content has another one. */
  id: string;
  name: string;
  driver: string;
  /** Of the driver. */
  options: Record<string, string>;
  labels: Record<string, string>;
  createdAt: string;
  updatedAt: string;
}

/** Adds the secret, or takes the place of the one of its name. */
export function putSecret(db: Database, row: SecretRow): void {
  const { id, name, driver, options, labels, createdAt, updatedAt } = row;
  db.run(
    `INSERT OR REPLACE INTO secrets (name, id, driver, options, labels, created_at, updated_at)
     VALUES (?, ?, ?, ?, ?, ?, ?)`,
    name,
    id,
    driver,
    JSON.stringify(options),
    JSON.stringify(labels),
    createdAt,
    updatedAt,
  );
}

export function findSecretByName(db: Database, name: string): SecretRow | undefined {
  const row = db.get("SELECT * FROM secrets WHERE name = ?", name);
  return row && toSecret(row);
}

/** By name. */
export function listSecrets(db: Database): SecretRow[] {
  return db.all("SELECT * FROM secrets ORDER BY name").map(toSecret);
}

export function deleteSecret(db: Database, id: string): boolean {
  return db.run("DELETE FROM secrets WHERE id = ?", id) > 0;
}

function toSecret(row: Row): SecretRow {
  return {
    id: String(row.id),
    name: String(row.name),
    driver: String(row.driver),
    options: JSON.parse(String(row.options)),
    labels: JSON.parse(String(row.labels)),
    createdAt: String(row.created_at),
    updatedAt: String(row.updated_at),
  };
}
