/** `health.json` in a container's folder, with the keys of inspect. */

import { readRecord, removeRecord, writeRecord } from "./records.ts";

export interface HealthRecord {
  Status: "starting" | "healthy" | "unhealthy";
  FailingStreak: number;
  Log: { Start: string; End: string; ExitCode: number; Output: string }[];
}

const HEALTH_FILE = "health.json";

export function writeHealth(folder: string, record: HealthRecord): void {
  writeRecord(`${folder}/${HEALTH_FILE}`, record);
}

/** undefined where there was no check since the last start. */
export function readHealth(folder: string): HealthRecord | undefined {
  return readRecord<HealthRecord>(`${folder}/${HEALTH_FILE}`, (value) => typeof value.Status === "string");
}

export function removeHealth(folder: string): void {
  removeRecord(`${folder}/${HEALTH_FILE}`);
}
