/**
 * What went wrong in a part of the monitor that the container can live without (its network), kept for `inspect`: the
 * number of faults and the last of them.
 */

import { readRecord, writeRecord } from "./records.ts";

export const FAULTS_FILE = "faults.json";

export interface FaultRecord {
  count: number;
  at: string;
  message: string;
}

export class FaultLog {
  readonly #path: string;
  #count = 0;

  constructor(containerDir: string) {
    this.#path = `${containerDir}/${FAULTS_FILE}`;
  }

  /** Never throws. Of many faults ever fewer are written: a guest that provokes them must not keep the disk busy. */
  record(error: unknown): void {
    this.#count++;
    if (this.#count > 8 && (this.#count & (this.#count - 1)) !== 0) return;
    const text = error instanceof Error ? error.stack ?? error.message : String(error);
    try {
      const record: FaultRecord = {
        count: this.#count,
        at: new Date().toISOString(),
        message: text.slice(0, 2000),
      };
      writeRecord(this.#path, record);
    } catch {
      // the disk is full or the folder gone
    }
  }
}

/** undefined where there was none. */
export function readFaults(containerDir: string): FaultRecord | undefined {
  return readRecord<FaultRecord>(
    `${containerDir}/${FAULTS_FILE}`,
    ({ count, message }) => typeof count === "number" && typeof message === "string",
  );
}
